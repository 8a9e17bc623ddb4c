#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where users of other meshes got hurt by the data plane, and which tests show that ours does not do that to them.

L: linkerd2, E: envoy, I: istio, with their issue numbers. A row is: the pain | where it was met | the tests, by name (Python or Check).
The test below finds every one of them in this tree.

Protocols
    server-first protocols hang until a timeout | L13364 L6449 L7280 | test_a_server_that_speaks_first_is_heard_without_a_client_byte
        a_server_that_greets_is_tcp_and_server_first
    detection closes slow, early or idle clients | L6058 L7768 | test_a_silent_client_and_a_silent_server_stay_connected
        test_a_late_preface_to_a_grpc_server_is_still_http2 test_tls_passes_through_unbroken
    gRPC is not balanced because of a port's name | I27621 I7117 | grpc_is_http2_in_every_order_of_pieces
        test_endpoints_page_says_why_a_destination_is_not_balanced
    half-close and reset are lost | L8033 L6993 | test_the_servers_half_close_lets_the_client_go_on test_a_servers_reset_reaches_the_client_as_a_reset
        test_a_server_that_has_finished_still_gets_the_rest_of_the_request

Fields and bodies
    header and trailer limits that are small and no settings | L14046 L15199 L14232 L6164 | test_sixty_four_kib_of_fields_pass_everywhere
        test_as_many_bytes_as_the_setting_says_pass test_a_request_is_answered_431 test_response_trailers_are_replaced_by_named_ones
    gRPC-Web loses its trailers | L15414 | test_grpc_web_passes_with_its_trailers_in_the_body
    a peer's header table of size 0 is ignored | L3141 | test_a_peer_without_a_table_gets_no_entries
    a crash on repeating a request with a body | L11529 | a_refused_stream_is_repeated_elsewhere_with_its_whole_body
        a_body_longer_than_its_copy_is_not_repeated
    HTTP/2 deadlock, then ENHANCE_YOUR_CALM | L14908 | test_slow_readers_at_both_ends_hold_their_windows_and_no_more
        test_a_reset_crosses_with_a_body_under_way_and_its_credit_comes_back
    guards against rapid resets end healthy gRPC | E30882 | ten_thousand_resets_a_second_are_ordinary
    a GOAWAY or a cut stream becomes the wrong status | L12964 L4262 E10184 E3619 L3493 | test_a_silent_endpoint_is_given_up_at_the_callers_deadline
        test_a_goaway_that_names_the_request_lets_it_finish test_a_connection_closed_after_data_is_no_success
        test_every_code_of_a_server_that_has_not_answered_reaches_the_client
    errors that say nothing | I45910 I47037 | a_lost_connection_is_unavailable_and_names_the_endpoint
        test_no_endpoint_that_answers_is_unavailable_with_its_address

Repeating
    streams that raced with GOAWAY fail | E36450 E2305 E7614 | test_a_goaway_that_leaves_the_request_out_is_repeated
        test_goaway_storms_cost_no_call test_a_storm_of_goaways_does_not_become_a_storm_of_connections
    default retries execute a POST twice | I13851 I50506 I27340 | test_a_connection_closed_without_an_answer_is_unavailable_and_not_repeated
        test_a_reset_before_headers_keeps_its_code_and_is_not_repeated nothing_is_repeated_once_the_response_has_begun
    retries without a budget, to the pod that just failed | L11669 L4430 | over_a_minute_of_failures_a_fifth_is_retried_and_no_more
        an_endpoint_that_was_tried_is_passed_over
    an idle connection is closed as a request leaves | L11084 L5211 I55138 I44350 E8639 | test_an_endpoint_that_closes_after_each_answer_costs_no_request
        a_request_after_the_peer_closed_an_idle_session_is_sent_on_a_new_one

Endpoints
    dead or stale endpoints are called after rollouts | L10491 L11480 I7665 I54539 | test_new_endpoints_take_calls_and_old_ones_get_none
        test_an_endpoint_that_refuses_connections_costs_no_call test_changes_made_while_the_api_was_away_arrive_when_it_is_back
    502 and failed calls on rolling updates | L11084 | test_no_call_is_lost_when_servers_drain test_scaling_down_under_load_fails_no_call
    headless Services wrong, stuck on a dead pod | L5209 L5871 I49391 | test_a_headless_service_is_balanced_by_its_authority
    a fast-failing pod attracts traffic | L11669 | a_server_that_fails_at_once_attracts_next_to_nothing
    a whole Service fails fast, or panic sends calls to bad pods | L11493 L5599 I20135 E2671 | the_last_endpoint_is_used_however_often_it_fails
        at_most_half_are_ejected when_all_servers_fail_all_are_still_asked test_an_unready_endpoint_gets_no_call
    uneven load with latency-based picks and few requests | L5017 L6052 L11043 E31643 E35935 | equal_servers_share_within_thirty_percent
        test_thirty_equal_servers_share_evenly_on_one_connection two_workers_see_one_in_flight_count
    a new pod is flooded, or never found, after scaling | E28444 E26290 E44989 | a_single_new_server_is_not_flooded
        new_servers_take_their_share_at_once
    sticky sessions are not there | L4956 L11604 | test_session_affinity_pins_a_connection
    streams stay on old pods after scaling up | E15283 I27280 L2120 | test_new_endpoints_take_their_share_at_once

Connections
    one connection per endpoint queues behind its stream limit | E3076 E2941 E963 E36771 | a_full_session_makes_the_pool_grow
        test_bursts_beyond_one_connection_open_others_which_are_kept_for_the_next test_a_thousand_streams_at_a_limit_of_one_are_all_answered
    idle connections hold memory for ever | L15623 L14204 | an_idle_session_is_closed_with_a_goaway
        test_connections_grow_old_and_no_request_notices
    memory grows with large or many bodies | L5146 L14397 L6066 | test_large_bodies_both_ways_at_once_leave_memory_flat
        test_readers_that_stop_hold_no_more_than_their_window_however_much_is_sent
    memory grows with the number of Services | I7912 I9367 | an_address_without_watches_is_given_up_with_all_it_led_to
    workers are loaded unevenly by few connections | E23514 E33707 | test_all_workers_serve test_requests_in_flight_are_seen_by_all_workers
    503 with many connections | L3755 L4150 | test_a_thousand_http2_connections_share_the_endpoints_connections
    connections left in CLOSE_WAIT | L8033 | test_an_http2_client_that_vanishes_leaves_nothing test_connections_that_come_and_go_leak_no_descriptor

Start and end
    GOAWAY late or without a round trip; long streams cut | E14350 E22825 E41163 | a_drain_waits_for_the_ping_before_it_names_the_last_stream
        test_a_draining_proxy_finishes_what_its_clients_have_sent test_a_long_stream_is_cut_when_the_grace_ends
    the sidecar stops accepting before its app has finished | I7136 I36631 I51855 | test_the_proxy_is_not_ready_but_accepts_during_the_drain_delay
        test_calls_in_flight_at_sigterm_finish
    the control plane's absence stops pods and calls | L9310 L8738 L5629 | test_the_proxy_is_ready_without_an_api
        test_the_api_away_from_the_start_costs_no_call test_an_api_killed_and_restarted_costs_no_call
    a panic in the proxy over what the control plane says | L14333 | a_response_that_is_cut_off_ends_the_stream
        what_cannot_be_used_is_refused_and_the_last_good_stays

Metrics
    labels chosen by attackers exhaust memory | CVE-2025-43915 L5746 | an_endless_label_is_refused test_nothing_that_a_peer_writes_becomes_a_series
    the admin port changes state for whoever asks | CVE-2024-40632 | test_no_get_changes_state test_other_pages_answer_to_loopback_only
"""
import os
import re
import unittest

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def rows():
    """[(pain, where, [tests])]"""
    entries = []
    for line in __doc__.splitlines():
        if re.match(r"    \S", line):
            entries.append(line.strip())
        elif line.startswith("        "):
            entries[-1] += " " + line.strip()
    return [(pain.strip(), where.split(), tests.split()) for pain, where, tests in (e.split("|") for e in entries)]


def existing():
    names = set()
    for folder, _, files in os.walk(TESTS):
        for name in files:
            if name.endswith((".py", ".c")):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    names.update(re.findall(r"^ *def (test_\w+)\(|^START_TEST\((\w+)\)", f.read(), re.M))
    return {a or b for a, b in names}


class Pains(unittest.TestCase):
    def test_every_pain_has_tests_that_exist(self):
        have = existing()
        self.assertGreater(len(rows()), 30)
        for pain, where, tests in rows():
            with self.subTest(pain):
                self.assertTrue(where and tests)
                self.assertEqual([t for t in tests if t not in have], [])


if __name__ == "__main__":
    unittest.main()
