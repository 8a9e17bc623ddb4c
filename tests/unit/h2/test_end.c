/* SPDX-License-Identifier: Apache-2.0 */

/* How sessions end: closed, abandoned, drained; and what the peer still gets to read. */

#include <errno.h>
#include <unistd.h>

#include "fixture.h"
#include "rawpeer.h"

static struct heard a;
static struct heard b;

static void setup(void)
{
    fixture_setup();
    memset(&peer, 0, sizeof peer);
    peer.fd = -1;
    a = (struct heard){0};
    b = (struct heard){0};
}

static void teardown(void)
{
    heard_clear(&a);
    heard_clear(&b);
    fixture_teardown();
    close(peer.fd);
}

/* A request without a body has reached the server. */
static struct heard *start_get(void)
{
    pair_start();
    request(&a, true);
    settle();
    return served(0);
}

START_TEST(a_lost_connection_ends_sent_streams_as_processed)
{
    start_get();

    h2_session_close(server.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    settle();

    ck_assert(client.is_closed);
    ck_assert_int_eq(client.reason, CLOSE_PEER_EOF);
    assert_closed(&a, H2_INTERNAL_ERROR, CLOSE_PEER_EOF);
    ck_assert(!a.is_unprocessed);
    assert_closed(&server.heard[0], H2_CANCEL, CLOSE_SHUTDOWN);
}
END_TEST

START_TEST(a_session_closed_before_its_requests_left_ends_them_as_unprocessed)
{
    pair_start();
    request(&a, true);
    h2_session_close(client.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    ck_assert(!a.is_closed); /* not within the call */
    settle();

    assert_closed(&a, H2_REFUSED_STREAM, CLOSE_SHUTDOWN);
    ck_assert(a.is_unprocessed);
    ck_assert(client.is_closed);
}
END_TEST

START_TEST(requests_on_a_session_that_ends_are_refused)
{
    struct h2_stream *none;

    pair_start();
    h2_session_close(client.session, H2_NO_ERROR, CLOSE_SHUTDOWN);

    ck_assert_int_eq(h2_session_request(client.session, request_block(), true, &heard_ops, &a, &none), -EPIPE);
    ck_assert_uint_eq(h2_session_capacity(client.session), 0);
}
END_TEST

START_TEST(an_abandoned_session_is_silent)
{
    start_get();
    h2_session_abandon(client.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    client.session = NULL;
    settle();

    ck_assert(!client.is_closed);
    ck_assert(!a.is_closed);
    ck_assert(server.is_closed);
    assert_closed(&server.heard[0], H2_CANCEL, CLOSE_PEER_EOF);
}
END_TEST

START_TEST(closing_with_an_error_tells_the_peer)
{
    start_get();
    h2_session_close(server.session, H2_ENHANCE_YOUR_CALM, CLOSE_PROTOCOL_ERROR);
    settle();

    ck_assert_uint_eq(client.goaways, 1);
    ck_assert_uint_eq(client.goaway_error, H2_ENHANCE_YOUR_CALM);
    ck_assert(client.is_closed);
    ck_assert(server.is_closed);
    ck_assert_int_eq(server.reason, CLOSE_PROTOCOL_ERROR);
}
END_TEST

/* --- drain --- */

START_TEST(a_draining_server_finishes_its_streams)
{
    struct heard *s = start_get();

    h2_session_drain(server.session, CLOSE_DRAINED);
    settle();
    ck_assert_uint_eq(client.goaways, 2); /* the notice, then the last id */
    ck_assert_int_eq(client.goaway_last_id, 1);
    ck_assert(!server.is_closed);
    ck_assert(h2_session_is_going_away(client.session));

    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    send_filler(s->stream, 300000);
    h2_stream_send_end(s->stream);
    settle();

    ck_assert_uint_eq(a.received, 300000);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(server.is_closed);
    ck_assert_int_eq(server.reason, CLOSE_DRAINED);
    ck_assert(client.is_closed);
    ck_assert_int_eq(client.reason, CLOSE_GOAWAY);
}
END_TEST

START_TEST(a_request_on_its_way_when_the_drain_starts_is_served)
{
    pair_start();
    request(&a, true);
    h2_session_drain(server.session, CLOSE_DRAINED);
    settle();

    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), true);
    settle();

    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(server.is_closed);
}
END_TEST

START_TEST(an_idle_server_drains_at_once)
{
    pair_start();
    h2_session_drain(server.session, CLOSE_DRAINED);
    settle();

    ck_assert(server.is_closed);
    ck_assert(client.is_closed);
}
END_TEST

START_TEST(a_draining_client_takes_no_more_and_closes_after_the_last)
{
    struct heard *s = start_get();
    struct h2_stream *none;

    h2_session_drain(client.session, CLOSE_IDLE);
    settle();
    ck_assert(!client.is_closed);
    ck_assert_int_eq(h2_session_request(client.session, request_block(), true, &heard_ops, &b, &none), -EPIPE);

    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), true);
    settle();

    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(client.is_closed);
    ck_assert_int_eq(client.reason, CLOSE_IDLE);
    ck_assert_uint_eq(server.goaways, 1);
    ck_assert(server.is_closed);
}
END_TEST

START_TEST(a_goaway_with_an_error_is_passed_on)
{
    struct heard *s = start_get();

    h2_session_goaway(server.session, H2_ENHANCE_YOUR_CALM, CLOSE_GOAWAY);
    settle();
    ck_assert_uint_eq(client.goaway_error, H2_ENHANCE_YOUR_CALM);
    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), true);
    settle();

    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(server.is_closed);
}
END_TEST

/* --- on the wire --- */

START_TEST(a_drain_waits_for_the_ping_before_it_names_the_last_stream)
{
    struct raw_frame f = {0};

    serve_raw();
    h2_session_drain(server.session, CLOSE_DRAINED);
    settle();
    f = raw_expect(&peer, RAW_GOAWAY);
    ck_assert_uint_eq(raw_u32(f.payload), INT32_MAX);
    f = raw_expect(&peer, RAW_PING);
    ck_assert(!raw_find(&peer, RAW_GOAWAY, &(struct raw_frame){0}));

    raw_request(&out);
    raw_headers(&peer, 1, true, &out); /* sent before the notice arrived */
    raw_frame(&peer, RAW_PING, RAW_ACK, 0, f.payload, 8);
    settle();

    ck_assert_uint_eq(server.requests, 1);
    f = raw_expect(&peer, RAW_GOAWAY);
    ck_assert_uint_eq(raw_u32(f.payload), 1);

    raw_headers(&peer, 3, true, &out); /* too late: ignored */
    settle();
    ck_assert_uint_eq(server.requests, 1);

    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), true);
    settle();
    raw_expect(&peer, RAW_HEADERS);
    ck_assert(!raw_next(&peer, &f));
    ck_assert(peer.has_ended); /* FIN, and only after our own the socket is closed */
    ck_assert(!server.is_closed);
    shutdown(peer.fd, SHUT_WR);
    settle();
    ck_assert(server.is_closed);
    ck_assert_int_eq(server.reason, CLOSE_DRAINED);
}
END_TEST

START_TEST(a_lingering_session_does_not_wait_for_ever)
{
    serve_raw();
    h2_session_goaway(server.session, H2_NO_ERROR, CLOSE_DRAINED);
    turn_until(&server.is_closed); /* the peer never closes */

    ck_assert_int_eq(server.reason, CLOSE_DRAINED);
}
END_TEST

/* A response that is complete while its request is open; with `keeps_request` the server goes on reading. */
static struct heard *answer_early(bool keeps_request)
{
    struct heard *r;

    pair_start();
    request(&a, false);
    settle();
    r = served(0);
    if (keeps_request) {
        h2_stream_keep_request(r->stream);
    }
    h2_stream_send_headers(r->stream, H2_RESPONSE, response_block(), true);
    settle();
    ck_assert(a.is_ended);
    return r;
}

START_TEST(the_end_of_a_response_ends_its_request)
{
    struct heard *r = answer_early(false);

    assert_closed(r, H2_NO_ERROR, CLOSE_DONE);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(a_kept_request_outlives_its_response)
{
    struct heard *r = answer_early(true);

    ck_assert(!r->is_closed);
    send_filler(a.stream, 100);
    h2_stream_send_end(a.stream);
    settle();

    ck_assert_uint_eq(r->received, 100);
    assert_closed(r, H2_NO_ERROR, CLOSE_DONE);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(a_kept_request_can_be_dropped_later)
{
    struct heard *r = answer_early(true);

    h2_stream_drop_request(r->stream, H2_CANCEL);
    settle();

    assert_closed(r, H2_CANCEL, CLOSE_DONE);
    ck_assert(a.is_closed);
    ck_assert_uint_eq(a.error, H2_CANCEL);
}
END_TEST

START_TEST(a_dropped_request_does_not_cut_its_response_short)
{
    struct heard *r;

    options.stream_window_bytes = 65535;
    pair_start();
    a.is_holding = true;
    request(&a, false);
    settle();
    r = served(0);
    h2_stream_keep_request(r->stream);
    h2_stream_send_headers(r->stream, H2_RESPONSE, response_block(), false);
    send_filler(r->stream, 100000);
    h2_stream_send_end(r->stream);
    h2_stream_drop_request(r->stream, H2_NO_ERROR);
    settle();
    ck_assert_uint_eq(a.received, 65535); /* the rest waits for the window */
    ck_assert(!r->is_closed);
    h2_stream_consume(a.stream, 65535);
    settle();

    ck_assert_uint_eq(a.received, 100000);
    ck_assert(a.is_ended);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(a_detached_stream_sends_what_is_queued)
{
    struct heard *r;

    options.stream_window_bytes = 65535;
    pair_start();
    server.heard[0].is_holding = true;
    request(&a, false);
    settle();
    r = served(0);
    h2_stream_keep_request(r->stream);
    h2_stream_send_headers(r->stream, H2_RESPONSE, response_block(), true);
    send_filler(a.stream, 100000);
    h2_stream_send_end(a.stream);
    settle();
    h2_stream_detach(a.stream, H2_CANCEL);
    h2_stream_consume(r->stream, 65535);
    settle();

    ck_assert_uint_eq(r->received, 100000);
    assert_closed(r, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

UNIT_MAIN("end", setup, teardown, a_lost_connection_ends_sent_streams_as_processed,
          a_session_closed_before_its_requests_left_ends_them_as_unprocessed, requests_on_a_session_that_ends_are_refused,
          an_abandoned_session_is_silent, closing_with_an_error_tells_the_peer, a_draining_server_finishes_its_streams,
          a_request_on_its_way_when_the_drain_starts_is_served, an_idle_server_drains_at_once,
          a_draining_client_takes_no_more_and_closes_after_the_last, a_goaway_with_an_error_is_passed_on,
          a_drain_waits_for_the_ping_before_it_names_the_last_stream, a_lingering_session_does_not_wait_for_ever,
          the_end_of_a_response_ends_its_request, a_kept_request_outlives_its_response, a_kept_request_can_be_dropped_later,
          a_dropped_request_does_not_cut_its_response_short, a_detached_stream_sends_what_is_queued)
