/* SPDX-License-Identifier: Apache-2.0 */

/* Flow control: what a stalled reader holds, whom it stops, and that no credit is lost. */

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

/* A request with a body to come. */
static struct heard *start_post(void)
{
    pair_start();
    request(&a, false);
    settle();
    return served(0);
}

START_TEST(a_body_larger_than_the_window_passes)
{
    struct heard *s = start_post();
    size_t total = 5 * 1000 * 1000;

    send_filler(a.stream, total);
    h2_stream_send_end(a.stream);
    for (int i = 0; i < 100 && !s->is_ended; i++) {
        settle();
    }

    ck_assert_uint_eq(s->received, total);
    ck_assert_uint_eq(a.sent, total);
    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    send_filler(s->stream, total);
    h2_stream_send_end(s->stream);
    for (int i = 0; i < 100 && !a.is_ended; i++) {
        settle();
    }
    ck_assert_uint_eq(a.received, total);
    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(a_window_is_not_exceeded_and_grows_only_by_consumed_bytes)
{
    struct heard *s = start_post();

    s->is_holding = true;
    send_filler(a.stream, 200000);
    settle();
    ck_assert_uint_eq(s->received, 65535);
    ck_assert_uint_eq(a.sent, 65535);

    h2_stream_consume(s->stream, 40000);
    settle();
    ck_assert_uint_eq(s->received, 65535 + 40000);
}
END_TEST

START_TEST(a_stalled_stream_does_not_stall_another)
{
    struct heard *s = start_post();

    s->is_holding = true;
    send_filler(a.stream, 200000);
    settle();

    request(&b, false);
    settle();
    send_filler(b.stream, 300000);
    h2_stream_send_end(b.stream);
    settle();

    ck_assert_uint_eq(s->received, 65535);
    ck_assert_uint_eq(served(1)->received, 300000);
    ck_assert(served(1)->is_ended);
}
END_TEST

/* As on a pooled connection whose clients read at their own pace: together they hold far more than the connection's window. */
START_TEST(many_stalled_streams_do_not_stall_another_on_their_connection)
{
    enum { STALLED = 32 };
    static struct heard stalled[STALLED];

    options.connection_window_bytes = 65535 * 2;
    pair_start();
    for (unsigned i = 0; i < STALLED; i++) {
        request(&stalled[i], false);
        settle();
        stalled[i].is_holding = true;
        struct h2_stream *s = served(i)->stream;

        h2_stream_send_headers(s, H2_RESPONSE, response_block(), false);
        send_filler(s, 100000);
        settle();
        ck_assert_uint_eq(stalled[i].received, 65535);
    }
    request(&a, false);
    settle();
    h2_stream_send_headers(served(STALLED)->stream, H2_RESPONSE, response_block(), false);
    send_filler(served(STALLED)->stream, 3000000);
    for (unsigned i = 0; i < 100 && a.received < 3000000; i++) {
        settle();
    }

    ck_assert_uint_eq(a.received, 3000000);
    for (unsigned i = 0; i < STALLED; i++) {
        ck_assert_uint_eq(stalled[i].received, 65535);
        h2_stream_consume(stalled[i].stream, 65535);
    }
    settle();
    for (unsigned i = 0; i < STALLED; i++) {
        ck_assert_uint_eq(stalled[i].received, 100000);
        heard_clear(&stalled[i]);
    }
}
END_TEST

START_TEST(bytes_of_ended_streams_go_back_to_the_connections_window)
{
    options.connection_window_bytes = 65535 * 2;
    pair_start();
    for (unsigned i = 0; i < 6; i++) {
        struct heard h = {0};

        request(&h, false);
        settle();
        served(i)->is_holding = true;
        send_filler(h.stream, 65535);
        settle();
        ck_assert_uint_eq(served(i)->received, 65535);
        h2_stream_reset(h.stream, H2_CANCEL);
        settle();
        ck_assert(h.is_closed);
    }
}
END_TEST

START_TEST(bytes_that_come_after_a_detach_are_thrown_away_and_credited)
{
    options.connection_window_bytes = 65535;
    struct heard *s = start_post();

    h2_stream_send_headers(s->stream, H2_RESPONSE, response_block(), false);
    settle();
    for (int i = 0; i < 3; i++) {
        send_filler(s->stream, 65535);
    }
    h2_stream_send_end(s->stream);
    h2_stream_send_end(a.stream);
    h2_stream_detach(a.stream, H2_CANCEL);
    settle();
    request(&b, false);
    settle();
    h2_stream_send_headers(served(1)->stream, H2_RESPONSE, response_block(), false);
    send_filler(served(1)->stream, 65535 * 2);
    settle();

    ck_assert_uint_eq(b.received, 65535 * 2);
}
END_TEST

START_TEST(what_waits_for_the_socket_is_bounded)
{
    options.stream_window_bytes = 1 << 24;
    options.connection_window_bytes = 1 << 24;
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    end_start(&server, H2_SERVER, fds[1], NULL, 0);
    settle();
    request(&a, false);
    settle();
    /* The server does not get to read: one turn serialises, the kernel's buffer and ours fill up. */
    stream_want_read(h2_session_stream(server.session), false);
    send_filler(a.stream, 8 << 20);
    settle();
    ck_assert_uint_lt(a.sent, 1 << 20);

    stream_want_read(h2_session_stream(server.session), true);
    for (int i = 0; i < 100 && a.sent < 8 << 20; i++) {
        settle();
    }
    ck_assert_uint_eq(a.sent, 8 << 20);
}
END_TEST

START_TEST(padding_of_data_is_credited)
{
    uint8_t padded[256] = {254};

    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    /* Each frame carries one byte and 254 of padding: without their credit the window (65,535) ends after 257. */
    for (int i = 0; i < 1000; i++) {
        raw_frame(&peer, RAW_DATA, 0x8, 1, padded, sizeof padded);
        if (i % 100 == 99) {
            settle();
        }
    }

    ck_assert_uint_eq(served(0)->received, 1000);
    ck_assert(!server.is_closed);
}
END_TEST

UNIT_MAIN("credit", setup, teardown, a_body_larger_than_the_window_passes,
          a_window_is_not_exceeded_and_grows_only_by_consumed_bytes, a_stalled_stream_does_not_stall_another,
          many_stalled_streams_do_not_stall_another_on_their_connection, bytes_of_ended_streams_go_back_to_the_connections_window,
          bytes_that_come_after_a_detach_are_thrown_away_and_credited, what_waits_for_the_socket_is_bounded,
          padding_of_data_is_credited)
