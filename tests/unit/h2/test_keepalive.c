/* SPDX-License-Identifier: Apache-2.0 */

/* PINGs of a session whose peer is silent. The peer is written by hand: it counts them and answers, or not. */

#include <unistd.h>

#include "fixture.h"
#include "net/timer.h"
#include "rawpeer.h"

static struct heard a;
static unsigned pings;    /* PINGs that came */
static unsigned settings; /* SETTINGS after the first */

static void setup(void)
{
    fixture_setup();
    memset(&peer, 0, sizeof peer);
    a = (struct heard){0};
    pings = 0;
    settings = 0;
    options.ping_after = usec_from_ms(10);
    options.ping_timeout = usec_from_ms(20);
}

static void teardown(void)
{
    heard_clear(&a);
    fixture_teardown();
    close(peer.fd);
}

/* Our client has told its first SETTINGS. */
static void call_silent(void)
{
    call_raw();
    raw_expect(&peer, RAW_SETTINGS);
    raw_frame(&peer, RAW_SETTINGS, RAW_ACK, 0, NULL, 0);
    settle();
}

static void on_wake(struct timer *t)
{
    timer_set(t, usec_from_ms(2));
}

/* Runs until that many questions have come, at most that long; each is answered. */
static void run(unsigned wanted, uint64_t at_most_ms)
{
    struct usec end = usec_add(loop_clock(), usec_from_ms(at_most_ms));
    struct raw_frame f;
    struct timer wake;

    timer_init(&wake, loop, on_wake);
    timer_set(&wake, usec_from_ms(1));
    while (pings + settings < wanted && usec_before(loop_clock(), end)) {
        loop_turn(loop, true);
        while (raw_next(&peer, &f)) {
            if (f.type == RAW_PING && f.flags == 0) {
                pings++;
                raw_frame(&peer, RAW_PING, RAW_ACK, 0, f.payload, 8);
            } else if (f.type == RAW_SETTINGS && f.flags == 0) {
                settings++;
                raw_frame(&peer, RAW_SETTINGS, RAW_ACK, 0, NULL, 0);
            }
        }
    }
    timer_stop(&wake);
}

static void send_response_headers(uint32_t stream, bool is_end)
{
    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_headers(&peer, stream, is_end, &out);
}

/* gRPC servers end a connection whose PINGs come too often while they send nothing (too_many_pings); nobody counts SETTINGS. */
START_TEST(a_silent_endpoint_with_streams_open_is_asked_again_and_again_without_pings)
{
    call_silent();
    request(&a, true);
    run(8, 20000);

    ck_assert_uint_eq(settings, 8);
    ck_assert_uint_eq(pings, 0);
    ck_assert(!client.is_closed);
}
END_TEST

START_TEST(without_streams_no_endpoint_is_asked)
{
    call_silent();
    request(&a, true);
    settle();
    send_response_headers(1, true);
    settle();
    ck_assert(a.is_closed);
    run(1, 60);

    ck_assert_uint_eq(settings + pings, 0);
}
END_TEST

/* Answers that have nothing to do with the question are as good. */
START_TEST(an_endpoint_that_sends_data_lives)
{
    struct timer wake;

    call_silent();
    request(&a, true);
    settle();
    send_response_headers(1, false);
    timer_init(&wake, loop, on_wake);
    timer_set(&wake, usec_from_ms(1));
    for (unsigned i = 0; i < 30; i++) {
        raw_frame(&peer, RAW_DATA, 0, 1, "x", 1);
        loop_turn(loop, true);
    }
    timer_stop(&wake);

    ck_assert_uint_eq(a.received, 30);
    ck_assert(!client.is_closed);
}
END_TEST

START_TEST(a_peer_that_does_not_answer_is_given_up)
{
    call_silent();
    request(&a, true);
    turn_until(&client.is_closed);

    ck_assert_int_eq(client.reason, CLOSE_PEER_TIMEOUT);
    assert_closed(&a, H2_INTERNAL_ERROR, CLOSE_PEER_TIMEOUT);
    ck_assert(!a.is_unprocessed);
}
END_TEST

START_TEST(a_server_notices_a_dead_client)
{
    int fds[2];

    socket_pair(fds);
    end_start(&server, H2_SERVER, fds[0], NULL, 0);
    peer.fd = fds[1];
    raw_send(&peer, RAW_PREFACE, RAW_PREFACE_LEN);
    raw_frame(&peer, RAW_SETTINGS, 0, 0, NULL, 0);
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    turn_until(&server.is_closed);

    ck_assert_int_eq(server.reason, CLOSE_PEER_TIMEOUT);
    assert_closed(served(0), H2_CANCEL, CLOSE_PEER_TIMEOUT);
}
END_TEST

START_TEST(an_idle_client_is_asked_with_pings)
{
    serve_raw();
    raw_expect(&peer, RAW_SETTINGS);
    run(3, 20000);

    ck_assert_uint_eq(pings, 3);
    ck_assert(!server.is_closed);
}
END_TEST

START_TEST(a_server_gives_a_dead_idle_client_up)
{
    serve_raw();
    turn_until(&server.is_closed);

    ck_assert_int_eq(server.reason, CLOSE_PEER_TIMEOUT);
}
END_TEST

START_TEST(zero_means_never)
{
    options.ping_after = (struct usec){0};
    call_silent();
    request(&a, true);
    run(1, 60);

    ck_assert_uint_eq(settings + pings, 0);
}
END_TEST

UNIT_MAIN("keepalive", setup, teardown, a_silent_endpoint_with_streams_open_is_asked_again_and_again_without_pings,
          without_streams_no_endpoint_is_asked, an_endpoint_that_sends_data_lives, a_peer_that_does_not_answer_is_given_up,
          a_server_notices_a_dead_client, an_idle_client_is_asked_with_pings, a_server_gives_a_dead_idle_client_up,
          zero_means_never)
