/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of a request when an attempt fails: another endpoint where that is safe, else an answer that says what is known. */

#include <string.h>
#include <unistd.h>

#include "base/object.h"
#include "exchange_fixture.h"

static struct place *at;
static struct heard asked;

static void setup(void)
{
    asked = (struct heard){0};
    exchange_setup();
}

static void teardown(void)
{
    heard_clear(&asked);
    exchange_teardown();
}

static void assert_fine(void)
{
    assert_closed(&asked, H2_NO_ERROR, CLOSE_DONE);
    ck_assert_str_eq(value_of(asked.trailers, "grpc-status"), "0");
}

START_TEST(a_refused_stream_is_repeated_elsewhere_with_its_whole_body)
{
    struct place *first;
    struct heard *again;

    start_outbound(2);
    ask(&asked, "question");
    h2_stream_reset(next_request(&first)->stream, H2_REFUSED_STREAM);
    again = next_request(&at);

    ck_assert_ptr_ne(at, first);
    ck_assert_mem_eq(again->bytes, "question", 8);
    ck_assert(again->is_ended);
    ck_assert_uint_eq(retries(CLOSE_STREAM_REFUSED), 1);
    answer(again, "fine");
    assert_fine();
}
END_TEST

/* A request that place[0] refuses if it comes there; place[1] answers. True if it was refused. */
static bool ask_with_a_refuser(void)
{
    struct heard answered = {0};
    struct heard *there;
    bool is_refused;

    ask(&answered, "question");
    there = next_request(&at);
    is_refused = at == &place[0];
    if (is_refused) {
        h2_stream_reset(there->stream, H2_REFUSED_STREAM);
        there = next_request(&at);
        ck_assert_ptr_eq(at, &place[1]);
    }
    answer(there, "fine");
    assert_closed(&answered, H2_NO_ERROR, CLOSE_DONE);
    heard_clear(&answered);
    return is_refused;
}

START_TEST(an_endpoint_that_refuses_stream_after_stream_is_left_alone)
{
    unsigned refused = 0;

    start_outbound(2);
    for (int i = 0; i < 40; i++) {
        refused += ask_with_a_refuser();
    }

    ck_assert_uint_ge(refused, 1);
    ck_assert_uint_le(refused, 5);
}
END_TEST

START_TEST(trailers_are_repeated_too)
{
    struct heard *again;

    start_outbound(2);
    request_with(&asked, grpc_block(NULL), false);
    send_filler(asked.stream, 100);
    h2_stream_send_headers(asked.stream, H2_TRAILERS, block("x-sum", "7", NULL), true);
    h2_stream_reset(next_request(&at)->stream, H2_REFUSED_STREAM);
    again = next_request(&at);

    ck_assert_uint_eq(again->received, 100);
    ck_assert_str_eq(value_of(again->trailers, "x-sum"), "7");
    answer(again, "fine");
}
END_TEST

START_TEST(a_body_that_still_comes_follows_to_the_next_endpoint)
{
    struct heard *again;

    start_outbound(2);
    request_with(&asked, grpc_block(NULL), false);
    send_filler(asked.stream, 1000);
    h2_stream_reset(next_request(&at)->stream, H2_REFUSED_STREAM);
    again = next_request(&at);
    ck_assert_uint_eq(again->received, 1000);
    send_filler(asked.stream, 500);
    h2_stream_send_end(asked.stream);
    settle_flow();

    ck_assert_uint_eq(again->received, 1500);
    ck_assert(again->is_ended);
    answer(again, "fine");
    assert_fine();
    ck_assert_uint_eq(asked.sent, 1500);
}
END_TEST

START_TEST(a_body_longer_than_its_copy_is_not_repeated)
{
    start_outbound(2);
    request_with(&asked, grpc_block(NULL), false);
    send_filler(asked.stream, flow_options.retry_buffer_bytes + 1);
    h2_stream_reset(next_request(&at)->stream, H2_REFUSED_STREAM);
    settle_flow();

    assert_closed(&asked, H2_REFUSED_STREAM, CLOSE_STREAM_REFUSED); /* the client may repeat it */
    ck_assert(!has_next_request());
}
END_TEST

START_TEST(past_the_budget_of_headers_a_request_that_is_sent_is_not_repeated)
{
    struct heard first = {0};
    struct heard *request_there;

    start_outbound(1);
    ask(&first, "first"); /* the connection is there from now on */
    answer(next_request(&at), "fine");
    heard_clear(&first);
    worker->headers.max_bytes = 10;
    ask(&asked, "question");
    request_there = next_request(&at);
    ck_assert_uint_eq(worker->headers.used_bytes, 0);
    h2_stream_reset(request_there->stream, H2_REFUSED_STREAM);
    settle_flow();

    assert_closed(&asked, H2_REFUSED_STREAM, CLOSE_STREAM_REFUSED);
    ck_assert(!has_next_request());
}
END_TEST

START_TEST(past_the_budget_of_headers_no_request_waits_for_a_connection)
{
    start_outbound(2);
    worker->headers.max_bytes = 10;
    ask(&asked, "question");

    ck_assert_ptr_nonnull(asked.response);
    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "14");
    ck_assert_uint_eq(worker->headers.used_bytes, 0);
}
END_TEST

START_TEST(nothing_is_repeated_once_the_response_has_begun)
{
    struct heard *request_there;

    start_outbound(2);
    ask(&asked, "question");
    request_there = next_request(&at);
    h2_stream_send_headers(request_there->stream, H2_RESPONSE, response_block(), false);
    settle_flow();
    h2_stream_reset(request_there->stream, H2_REFUSED_STREAM);
    settle_flow();

    ck_assert_str_eq(value_of(asked.trailers, "grpc-status"), "14");
    ck_assert(!has_next_request());
}
END_TEST

START_TEST(the_number_of_attempts_is_bounded)
{
    start_outbound(3);
    flow_options.retry_attempts = 3;
    ask(&asked, "question");
    for (unsigned i = 0; i < 3; i++) {
        h2_stream_reset(next_request(&at)->stream, H2_REFUSED_STREAM);
    }
    settle_flow();

    assert_closed(&asked, H2_REFUSED_STREAM, CLOSE_STREAM_REFUSED);
    ck_assert_uint_eq(retries(CLOSE_STREAM_REFUSED), 2);
}
END_TEST

START_TEST(without_a_budget_nothing_is_repeated)
{
    start_outbound(2);
    connection->http->clusters[0]->retries.tokens = 0;
    connection->http->clusters[0]->retries.faded_at = USEC_NEVER; /* no time passes for it */
    ask(&asked, "question");
    connection->http->clusters[0]->retries.tokens = 0;
    h2_stream_reset(next_request(&at)->stream, H2_REFUSED_STREAM);
    settle_flow();

    assert_closed(&asked, H2_REFUSED_STREAM, CLOSE_STREAM_REFUSED);
    ck_assert_uint_eq(retries(CLOSE_STREAM_REFUSED), 0);
}
END_TEST

START_TEST(a_reset_that_says_nothing_of_not_being_processed_keeps_its_code)
{
    start_outbound(2);
    ask(&asked, "question");
    h2_stream_reset(next_request(&at)->stream, H2_INTERNAL_ERROR);
    settle_flow();

    assert_closed(&asked, H2_INTERNAL_ERROR, CLOSE_STREAM_RESET);
    ck_assert(!has_next_request());
}
END_TEST

START_TEST(a_lost_connection_is_unavailable_and_names_the_endpoint)
{
    char text[ADDR_TEXT_SIZE];

    start_outbound(2);
    ask(&asked, "question");
    (void)next_request(&at);
    h2_session_abandon(at->connections[0].session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    at->connections[0].session = NULL;
    settle_flow();

    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "14");
    ck_assert_ptr_nonnull(strstr(value_of(asked.response, "grpc-message"), addr_format(&at->addr, text)));
    ck_assert_ptr_nonnull(strstr(value_of(asked.response, "grpc-message"), "request was sent"));
    ck_assert(!has_next_request());
}
END_TEST

START_TEST(a_refused_connection_is_tried_elsewhere)
{
    close(place[0].listener);
    place[0].listener = -1;
    start_outbound(2);
    for (unsigned i = 0; i < 5; i++) { /* some of them try the dead one first */
        heard_clear(&asked);
        asked = (struct heard){0};
        ask(&asked, "question");
        answer(next_request(&at), "fine");
        ck_assert_ptr_eq(at, &place[1]);
        assert_fine();
    }
}
END_TEST

START_TEST(a_goaway_that_includes_the_request_is_no_reason_to_repeat_it)
{
    start_outbound(1);
    ask(&asked, "question");
    (void)next_request(&at);
    h2_session_close(at->connections[0].session, H2_INTERNAL_ERROR, CLOSE_SHUTDOWN);
    settle_flow();
    ck_assert_str_eq(value_of(asked.response, "grpc-status"), "14");
    ck_assert(!has_next_request());

    heard_clear(&asked);
    asked = (struct heard){0};
    ask(&asked, "the next one");
    answer(next_request(&at), "fine"); /* on a new connection */
    assert_fine();
}
END_TEST

START_TEST(an_inbound_request_is_never_repeated_here)
{
    start_inbound();
    ask(&asked, "question");
    h2_stream_reset(next_request(&at)->stream, H2_REFUSED_STREAM);
    settle_flow();

    assert_closed(&asked, H2_REFUSED_STREAM, CLOSE_STREAM_REFUSED); /* the peer's side knows the other endpoints */
}
END_TEST

START_TEST(an_endpoint_that_leaves_finishes_what_it_has_and_gets_nothing_new)
{
    struct heard *request_there;
    struct snapshot_endpoint other = {.addr = place[1].addr, .uid = "", .name = "", .weight = 1};
    struct snapshot_backend next = {.name = "default/greeter:50051", .version = 2, .endpoints = &other, .endpoint_count = 1};
    struct cluster *cluster;
    struct heard more = {0};

    start_outbound(1);
    ask(&asked, "question");
    request_there = next_request(&at);
    cluster = cluster_table_reconcile(worker->clusters, &next);
    cluster_unref(&cluster);
    for (unsigned i = 0; i < 5; i++) {
        ask(&more, "new");
        answer(next_request(&at), "fine");
        ck_assert_ptr_eq(at, &place[1]);
        heard_clear(&more);
        more = (struct heard){0};
    }
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 3); /* with the stand-in for the original destination */

    answer(request_there, "fine");
    assert_fine();
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 2);
}
END_TEST

UNIT_MAIN("attempt", setup, teardown, a_refused_stream_is_repeated_elsewhere_with_its_whole_body,
          an_endpoint_that_refuses_stream_after_stream_is_left_alone, trailers_are_repeated_too,
          a_body_that_still_comes_follows_to_the_next_endpoint, a_body_longer_than_its_copy_is_not_repeated,
          past_the_budget_of_headers_a_request_that_is_sent_is_not_repeated,
          past_the_budget_of_headers_no_request_waits_for_a_connection, nothing_is_repeated_once_the_response_has_begun,
          the_number_of_attempts_is_bounded, without_a_budget_nothing_is_repeated,
          a_reset_that_says_nothing_of_not_being_processed_keeps_its_code,
          a_lost_connection_is_unavailable_and_names_the_endpoint, a_refused_connection_is_tried_elsewhere,
          a_goaway_that_includes_the_request_is_no_reason_to_repeat_it, an_inbound_request_is_never_repeated_here,
          an_endpoint_that_leaves_finishes_what_it_has_and_gets_nothing_new)
