/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes that wait for slow readers: what a session may hold, what all may hold together, and who pays. */

#include <string.h>

#include "fixture.h"
#include "h2/host.h"

#define SESSION_MAX 100000

static struct byte_budget budget;
static struct h2_host host;
static struct heard a;
static struct heard b;
static struct end other_client;
static struct end other_server;

static void setup(void)
{
    fixture_setup();
    byte_budget_init(&budget, UINT64_MAX);
    h2_host_init(&host, loop, &budget, 0, SESSION_MAX);
    options.host = &host;
    options.stream_window_bytes = 1000000;
    options.connection_window_bytes = 1000000;
    a = (struct heard){0};
    b = (struct heard){0};
    other_client = (struct end){0};
    other_server = (struct end){0};
}

static void stop(struct end *e)
{
    if (e->session != NULL) {
        h2_session_abandon(e->session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    }
    for (size_t i = 0; i < ARRAY_LEN(e->heard); i++) {
        heard_clear(&e->heard[i]);
    }
    *e = (struct end){0};
}

static void teardown(void)
{
    stop(&other_client);
    stop(&other_server);
    stop(&client);
    stop(&server);
    h2_host_finish(&host);
    ck_assert_uint_eq(host.waiting_bytes, 0);
    ck_assert_uint_eq(byte_budget_used(&budget), 0);
    heard_clear(&a);
    heard_clear(&b);
    fixture_teardown();
}

/* In portions that a connection may hold. */
static void send_in_portions(struct h2_stream *s, size_t len)
{
    while (len > 0) {
        size_t n = len < SESSION_MAX / 2 ? len : SESSION_MAX / 2;

        send_filler(s, n);
        settle();
        len -= n;
    }
}

/* The answer to `a`, of which the client reads its window and no more. */
static struct heard *answer_with(size_t len)
{
    pair_start();
    a.is_holding = true;
    request(&a, true);
    settle();
    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), false);
    send_in_portions(served(0)->stream, options.stream_window_bytes + len);
    ck_assert_uint_eq(a.received, options.stream_window_bytes);
    return served(0);
}

static void read_on(size_t len)
{
    h2_stream_consume(a.stream, len);
    settle();
}

START_TEST(what_waits_for_a_reader_is_counted_until_it_is_read)
{
    answer_with(50000);
    ck_assert_uint_eq(byte_budget_used(&budget), 50000);
    ck_assert_uint_eq(host.waiting_bytes, 50000);
    read_on(1000000);

    ck_assert_uint_eq(a.received, 1050000);
    ck_assert_uint_eq(byte_budget_used(&budget), 0);
}
END_TEST

START_TEST(what_a_reset_drops_is_counted_no_more)
{
    struct heard *s = answer_with(50000);

    h2_stream_reset(s->stream, H2_CANCEL);
    settle();
    ck_assert_uint_eq(byte_budget_used(&budget), 0);
}
END_TEST

START_TEST(over_its_maximum_a_clients_new_requests_are_refused)
{
    answer_with(SESSION_MAX + 5000);
    request(&b, true);
    settle();
    assert_closed(&b, H2_REFUSED_STREAM, CLOSE_STREAM_REFUSED);
    ck_assert(b.is_unprocessed);
    ck_assert_uint_eq(server.requests, 1);
    ck_assert_uint_eq(host.counts.refused, 1);

    read_on(1000000);
    b = (struct heard){0};
    request(&b, true);
    settle();
    ck_assert_uint_eq(server.requests, 2);
    ck_assert(!a.is_closed);
}
END_TEST

START_TEST(over_its_maximum_a_connection_to_an_endpoint_takes_no_more)
{
    pair_start();
    request(&a, false);
    settle();
    served(0)->is_holding = true;
    send_in_portions(a.stream, 1000000 + SESSION_MAX + 5000);
    ck_assert_uint_eq(h2_session_capacity(client.session), 0);
    ck_assert(!h2_session_is_going_away(client.session));

    h2_stream_consume(served(0)->stream, 1000000);
    settle();
    ck_assert_uint_gt(h2_session_capacity(client.session), 0);
}
END_TEST

START_TEST(past_twice_its_maximum_a_session_is_sent_away)
{
    answer_with(2 * SESSION_MAX + 5000);
    settle();

    ck_assert_uint_eq(client.goaway_error, H2_ENHANCE_YOUR_CALM);
    assert_closed(&server.heard[0], H2_CANCEL, CLOSE_BUFFER_LIMIT);
    ck_assert_uint_eq(host.counts.evicted, 1);
    ck_assert_uint_eq(byte_budget_used(&budget), 0);
}
END_TEST

/* Another pair of sessions on the same host, whose server holds `len` bytes that its client does not read. */
static void start_other(size_t len)
{
    int fds[2];

    socket_pair(fds);
    end_start(&other_client, H2_CLIENT, fds[0], NULL, 0);
    end_start(&other_server, H2_SERVER, fds[1], NULL, 0);
    settle();
    b.is_holding = true;
    ck_assert_int_eq(h2_session_request(other_client.session, request_block(), true, &heard_ops, &b, &b.stream), 0);
    settle();
    h2_stream_send_headers(other_server.heard[0].stream, H2_RESPONSE, response_block(), false);
    send_in_portions(other_server.heard[0].stream, options.stream_window_bytes + len);
}

START_TEST(at_the_processs_maximum_who_holds_most_goes_and_the_other_stays)
{
    byte_budget_init(&budget, 100000);
    answer_with(40000);
    start_other(70000);
    settle();

    ck_assert_uint_eq(other_client.goaway_error, H2_ENHANCE_YOUR_CALM);
    assert_closed(&other_server.heard[0], H2_CANCEL, CLOSE_BUFFER_LIMIT);
    ck_assert_uint_eq(host.counts.evicted, 1);
    ck_assert(!client.is_closed);
    ck_assert_uint_eq(byte_budget_used(&budget), 40000);
    read_on(1000000);
    ck_assert_uint_eq(a.received, 1040000);
}
END_TEST

START_TEST(from_three_quarters_on_credit_is_withheld_until_bytes_have_left)
{
    byte_budget_init(&budget, 1000000);
    host.session_max_bytes = UINT32_MAX;
    answer_with(760000);
    ck_assert_int_eq(host.level, BUDGET_WITHHOLD);

    /* A reader that is fast; its stream has its credit back, its connection has not. */
    request(&b, false);
    settle();
    send_in_portions(b.stream, 1050000);
    ck_assert_uint_eq(served(1)->received, 1000000); /* the connection's window */
    ck_assert_uint_eq(host.counts.withheld, 1);
    ck_assert_int_eq(host.level, BUDGET_WITHHOLD);

    read_on(1000000);
    settle();
    ck_assert_int_eq(host.level, BUDGET_CALM);
    ck_assert_uint_eq(a.received, 1760000);
    ck_assert_uint_eq(served(1)->received, 1050000);
}
END_TEST

START_TEST(windows_of_streams_that_are_read_grow_and_others_stay)
{
    options.stream_window_bytes = 65535;
    options.max_window_bytes = 1 << 20;
    pair_start();
    b.is_holding = true;
    request(&a, false);
    request(&b, false);
    settle();
    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), false);
    h2_stream_send_headers(served(1)->stream, H2_RESPONSE, response_block(), false);
    send_filler(served(1)->stream, 90000);
    for (unsigned i = 0; i < 400 && a.stream->window_bytes == 65535; i++) {
        send_filler(served(0)->stream, 100000);
        settle();
    }

    ck_assert_uint_gt(a.stream->window_bytes, 65535);
    ck_assert_uint_eq(b.received, 65535);
    ck_assert_uint_eq(b.stream->window_bytes, 65535);
}
END_TEST

#define BLOCK_SIZE 50000

static const char *large_value(void)
{
    static char value[BLOCK_SIZE + 1];

    memset(value, 'x', BLOCK_SIZE);
    return value;
}

/* Large answers to `count` requests, whose client reads nothing more. */
static void answer_with_blocks(struct heard *asked, unsigned count)
{
    pair_start();
    for (unsigned i = 0; i < count; i++) {
        request(&asked[i], true);
    }
    settle();
    stream_want_read(h2_session_stream(client.session), false);
    for (unsigned i = 0; i < count; i++) {
        h2_stream_send_headers(served(i)->stream, H2_RESPONSE, block(":status", "200", "x-large", large_value(), NULL), true);
    }
    settle();
}

START_TEST(header_blocks_that_wait_are_counted_until_they_are_read)
{
    struct heard asked[20] = {0};

    host.session_max_bytes = UINT32_MAX;
    answer_with_blocks(asked, 20);
    ck_assert_uint_gt(host.waiting_bytes, 10 * BLOCK_SIZE); /* the rest is in the sockets */
    ck_assert_uint_eq(byte_budget_used(&budget), host.waiting_bytes);

    stream_want_read(h2_session_stream(client.session), true);
    settle();
    ck_assert_uint_eq(byte_budget_used(&budget), 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_closed(&asked[i], H2_NO_ERROR, CLOSE_DONE);
        heard_clear(&asked[i]);
    }
}
END_TEST

START_TEST(who_does_not_read_header_blocks_is_sent_away)
{
    struct heard asked[20] = {0};

    answer_with_blocks(asked, 20);
    ck_assert_uint_eq(host.counts.evicted, 1);
    assert_closed(&server.heard[19], H2_CANCEL, CLOSE_BUFFER_LIMIT);

    stream_want_read(h2_session_stream(client.session), true);
    settle();
    ck_assert_uint_eq(client.goaway_error, H2_ENHANCE_YOUR_CALM);
    for (unsigned i = 0; i < 20; i++) {
        heard_clear(&asked[i]);
    }
}
END_TEST

START_TEST(trailers_wait_with_their_body_and_go_with_it)
{
    struct heard *s = answer_with(50000);

    h2_stream_send_headers(s->stream, H2_TRAILERS, block("x-large", large_value(), NULL), true);
    settle();
    ck_assert_uint_gt(byte_budget_used(&budget), 50000 + BLOCK_SIZE);
    h2_stream_reset(s->stream, H2_CANCEL);
    settle();
    ck_assert_uint_eq(byte_budget_used(&budget), 0);
}
END_TEST

UNIT_MAIN("host", setup, teardown, what_waits_for_a_reader_is_counted_until_it_is_read, what_a_reset_drops_is_counted_no_more,
          over_its_maximum_a_clients_new_requests_are_refused, over_its_maximum_a_connection_to_an_endpoint_takes_no_more,
          past_twice_its_maximum_a_session_is_sent_away, at_the_processs_maximum_who_holds_most_goes_and_the_other_stays,
          from_three_quarters_on_credit_is_withheld_until_bytes_have_left, windows_of_streams_that_are_read_grow_and_others_stay,
          header_blocks_that_wait_are_counted_until_they_are_read, who_does_not_read_header_blocks_is_sent_away,
          trailers_wait_with_their_body_and_go_with_it)
