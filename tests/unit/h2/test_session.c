/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>

#include "fixture.h"

static struct heard a;
static struct heard b;

static void setup(void)
{
    fixture_setup();
    a = (struct heard){0};
    b = (struct heard){0};
}

static void teardown(void)
{
    heard_clear(&a);
    heard_clear(&b);
    fixture_teardown();
}

/* A request without a body has reached the server. */
static struct heard *start_get(void)
{
    pair_start();
    request(&a, true);
    settle();
    return served(0);
}

/* One with a body to come. */
static struct heard *start_post(void)
{
    pair_start();
    request(&a, false);
    settle();
    return served(0);
}

START_TEST(a_request_arrives_with_its_fields_in_order)
{
    pair_start();
    request_with(
        &a, block(":method", "GET", ":scheme", "http", ":path", "/x?y", ":authority", "shop", "one", "1", "two", "", NULL), true);
    settle();

    struct h2_headers *got = served(0)->request;

    ck_assert_uint_eq(got->count, 6);
    ck_assert(str_eq(got->field[0].name, STR(":method")));
    ck_assert(str_eq(got->field[4].name, STR("one")));
    ck_assert(str_eq(got->field[5].name, STR("two")));
    ck_assert_str_eq(value_of(got, ":path"), "/x?y");
    ck_assert(served(0)->is_ended);
}
END_TEST

START_TEST(a_response_with_body_and_trailers_arrives)
{
    struct heard *s = start_get();

    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    h2_stream_send_data(s->stream, (const uint8_t *)"hello", 5);
    h2_stream_send_headers(s->stream, H2_TRAILERS, block("grpc-status", "0", NULL), true);
    settle();

    ck_assert_str_eq(value_of(a.response, ":status"), "200");
    ck_assert_mem_eq(a.bytes, "hello", 5);
    ck_assert_uint_eq(a.received, 5);
    ck_assert_str_eq(value_of(a.trailers, "grpc-status"), "0");
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
    assert_closed(s, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(!a.is_unprocessed);
}
END_TEST

START_TEST(a_response_may_be_headers_only)
{
    struct heard *s = start_get();

    h2_stream_send_headers(s->stream, H2_RESPONSE, block(":status", "200", "grpc-status", "14", NULL), true);
    settle();

    ck_assert_str_eq(value_of(a.response, "grpc-status"), "14");
    ck_assert(a.is_ended);
    ck_assert_ptr_null(a.trailers);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(trailers_may_follow_an_empty_body)
{
    struct heard *s = start_get();

    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    settle();
    h2_stream_send_headers(s->stream, H2_TRAILERS, block("grpc-status", "5", NULL), true);
    settle();

    ck_assert_str_eq(value_of(a.trailers, "grpc-status"), "5");
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(an_empty_body_ends_by_itself)
{
    struct heard *s = start_post();

    h2_stream_send_end(a.stream);
    settle();
    ck_assert(s->is_ended);
    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    h2_stream_send_end(s->stream);
    settle();

    ck_assert(a.is_ended);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(request_trailers_arrive)
{
    struct heard *s = start_post();

    h2_stream_send_data(a.stream, (const uint8_t *)"x", 1);
    h2_stream_send_headers(a.stream, H2_TRAILERS, block("checksum", "7", NULL), true);
    settle();

    ck_assert_str_eq(value_of(s->trailers, "checksum"), "7");
    ck_assert(s->is_ended);
}
END_TEST

START_TEST(informational_responses_come_before_the_final_one)
{
    struct heard *s = start_get();

    h2_stream_send_headers(s->stream, H2_INFORMATIONAL, block(":status", "103", "link", "</a>", NULL), false);
    h2_stream_send_headers(s->stream, H2_INFORMATIONAL, block(":status", "103", NULL), false);
    settle();
    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    h2_stream_send_headers(s->stream, H2_TRAILERS, block("t", "1", NULL), true);
    settle();

    ck_assert_uint_eq(a.informational, 2);
    ck_assert_str_eq(value_of(a.response, ":status"), "200");
    ck_assert_str_eq(value_of(a.trailers, "t"), "1");
}
END_TEST

START_TEST(each_side_may_end_first)
{
    struct heard *s = start_post();

    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    h2_stream_send_end(a.stream);
    settle();
    ck_assert(s->is_ended);
    ck_assert(!a.is_ended);

    h2_stream_send_data(s->stream, (const uint8_t *)"late", 4);
    h2_stream_send_end(s->stream);
    settle();

    ck_assert_uint_eq(a.received, 4);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(a_response_before_the_requests_end_closes_the_stream)
{
    struct heard *s = start_post();

    h2_stream_send_headers(s->stream, H2_RESPONSE, block(":status", "413", NULL), true);
    settle();

    ck_assert(a.is_ended);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
    assert_closed(s, H2_NO_ERROR, CLOSE_DONE);
    ck_assert_uint_eq(h2_session_stream_count(server.session), 0);
    ck_assert_uint_eq(h2_session_stream_count(client.session), 0);
}
END_TEST

START_TEST(a_reset_by_the_client_keeps_its_code)
{
    struct heard *s = start_post();

    h2_stream_reset(a.stream, H2_CANCEL);
    settle();

    assert_closed(s, H2_CANCEL, CLOSE_CLIENT_RESET);
    assert_closed(&a, H2_CANCEL, CLOSE_DONE);
}
END_TEST

START_TEST(a_reset_by_the_server_keeps_its_code)
{
    struct heard *s = start_get();

    h2_stream_reset(s->stream, 77);
    settle();

    assert_closed(&a, 77, CLOSE_STREAM_RESET);
    ck_assert(!a.is_unprocessed);
}
END_TEST

START_TEST(a_refused_stream_is_unprocessed)
{
    struct heard *s = start_get();

    h2_stream_reset(s->stream, H2_REFUSED_STREAM);
    settle();

    assert_closed(&a, H2_REFUSED_STREAM, CLOSE_STREAM_REFUSED);
    ck_assert(a.is_unprocessed);
}
END_TEST

START_TEST(a_reset_before_anything_was_written_is_unprocessed)
{
    pair_start();
    request(&a, false);
    h2_stream_reset(a.stream, H2_CANCEL);
    settle();

    assert_closed(&a, H2_CANCEL, CLOSE_DONE);
    ck_assert(a.is_unprocessed);
    ck_assert_uint_eq(server.requests, 0);
}
END_TEST

START_TEST(orders_after_a_reset_are_harmless)
{
    struct heard *s = start_post();

    h2_stream_reset(s->stream, H2_INTERNAL_ERROR);
    h2_stream_reset(s->stream, H2_CANCEL);
    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    h2_stream_send_data(s->stream, (const uint8_t *)"x", 1);
    h2_stream_send_headers(s->stream, H2_TRAILERS, block("t", "1", NULL), true);
    h2_stream_send_end(s->stream);
    settle();

    assert_closed(&a, H2_INTERNAL_ERROR, CLOSE_STREAM_RESET);
    ck_assert_ptr_null(a.response);
}
END_TEST

START_TEST(a_detached_stream_is_reset_and_silent)
{
    struct heard *s = start_post();

    h2_stream_detach(a.stream, H2_CANCEL);
    settle();

    ck_assert(!a.is_closed);
    assert_closed(s, H2_CANCEL, CLOSE_CLIENT_RESET);
    ck_assert_uint_eq(h2_session_stream_count(client.session), 0);
}
END_TEST

START_TEST(a_detached_stream_whose_answer_is_ordered_still_delivers_it)
{
    struct heard *s = start_get();

    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    send_filler(s->stream, 50000);
    h2_stream_send_end(s->stream);
    h2_stream_detach(s->stream, H2_CANCEL);
    settle();

    ck_assert_uint_eq(a.received, 50000);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

/* --- sessions --- */

START_TEST(the_peers_stream_limit_bounds_requests)
{
    options.max_concurrent_streams = 2;
    pair_start();
    struct heard c = {0};
    struct h2_stream *none;

    ck_assert_uint_eq(h2_session_capacity(client.session), 2);
    request(&a, false);
    request(&b, true);
    ck_assert_uint_eq(h2_session_capacity(client.session), 0);
    ck_assert_int_eq(h2_session_request(client.session, request_block(), true, &heard_ops, &c, &none), -EAGAIN);
    settle();
    h2_stream_send_headers(served(1)->stream, H2_RESPONSE, response_block(), true);
    settle();
    ck_assert_uint_eq(h2_session_capacity(client.session), 1);
}
END_TEST

START_TEST(a_changed_stream_limit_reaches_the_peer)
{
    pair_start();
    ck_assert_uint_eq(h2_session_peer_max_streams(client.session), 100);
    h2_session_offer_streams(server.session, 7);
    settle();

    ck_assert_uint_eq(h2_session_peer_max_streams(client.session), 7);
    ck_assert_uint_eq(client.settings, 2);
}
END_TEST

START_TEST(a_limit_changed_before_the_first_turn_is_the_only_one_told)
{
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    end_start(&server, H2_SERVER, fds[1], NULL, 0);
    h2_session_offer_streams(server.session, 3);
    settle();

    ck_assert_uint_eq(h2_session_peer_max_streams(client.session), 3);
    ck_assert_uint_eq(client.settings, 1);
}
END_TEST

START_TEST(before_settings_a_hundred_streams_are_assumed)
{
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    end_start(&server, H2_SERVER, fds[1], NULL, 0);

    ck_assert(!h2_session_has_settings(client.session));
    ck_assert_uint_eq(h2_session_capacity(client.session), 100);
}
END_TEST

/* --- orders from within events --- */

static void reset_from_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    (void)data;
    h2_stream_consume(s, len);
    h2_stream_reset(s, H2_CANCEL);
}

static void close_from_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    (void)data;
    (void)len;
    h2_session_close(s->session, H2_NO_ERROR, CLOSE_INTERNAL);
}

static struct h2_stream_ops ops_with(void (*on_data)(struct h2_stream *, const uint8_t *, size_t))
{
    struct h2_stream_ops ops = heard_ops;

    ops.on_data = on_data;
    return ops;
}

START_TEST(a_stream_may_be_reset_from_its_own_event)
{
    struct heard *s = start_post();
    struct h2_stream_ops ops = ops_with(reset_from_data);

    s->stream->ops = &ops;
    send_filler(a.stream, 60000);
    settle();

    assert_closed(&a, H2_CANCEL, CLOSE_STREAM_RESET);
    ck_assert(s->is_closed);
}
END_TEST

START_TEST(a_session_may_be_closed_from_its_own_event)
{
    struct heard *s = start_post();
    struct h2_stream_ops ops = ops_with(close_from_data);

    s->stream->ops = &ops;
    send_filler(a.stream, 60000);
    settle();

    ck_assert(server.is_closed);
    assert_closed(s, H2_CANCEL, CLOSE_INTERNAL);
    ck_assert(client.is_closed);
}
END_TEST

UNIT_MAIN("session", setup, teardown, a_request_arrives_with_its_fields_in_order, a_response_with_body_and_trailers_arrives,
          a_response_may_be_headers_only, trailers_may_follow_an_empty_body, an_empty_body_ends_by_itself,
          request_trailers_arrive, informational_responses_come_before_the_final_one, each_side_may_end_first,
          a_response_before_the_requests_end_closes_the_stream, a_reset_by_the_client_keeps_its_code,
          a_reset_by_the_server_keeps_its_code, a_refused_stream_is_unprocessed,
          a_reset_before_anything_was_written_is_unprocessed, orders_after_a_reset_are_harmless,
          a_detached_stream_is_reset_and_silent, a_detached_stream_whose_answer_is_ordered_still_delivers_it,
          the_peers_stream_limit_bounds_requests, a_changed_stream_limit_reaches_the_peer,
          a_limit_changed_before_the_first_turn_is_the_only_one_told, before_settings_a_hundred_streams_are_assumed,
          a_stream_may_be_reset_from_its_own_event, a_session_may_be_closed_from_its_own_event)
