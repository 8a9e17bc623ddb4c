/* SPDX-License-Identifier: Apache-2.0 */

/* The client's side of an exchange, and its time. */

#include <string.h>

#include "base/object.h"
#include "exchange_fixture.h"
#include "flow/exchange_internal.h"

static struct place *at;

static struct endpoint *endpoint_of(const struct place *p)
{
    list_for_each(node, &connection->http->clusters[0]->endpoints) {
        struct endpoint *e = list_entry(node, struct endpoint, node);

        if (addr_eq(&e->addr, &p->addr)) {
            return e;
        }
    }
    ck_abort_msg("no such endpoint");
}

START_TEST(a_request_reaches_an_endpoint_and_its_answer_the_client)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(2);
    ask(&asked, "question");
    request_there = next_request(&at);
    ck_assert_str_eq(value_of(request_there->request, ":path"), "/");
    ck_assert_uint_eq(request_there->received, 8);
    ck_assert(request_there->is_ended);
    answer(request_there, "fine");

    assert_closed(&asked, H2_NO_ERROR, CLOSE_DONE);
    ck_assert_str_eq(value_of(asked.response, ":status"), "200");
    ck_assert_mem_eq(asked.bytes, "fine", 4);
    ck_assert_str_eq(value_of(asked.trailers, "grpc-status"), "0");
    ck_assert_uint_eq(load_in_flight(endpoint_of(at)->load), 0);
    ck_assert(endpoint_of(at)->stats.is_measured);
    ck_assert_int_eq(object_live(OBJECT_EXCHANGE), 0);
    heard_clear(&asked);
}
END_TEST

START_TEST(informational_responses_pass_before_the_final_one)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(1);
    ask(&asked, "question");
    request_there = next_request(&at);
    h2_stream_send_headers(request_there->stream, H2_INFORMATIONAL, block(":status", "103", "link", "x", NULL), false);
    settle_flow();
    ck_assert_uint_eq(asked.informational, 1);
    ck_assert_ptr_null(asked.response);
    answer(request_there, "fine");

    assert_closed(&asked, H2_NO_ERROR, CLOSE_DONE);
    heard_clear(&asked);
}
END_TEST

START_TEST(request_trailers_reach_the_endpoint)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(1);
    request_with(&asked, grpc_block(NULL), false);
    send_filler(asked.stream, 10);
    h2_stream_send_headers(asked.stream, H2_TRAILERS, block("x-sum", "7", NULL), true);
    request_there = next_request(&at);

    ck_assert_str_eq(value_of(request_there->trailers, "x-sum"), "7");
    answer(request_there, "fine");
    heard_clear(&asked);
}
END_TEST

static struct exchange *only_exchange(void)
{
    return list_entry(connection->http->exchanges.next, struct exchange, node);
}

START_TEST(request_trailers_are_kept_only_while_they_may_be_sent_again)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(1);
    request_with(&asked, grpc_block(NULL), false);
    h2_stream_send_headers(asked.stream, H2_TRAILERS, block("x-sum", "7", NULL), true);
    request_there = next_request(&at);
    ck_assert_ptr_nonnull(only_exchange()->trailers);
    h2_stream_send_headers(request_there->stream, H2_RESPONSE, response_block(), false);
    settle_flow();
    ck_assert_ptr_null(only_exchange()->trailers);
    h2_stream_send_headers(request_there->stream, H2_TRAILERS, block("grpc-status", "0", NULL), true);
    settle_flow();
    heard_clear(&asked);
}
END_TEST

START_TEST(request_trailers_that_come_after_the_response_began_pass_and_are_not_kept)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(1);
    request_with(&asked, grpc_block(NULL), false);
    request_there = next_request(&at);
    h2_stream_send_headers(request_there->stream, H2_RESPONSE, response_block(), false);
    settle_flow();
    h2_stream_send_headers(asked.stream, H2_TRAILERS, block("x-sum", "7", NULL), true);
    settle_flow();

    ck_assert_str_eq(value_of(request_there->trailers, "x-sum"), "7");
    ck_assert_ptr_null(only_exchange()->trailers);
    h2_stream_send_headers(request_there->stream, H2_TRAILERS, block("grpc-status", "0", NULL), true);
    settle_flow();
    heard_clear(&asked);
}
END_TEST

START_TEST(a_client_that_resets_its_request_resets_it_at_the_endpoint)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(1);
    request_with(&asked, grpc_block(NULL), false);
    request_there = next_request(&at);
    h2_stream_reset(asked.stream, H2_CANCEL);
    settle_flow();

    assert_closed(request_there, H2_CANCEL, CLOSE_CLIENT_RESET);
    ck_assert_uint_eq(load_in_flight(endpoint_of(at)->load), 0);
    ck_assert_int_eq(object_live(OBJECT_EXCHANGE), 0);
}
END_TEST

START_TEST(a_client_that_leaves_while_it_waits_for_a_connection_leaves_nothing)
{
    struct heard asked = {0};

    start_outbound(1);
    request_with(&asked, grpc_block(NULL), false);
    for (int i = 0; i < 100 && object_live(OBJECT_EXCHANGE) == 0; i++) {
        loop_turn(loop, false); /* nobody accepts meanwhile */
    }
    ck_assert_uint_eq(client_pool_waiting(endpoint_of(&place[0])->pool), 1);
    h2_stream_reset(asked.stream, H2_CANCEL);
    settle();

    ck_assert_uint_eq(client_pool_waiting(endpoint_of(&place[0])->pool), 0);
    ck_assert_uint_eq(load_in_flight(endpoint_of(&place[0])->load), 0);
    settle_flow();
    ck_assert(!has_next_request());
}
END_TEST

START_TEST(without_an_endpoint_a_request_is_unavailable_at_once)
{
    struct heard asked = {0};

    start_outbound(0);
    ask(&asked, "question");

    assert_closed(&asked, H2_NO_ERROR, CLOSE_DONE);
    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "14");
    ck_assert_uint_eq(failures(CLOSE_NO_ENDPOINT), 1);
    heard_clear(&asked);
}
END_TEST

START_TEST(without_a_route_a_request_is_unimplemented)
{
    struct heard asked = {0};

    start_outbound(1);
    request_with(&asked,
                 block(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "elsewhere", "content-type",
                       "application/grpc", NULL),
                 true);
    settle_flow();

    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "12");
    ck_assert(!has_next_request());
    heard_clear(&asked);
}
END_TEST

START_TEST(a_plain_request_that_fails_gets_a_plain_status)
{
    struct heard asked = {0};

    start_outbound(0);
    request(&asked, true);
    settle_flow();

    ck_assert_str_eq(value_of(asked.response, ":status"), "503");
    heard_clear(&asked);
}
END_TEST

/* The endpoint gives no credit back, so the client can send what the windows on the way hold, and no more. */
START_TEST(an_endpoint_that_does_not_read_stops_the_client)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(1);
    request_with(&asked, grpc_block(NULL), false);
    request_there = next_request(&at);
    request_there->is_holding = true;
    send_filler(asked.stream, 10 * 65535);
    settle_flow();

    ck_assert_uint_eq(request_there->received, 65535);
    ck_assert_uint_eq(asked.sent, 2 * 65535); /* the endpoint's window and ours */
    request_there->is_holding = false;
    h2_stream_consume(request_there->stream, 65535);
    settle_flow();
    settle_flow();
    ck_assert_uint_eq(request_there->received, 10 * 65535);
}
END_TEST

START_TEST(the_callers_deadline_ends_a_request_that_was_sent)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_outbound(1);
    request_with(&asked, grpc_block("grpc-timeout", "200m", NULL), true);
    request_there = next_request(&at);
    turn_until(&asked.is_closed);
    settle_flow();

    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "4");
    assert_closed(request_there, H2_CANCEL, CLOSE_CLIENT_RESET);
    ck_assert_uint_eq(failures(CLOSE_DEADLINE), 1);
    ck_assert_uint_eq(load_in_flight(endpoint_of(at)->load), 0);
    ck_assert_double_gt(endpoint_of(at)->stats.failing, 0);
    heard_clear(&asked);
}
END_TEST

START_TEST(the_callers_deadline_ends_a_request_that_waits_for_a_connection)
{
    struct heard asked = {0};

    start_outbound(1);
    request_with(&asked, grpc_block("grpc-timeout", "30m", NULL), true);
    turn_until(&asked.is_closed); /* nobody accepts meanwhile */

    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "4");
    ck_assert_uint_eq(client_pool_waiting(endpoint_of(&place[0])->pool), 0);
    ck_assert_double_eq(endpoint_of(&place[0])->stats.failing, 0);
    heard_clear(&asked);
}
END_TEST

START_TEST(a_deadline_that_is_kept_leaves_no_trace)
{
    struct heard asked = {0};

    start_outbound(1);
    request_with(&asked, grpc_block("grpc-timeout", "1H", NULL), true);
    answer(next_request(&at), "fine");

    assert_closed(&asked, H2_NO_ERROR, CLOSE_DONE);
    ck_assert_uint_eq(wheel_next(&worker->deadlines.wheel).v, USEC_NEVER.v);
    heard_clear(&asked);
}
END_TEST

START_TEST(at_shutdown_open_requests_are_answered)
{
    struct heard asked = {0};

    start_outbound(1);
    request_with(&asked, grpc_block(NULL), false);
    (void)next_request(&at);
    connection_close(connection, CLOSE_SHUTDOWN, false);
    settle_flow();

    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "14");
    ck_assert_int_eq(object_live(OBJECT_EXCHANGE), 0);
    heard_clear(&asked);
}
END_TEST

START_TEST(an_inbound_request_goes_to_the_app_and_counts_in_its_load)
{
    struct heard asked = {0};
    struct heard *request_there;

    start_inbound();
    ask(&asked, "question");
    request_there = next_request(&at);
    ck_assert_uint_eq(load_in_flight(connection->http->app_load.load), 1);
    answer(request_there, "fine");

    assert_closed(&asked, H2_NO_ERROR, CLOSE_DONE);
    ck_assert_uint_eq(load_in_flight(connection->http->app_load.load), 0);
    heard_clear(&asked);
}
END_TEST

START_TEST(an_inbound_request_says_where_it_came_from_if_it_shall)
{
    struct heard asked = {0};
    struct heard *request_there;

    flow_options.has_forwarded_for = true;
    start_inbound();
    request_with(&asked, grpc_block("x-forwarded-for", "1.2.3.4", NULL), true);
    request_there = next_request(&at);

    ck_assert_str_eq(value_of(request_there->request, "x-forwarded-for"), "1.2.3.4, 10.0.0.9");
    answer(request_there, "fine");
    heard_clear(&asked);
}
END_TEST

START_TEST(a_client_can_write_nothing_behind_where_its_request_came_from)
{
    struct heard asked = {0};
    struct heard *request_there;
    char many[5001] = {0};

    memset(many, 'x', sizeof many - 1);
    flow_options.has_forwarded_for = true;
    start_inbound();
    request_with(&asked, grpc_block("x-forwarded-for", many, "x-forwarded-for", "1.2.3.4", NULL), true);
    request_there = next_request(&at);

    const struct h2_headers *fields = request_there->request;
    unsigned count = 0;

    for (size_t i = 0; i < fields->count; i++) {
        count += str_eq(fields->field[i].name, STR("x-forwarded-for"));
    }
    ck_assert_uint_eq(count, 1);
    ck_assert(str_ends_with(h2_headers_value(fields, STR("x-forwarded-for")), STR("xxx, 1.2.3.4, 10.0.0.9")));
    answer(request_there, "fine");
    heard_clear(&asked);
}
END_TEST

UNIT_MAIN("exchange", exchange_setup, exchange_teardown, a_request_reaches_an_endpoint_and_its_answer_the_client,
          informational_responses_pass_before_the_final_one, request_trailers_reach_the_endpoint,
          request_trailers_are_kept_only_while_they_may_be_sent_again,
          request_trailers_that_come_after_the_response_began_pass_and_are_not_kept,
          a_client_that_resets_its_request_resets_it_at_the_endpoint,
          a_client_that_leaves_while_it_waits_for_a_connection_leaves_nothing,
          without_an_endpoint_a_request_is_unavailable_at_once, without_a_route_a_request_is_unimplemented,
          a_plain_request_that_fails_gets_a_plain_status, an_endpoint_that_does_not_read_stops_the_client,
          the_callers_deadline_ends_a_request_that_was_sent, the_callers_deadline_ends_a_request_that_waits_for_a_connection,
          a_deadline_that_is_kept_leaves_no_trace, at_shutdown_open_requests_are_answered,
          an_inbound_request_goes_to_the_app_and_counts_in_its_load, an_inbound_request_says_where_it_came_from_if_it_shall,
          a_client_can_write_nothing_behind_where_its_request_came_from)
