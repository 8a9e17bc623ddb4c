/* SPDX-License-Identifier: Apache-2.0 */

/* Who speaks when: every order of client, server, ends, dial and time. */

#include <string.h>

#include "base/rng.h"
#include "policy/detect.h"
#include "unit.h"

#define SILENCE 5000
#define HOLD 1000000

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static const uint8_t settings[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100};
static const char greeting[] = "220 mail ESMTP\r\n";

static const struct usec start = {4000000};

static struct detect detect;
static struct usec now;

static void begin(bool is_server_first)
{
    now = start;
    enum detect_action action = detect_start(&detect, &detect_policy_default, is_server_first, now);
    ck_assert_int_eq(action, is_server_first ? DETECT_DIAL : DETECT_WAIT);
}

static void setup(void)
{
    begin(false);
}

static enum detect_action client(const void *bytes, size_t len)
{
    return detect_client_bytes(&detect, bytes, len, now);
}

static enum detect_action server(const void *bytes, size_t len)
{
    return detect_server_bytes(&detect, bytes, len, now);
}

static enum detect_action at(uint64_t since_start)
{
    now = (struct usec){start.v + since_start};
    return detect_time(&detect, now);
}

static uint64_t deadline(void)
{
    return detect_deadline(&detect).v - start.v;
}

static bool waits_for_ever(void)
{
    return detect_deadline(&detect).v == USEC_NEVER.v && at(UINT64_MAX / 2) == DETECT_WAIT;
}

static void check_decided(enum detect_action verdict, enum detect_label label)
{
    ck_assert_int_eq(detect.verdict, verdict);
    ck_assert_int_eq(detect.label, label);
    ck_assert_uint_eq(detect_deadline(&detect).v, USEC_NEVER.v);
}

/* --- the client speaks --- */

START_TEST(the_preface_in_one_piece_is_http2_at_once)
{
    ck_assert_int_eq(client(preface, DETECT_PREFACE_LEN), DETECT_GO_HTTP2);
    check_decided(DETECT_GO_HTTP2, DETECT_LABEL_HTTP2);
}
END_TEST

START_TEST(the_preface_byte_by_byte_is_http2_at_the_last_one)
{
    for (size_t i = 0; i < DETECT_PREFACE_LEN - 1; i++) {
        ck_assert_int_eq(client(preface + i, 1), DETECT_WAIT);
    }

    ck_assert_int_eq(client(preface + DETECT_PREFACE_LEN - 1, 1), DETECT_GO_HTTP2);
}
END_TEST

START_TEST(the_preface_in_two_pieces_is_http2_wherever_it_is_cut)
{
    size_t cut = (size_t)_i + 1;

    ck_assert_int_eq(client(preface, cut), DETECT_WAIT);
    ck_assert_int_eq(client(preface + cut, DETECT_PREFACE_LEN - cut), DETECT_GO_HTTP2);
}
END_TEST

START_TEST(the_first_byte_that_differs_is_tcp_wherever_it_comes)
{
    size_t place = (size_t)_i;

    for (size_t i = 0; i < place; i++) {
        ck_assert_int_eq(client(preface + i, 1), DETECT_WAIT);
    }

    ck_assert_int_eq(client("\x01", 1), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

START_TEST(an_http1_request_is_tcp_at_once)
{
    ck_assert_int_eq(client("GET / HTTP/1.1\r\n", 16), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_HTTP1);
}
END_TEST

START_TEST(a_post_is_recognised_although_it_begins_like_the_preface)
{
    ck_assert_int_eq(client("P", 1), DETECT_WAIT);
    ck_assert_int_eq(client("OST / HTTP/1.1\r\n", 16), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_HTTP1);
}
END_TEST

START_TEST(a_tls_hello_is_tcp_at_once)
{
    ck_assert_int_eq(client("\x16\x03\x01\x02\x00", 5), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_TLS);
}
END_TEST

START_TEST(no_bytes_are_no_news)
{
    ck_assert_int_eq(client("", 0), DETECT_WAIT);
    ck_assert_int_eq(server("", 0), DETECT_WAIT);
    ck_assert_uint_eq(deadline(), SILENCE);
}
END_TEST

/* --- the client is silent --- */

START_TEST(a_silent_client_s_destination_is_dialled_after_a_few_milliseconds)
{
    ck_assert_uint_eq(deadline(), SILENCE);
    ck_assert_int_eq(at(SILENCE - 1), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
}
END_TEST

START_TEST(the_destination_is_dialled_only_once)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(at(2 * SILENCE), DETECT_WAIT);
    ck_assert(waits_for_ever());
}
END_TEST

START_TEST(a_known_server_first_destination_is_dialled_at_accept)
{
    begin(true);

    ck_assert(waits_for_ever());
}
END_TEST

START_TEST(a_known_server_first_destination_can_still_be_http2)
{
    begin(true);
    ck_assert_int_eq(server(settings, sizeof settings), DETECT_WAIT);

    ck_assert_int_eq(client(preface, DETECT_PREFACE_LEN), DETECT_GO_HTTP2);
}
END_TEST

START_TEST(a_server_that_greets_is_tcp_and_server_first)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(server(greeting, sizeof greeting - 1), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_SERVER_FIRST);
}
END_TEST

START_TEST(a_server_s_settings_are_held_for_ever)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(server(settings, sizeof settings), DETECT_WAIT);
    ck_assert(waits_for_ever());
}
END_TEST

START_TEST(a_client_that_wakes_hours_after_the_settings_is_http2)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(server(settings, sizeof settings), DETECT_WAIT);
    ck_assert_int_eq(at(UINT64_C(7200) * 1000000), DETECT_WAIT);

    ck_assert_int_eq(client(preface, 10), DETECT_WAIT);
    ck_assert(waits_for_ever()); /* however slowly it speaks */
    ck_assert_int_eq(client(preface + 10, DETECT_PREFACE_LEN - 10), DETECT_GO_HTTP2);
    check_decided(DETECT_GO_HTTP2, DETECT_LABEL_HTTP2);
}
END_TEST

START_TEST(a_client_that_speaks_something_else_after_the_settings_is_tcp_but_not_server_first)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(server(settings, sizeof settings), DETECT_WAIT);

    ck_assert_int_eq(client("GET / HTTP/1.1\r\n", 16), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_HTTP1);
}
END_TEST

START_TEST(settings_byte_by_byte_are_held)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    for (size_t i = 0; i < sizeof settings; i++) {
        ck_assert_int_eq(server(settings + i, 1), DETECT_WAIT);
    }

    ck_assert(waits_for_ever());
}
END_TEST

START_TEST(a_server_that_leaves_the_header_of_settings_at_any_byte_is_server_first)
{
    size_t place = (size_t)_i;

    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    for (size_t i = 0; i < place; i++) {
        ck_assert_int_eq(server(settings + i, 1), DETECT_WAIT);
    }

    ck_assert_int_eq(server("\xff", 1), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_SERVER_FIRST);
}
END_TEST

START_TEST(what_follows_the_header_of_settings_does_not_matter)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(server(settings, DETECT_FRAME_HEADER_LEN), DETECT_WAIT);

    ck_assert_int_eq(server("\xff\xff\xff", 3), DETECT_WAIT);
}
END_TEST

START_TEST(an_unfinished_frame_header_is_held_for_a_second_and_never_marked_server_first)
{
    size_t len = (size_t)_i + 1;

    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(server(settings, len), DETECT_WAIT);

    ck_assert_uint_eq(deadline(), SILENCE + HOLD);
    ck_assert_int_eq(at(SILENCE + HOLD - 1), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE + HOLD), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

/* --- the client stops within the preface --- */

START_TEST(a_held_prefix_becomes_tcp_after_a_second_of_a_silent_server)
{
    size_t len = (size_t)_i + 1;

    ck_assert_int_eq(client(preface, len), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_uint_eq(deadline(), HOLD);
    ck_assert_int_eq(at(HOLD - 1), DETECT_WAIT);
    ck_assert_int_eq(at(HOLD), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

START_TEST(the_second_runs_from_the_first_held_byte_and_more_bytes_do_not_prolong_it)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(at(300000), DETECT_WAIT);
    ck_assert_int_eq(client(preface, 1), DETECT_WAIT);
    ck_assert_int_eq(at(900000), DETECT_WAIT);
    ck_assert_int_eq(client(preface + 1, 1), DETECT_WAIT);

    ck_assert_uint_eq(deadline(), 300000 + HOLD);
    ck_assert_int_eq(at(300000 + HOLD), DETECT_GO_TCP);
}
END_TEST

START_TEST(a_held_prefix_s_destination_is_dialled_so_that_its_server_can_speak)
{
    ck_assert_int_eq(client(preface, 3), DETECT_WAIT);

    ck_assert_uint_eq(deadline(), SILENCE);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
}
END_TEST

START_TEST(settings_within_the_second_support_the_held_prefix_for_ever)
{
    ck_assert_int_eq(client(preface, 3), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(at(HOLD - 1), DETECT_WAIT);

    ck_assert_int_eq(server(settings, sizeof settings), DETECT_WAIT);
    ck_assert(waits_for_ever());
}
END_TEST

START_TEST(a_greeting_ends_the_hold_of_a_prefix)
{
    ck_assert_int_eq(client("P", 1), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(server(greeting, sizeof greeting - 1), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_SERVER_FIRST);
}
END_TEST

/* --- ends --- */

START_TEST(a_client_that_ends_in_silence_is_tcp)
{
    ck_assert_int_eq(detect_client_eof(&detect), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

START_TEST(a_client_that_ends_within_the_preface_is_tcp)
{
    ck_assert_int_eq(client(preface, DETECT_PREFACE_LEN - 1), DETECT_WAIT);

    ck_assert_int_eq(detect_client_eof(&detect), DETECT_GO_TCP);
}
END_TEST

START_TEST(a_client_that_ends_after_the_server_s_settings_is_tcp)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(server(settings, sizeof settings), DETECT_WAIT);

    ck_assert_int_eq(detect_client_eof(&detect), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

START_TEST(a_server_that_closes_without_a_word_is_passed_on_to_a_silent_client)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(detect_server_eof(&detect), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

START_TEST(a_server_that_gives_up_on_a_late_client_after_its_settings_leaves_it_waiting)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(server(settings, sizeof settings), DETECT_WAIT);

    ck_assert_int_eq(detect_server_eof(&detect), DETECT_WAIT);
    ck_assert(waits_for_ever());
    ck_assert_int_eq(client(preface, DETECT_PREFACE_LEN), DETECT_GO_HTTP2);
}
END_TEST

START_TEST(a_server_that_closes_within_a_frame_header_spoke_something_else)
{
    size_t len = (size_t)_i + 1;

    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(server(settings, len), DETECT_WAIT);

    ck_assert_int_eq(detect_server_eof(&detect), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_SERVER_FIRST);
}
END_TEST

START_TEST(a_server_that_closes_without_a_word_leaves_a_held_prefix_its_second)
{
    ck_assert_int_eq(client(preface, 5), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(detect_server_eof(&detect), DETECT_WAIT);
    ck_assert_uint_eq(deadline(), HOLD);
    ck_assert_int_eq(at(HOLD), DETECT_GO_TCP);
}
END_TEST

/* --- a failed dial --- */

START_TEST(a_failed_dial_ends_a_silent_client_s_wait)
{
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(detect_dial_failed(&detect), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

START_TEST(a_failed_dial_does_not_end_a_begun_preface)
{
    ck_assert_int_eq(client(preface, 5), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);

    ck_assert_int_eq(detect_dial_failed(&detect), DETECT_WAIT);
    ck_assert_int_eq(client(preface + 5, DETECT_PREFACE_LEN - 5), DETECT_GO_HTTP2);
}
END_TEST

START_TEST(after_a_failed_dial_a_held_prefix_still_becomes_tcp)
{
    ck_assert_int_eq(client(preface, 5), DETECT_WAIT);
    ck_assert_int_eq(at(SILENCE), DETECT_DIAL);
    ck_assert_int_eq(detect_dial_failed(&detect), DETECT_WAIT);

    ck_assert_uint_eq(deadline(), HOLD);
    ck_assert_int_eq(at(HOLD), DETECT_GO_TCP);
}
END_TEST

/* --- all orders --- */

START_TEST(a_verdict_stays_whatever_comes_after_it)
{
    ck_assert_int_eq(client("SSH-2.0-x\r\n", 11), DETECT_GO_TCP);

    ck_assert_int_eq(client(preface, DETECT_PREFACE_LEN), DETECT_GO_TCP);
    ck_assert_int_eq(server(settings, sizeof settings), DETECT_GO_TCP);
    ck_assert_int_eq(server(greeting, sizeof greeting - 1), DETECT_GO_TCP);
    ck_assert_int_eq(detect_client_eof(&detect), DETECT_GO_TCP);
    ck_assert_int_eq(detect_server_eof(&detect), DETECT_GO_TCP);
    ck_assert_int_eq(detect_dial_failed(&detect), DETECT_GO_TCP);
    ck_assert_int_eq(at(10 * HOLD), DETECT_GO_TCP);
    check_decided(DETECT_GO_TCP, DETECT_LABEL_OTHER);
}
END_TEST

/*
 * A gRPC client and server in every interleaving of their bytes, in random pieces, with time that passes less than the hold between
 * the client's first byte and the server's first: always HTTP/2, decided exactly at the 24th byte.
 */
START_TEST(grpc_is_http2_in_every_order_of_pieces)
{
    struct rng rng;

    rng_init(&rng, (uint64_t)_i + 1);
    for (unsigned round = 0; round < 300; round++) {
        size_t client_sent = 0;
        size_t server_sent = 0;
        bool has_dialled = false;
        enum detect_action action = DETECT_WAIT;

        begin(false);
        while (client_sent < DETECT_PREFACE_LEN) {
            ck_assert_int_ne(action, DETECT_GO_TCP);
            ck_assert_int_ne(action, DETECT_GO_HTTP2);
            if (has_dialled && server_sent < sizeof settings && rng_below(&rng, 2) == 0) {
                size_t len = 1 + (size_t)rng_below(&rng, sizeof settings - server_sent);
                action = server(settings + server_sent, len);
                server_sent += len;
            } else if (rng_below(&rng, 2) == 0) {
                size_t len = 1 + (size_t)rng_below(&rng, DETECT_PREFACE_LEN - client_sent);
                action = client(preface + client_sent, len);
                client_sent += len;
            } else {
                action = at(now.v - start.v + rng_below(&rng, 4000));
                has_dialled = has_dialled || action == DETECT_DIAL;
            }
        }
        ck_assert_int_eq(action, DETECT_GO_HTTP2);
    }
}
END_TEST

/* Whatever happens, a deadline lies ahead until it is acted on, dialling happens once, and a decided machine stays decided. */
START_TEST(random_events_keep_the_machine_s_promises)
{
    struct rng rng;
    uint64_t time = 0;

    rng_init(&rng, (uint64_t)_i + 100);
    for (unsigned round = 0; round < 300; round++) {
        unsigned dials = 0;
        enum detect_action verdict = DETECT_WAIT;

        begin(false);
        time = 0;
        for (unsigned step = 0; step < 30; step++) {
            uint8_t byte = (uint8_t)(rng_below(&rng, 4) == 0 ? rng_below(&rng, 256) : 0);
            enum detect_action action = DETECT_WAIT;

            switch (rng_below(&rng, 8)) {
            case 0:
                action = client(preface + (detect.client_len < 23 ? detect.client_len : 23), 1);
                break;
            case 1:
                action = server(settings + (detect.server_len < 9 ? detect.server_len : 9), 1);
                break;
            case 2:
                action = server(&byte, 1);
                break;
            case 3:
                action = rng_below(&rng, 8) == 0 ? detect_server_eof(&detect) : DETECT_WAIT;
                break;
            case 4:
                action = rng_below(&rng, 8) == 0 ? detect_client_eof(&detect) : DETECT_WAIT;
                break;
            case 5:
                action = dials > 0 && rng_below(&rng, 8) == 0 ? detect_dial_failed(&detect) : DETECT_WAIT;
                break;
            default:
                time += rng_below(&rng, 100000);
                action = at(time);
                dials += action == DETECT_DIAL;
                ck_assert(usec_before(now, detect_deadline(&detect)));
                break;
            }
            ck_assert_uint_le(dials, 1);
            if (verdict != DETECT_WAIT) {
                ck_assert_int_eq(detect.verdict, verdict);
            }
            verdict = detect.verdict;
            ck_assert(action == verdict || action == DETECT_DIAL || action == DETECT_WAIT);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_preface_in_one_piece_is_http2_at_once,
        the_preface_byte_by_byte_is_http2_at_the_last_one,
        an_http1_request_is_tcp_at_once,
        a_post_is_recognised_although_it_begins_like_the_preface,
        a_tls_hello_is_tcp_at_once,
        no_bytes_are_no_news,
        a_silent_client_s_destination_is_dialled_after_a_few_milliseconds,
        the_destination_is_dialled_only_once,
        a_known_server_first_destination_is_dialled_at_accept,
        a_known_server_first_destination_can_still_be_http2,
        a_server_that_greets_is_tcp_and_server_first,
        a_server_s_settings_are_held_for_ever,
        a_client_that_wakes_hours_after_the_settings_is_http2,
        a_client_that_speaks_something_else_after_the_settings_is_tcp_but_not_server_first,
        settings_byte_by_byte_are_held,
        what_follows_the_header_of_settings_does_not_matter,
        the_second_runs_from_the_first_held_byte_and_more_bytes_do_not_prolong_it,
        a_held_prefix_s_destination_is_dialled_so_that_its_server_can_speak,
        settings_within_the_second_support_the_held_prefix_for_ever,
        a_greeting_ends_the_hold_of_a_prefix,
        a_client_that_ends_in_silence_is_tcp,
        a_client_that_ends_within_the_preface_is_tcp,
        a_client_that_ends_after_the_server_s_settings_is_tcp,
        a_server_that_closes_without_a_word_is_passed_on_to_a_silent_client,
        a_server_that_gives_up_on_a_late_client_after_its_settings_leaves_it_waiting,
        a_server_that_closes_without_a_word_leaves_a_held_prefix_its_second,
        a_failed_dial_ends_a_silent_client_s_wait,
        a_failed_dial_does_not_end_a_begun_preface,
        after_a_failed_dial_a_held_prefix_still_becomes_tcp,
        a_verdict_stays_whatever_comes_after_it,
    };
    TCase *tcase = unit_case("detect", setup, NULL, tests, sizeof tests / sizeof *tests);

    tcase_add_loop_test(tcase, the_preface_in_two_pieces_is_http2_wherever_it_is_cut, 0, DETECT_PREFACE_LEN - 1);
    tcase_add_loop_test(tcase, the_first_byte_that_differs_is_tcp_wherever_it_comes, 0, DETECT_PREFACE_LEN);
    tcase_add_loop_test(tcase, a_server_that_leaves_the_header_of_settings_at_any_byte_is_server_first, 0,
                        DETECT_FRAME_HEADER_LEN);
    tcase_add_loop_test(tcase, an_unfinished_frame_header_is_held_for_a_second_and_never_marked_server_first, 0,
                        DETECT_FRAME_HEADER_LEN - 1);
    tcase_add_loop_test(tcase, a_held_prefix_becomes_tcp_after_a_second_of_a_silent_server, 0, DETECT_PREFACE_LEN - 1);
    tcase_add_loop_test(tcase, a_server_that_closes_within_a_frame_header_spoke_something_else, 0, DETECT_FRAME_HEADER_LEN - 1);
    tcase_add_loop_test(tcase, grpc_is_http2_in_every_order_of_pieces, 0, 10);
    tcase_add_loop_test(tcase, random_events_keep_the_machine_s_promises, 0, 10);
    return unit_run("detect", tcase, (TCase *)NULL);
}
