/* SPDX-License-Identifier: Apache-2.0 */

/* What a peer still gets of a session that ends, frame by frame and up to the FIN; a reset would show as a missing one. */

#include <unistd.h>

#include "base/object.h"
#include "h2/host.h"
#include "rawpeer.h"

static struct byte_budget budget;
static struct h2_host host;

static void setup(void)
{
    fixture_setup();
    memset(&peer, 0, sizeof peer);
    byte_budget_init(&budget, UINT64_MAX);
    h2_host_init(&host, loop, &budget, 0, UINT32_MAX);
    options.host = &host;
}

static void teardown(void)
{
    close(peer.fd);
    h2_host_finish(&host);
    fixture_teardown();
}

static void open_stream(uint32_t id)
{
    raw_request(&out);
    raw_headers(&peer, id, false, &out);
    settle();
}

/* Response, `len` body bytes and trailers, ordered but not yet sent. */
static void order_answer(struct h2_stream *s, size_t len)
{
    h2_stream_send_headers(s, H2_RESPONSE, response_block(), false);
    send_filler(s, len);
    h2_stream_send_headers(s, H2_TRAILERS, block("grpc-status", "14", NULL), true);
}

static void abandon(void)
{
    h2_session_abandon(server.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    server.session = NULL;
}

static void assert_next(enum raw_type type, uint8_t flags)
{
    struct raw_frame f;

    ck_assert_msg(raw_next(&peer, &f), "no frame came where type %d was due", (int)type);
    ck_assert_uint_eq(f.type, type);
    ck_assert_uint_eq(f.flags, flags);
}

static void skip_settings(void)
{
    while (raw_find(&peer, RAW_SETTINGS, &(struct raw_frame){0})) {
    }
}

/* The server's last frames are an answer of `len` bytes on one stream, GOAWAY, and its FIN. */
static void assert_answer_and_end(size_t len)
{
    struct raw_frame f = {0};
    size_t received = 0;

    assert_next(RAW_HEADERS, RAW_END_HEADERS);
    while (raw_next(&peer, &f) && f.type == RAW_DATA) {
        received += f.len;
    }
    ck_assert_uint_eq(received, len);
    ck_assert_uint_eq(f.type, RAW_HEADERS);
    ck_assert_uint_eq(f.flags, RAW_END_HEADERS | RAW_END_STREAM);
    while (raw_next(&peer, &f) && f.type == RAW_RST) { /* the request was not complete */
        ck_assert_uint_eq(raw_u32(f.payload), H2_NO_ERROR);
    }
    ck_assert_uint_eq(f.type, RAW_GOAWAY);
    ck_assert(!raw_next(&peer, &f));
    ck_assert(peer.has_ended);
}

START_TEST(an_answer_ordered_before_the_end_arrives_whole)
{
    serve_raw();
    open_stream(1);
    skip_settings();
    order_answer(served(0)->stream, 1000);
    h2_session_close(server.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    settle();

    assert_closed(served(0), H2_CANCEL, CLOSE_SHUTDOWN);
    assert_answer_and_end(1000);
    ck_assert(!server.is_closed); /* it waits for our end */
    shutdown(peer.fd, SHUT_WR);
    settle();
    ck_assert(server.is_closed);
}
END_TEST

/* What the peer sent and nobody read would turn close() into a reset, which destroys what the peer has not read. */
START_TEST(an_abandoned_session_says_its_last_words_in_spite_of_unread_input)
{
    static const uint8_t filler[16000];

    serve_raw();
    open_stream(1);
    skip_settings();
    order_answer(served(0)->stream, 1000);
    h2_stream_detach(served(0)->stream, H2_CANCEL);
    abandon();
    for (unsigned i = 0; i < 4; i++) {
        raw_frame(&peer, RAW_DATA, 0, 1, filler, sizeof filler);
    }
    settle();

    raw_frame(&peer, RAW_DATA, 0, 1, filler, 1000);
    settle();
    assert_answer_and_end(1000);
}
END_TEST

START_TEST(an_answer_larger_than_the_peers_window_goes_on_with_its_updates)
{
    uint8_t more[4];

    serve_raw();
    open_stream(1);
    skip_settings();
    order_answer(served(0)->stream, 200000);
    h2_stream_detach(served(0)->stream, H2_CANCEL);
    abandon();
    settle();
    raw_put32(more, 150000);
    raw_frame(&peer, RAW_WINDOW, 0, 1, more, sizeof more);
    raw_frame(&peer, RAW_WINDOW, 0, 0, more, sizeof more);
    for (unsigned i = 0; i < 20; i++) {
        settle();
        raw_receive(&peer);
    }

    assert_answer_and_end(200000);
}
END_TEST

START_TEST(answers_larger_than_the_out_buffer_all_arrive)
{
    enum { STREAMS = 40 };
    unsigned ended = 0;
    struct raw_frame f;

    options.out_buffer_bytes = 4096;
    serve_raw();
    for (unsigned i = 0; i < STREAMS; i++) {
        open_stream(2 * i + 1);
    }
    skip_settings();
    for (unsigned i = 0; i < STREAMS; i++) {
        order_answer(served(i)->stream, 1000);
        h2_stream_detach(served(i)->stream, H2_CANCEL);
    }
    abandon();
    settle();

    while (raw_next(&peer, &f)) {
        ended += f.type == RAW_HEADERS && (f.flags & RAW_END_STREAM) != 0;
    }
    ck_assert_uint_eq(ended, STREAMS);
    ck_assert(peer.has_ended);
}
END_TEST

START_TEST(a_request_that_comes_in_the_last_moment_is_refused)
{
    serve_raw();
    open_stream(1);
    skip_settings();
    order_answer(served(0)->stream, 100000); /* more than its window: the session waits for an update */
    h2_stream_detach(served(0)->stream, H2_CANCEL);
    abandon();
    settle();
    raw_request(&out);
    raw_headers(&peer, 3, true, &out);
    settle();

    struct raw_frame f = raw_expect(&peer, RAW_RST);

    ck_assert_uint_eq(f.stream, 3);
    ck_assert_uint_eq(raw_u32(f.payload), H2_REFUSED_STREAM);
    ck_assert_uint_eq(server.requests, 1);
}
END_TEST

START_TEST(an_answer_that_is_not_complete_is_cut_off)
{
    struct raw_frame f = {0};

    serve_raw();
    open_stream(1);
    skip_settings();
    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), false);
    send_filler(served(0)->stream, 1000);
    h2_session_close(server.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    settle();

    assert_next(RAW_HEADERS, RAW_END_HEADERS);
    ck_assert(!raw_find(&peer, RAW_DATA, &f) || (f.flags & RAW_END_STREAM) == 0);
    ck_assert(peer.has_ended);
}
END_TEST

START_TEST(in_an_end_in_error_bodies_are_dropped)
{
    struct raw_frame f = {0};

    serve_raw();
    open_stream(1);
    skip_settings();
    order_answer(served(0)->stream, 100000);
    h2_session_close(server.session, H2_ENHANCE_YOUR_CALM, CLOSE_PROTOCOL_ERROR);
    settle();

    while (raw_next(&peer, &f) && f.type != RAW_GOAWAY) {
        ck_assert_uint_ne(f.type, RAW_DATA);
    }
    ck_assert_uint_eq(f.type, RAW_GOAWAY);
    ck_assert_uint_eq(raw_u32(f.payload + 4), H2_ENHANCE_YOUR_CALM);
    ck_assert(!raw_next(&peer, &f));
    ck_assert(peer.has_ended);
}
END_TEST

START_TEST(a_peer_that_never_closes_is_not_waited_for_for_ever)
{
    serve_raw();
    open_stream(1);
    order_answer(served(0)->stream, 100000); /* and never opens its window */
    h2_session_close(server.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    turn_until(&server.is_closed);

    ck_assert_int_eq(server.reason, CLOSE_SHUTDOWN);
}
END_TEST

START_TEST(the_end_of_a_loop_waits_for_farewells)
{
    serve_raw();
    open_stream(1);
    skip_settings();
    order_answer(served(0)->stream, 1000);
    h2_stream_detach(served(0)->stream, H2_CANCEL);
    abandon();
    h2_host_finish(&host);

    assert_answer_and_end(1000);
    ck_assert_int_eq(object_live(OBJECT_H2_SESSION), 0);
}
END_TEST

UNIT_MAIN("farewell", setup, teardown, an_answer_ordered_before_the_end_arrives_whole,
          an_abandoned_session_says_its_last_words_in_spite_of_unread_input,
          an_answer_larger_than_the_peers_window_goes_on_with_its_updates, answers_larger_than_the_out_buffer_all_arrive,
          a_request_that_comes_in_the_last_moment_is_refused, an_answer_that_is_not_complete_is_cut_off,
          in_an_end_in_error_bodies_are_dropped, a_peer_that_never_closes_is_not_waited_for_for_ever,
          the_end_of_a_loop_waits_for_farewells)
