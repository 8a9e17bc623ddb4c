/* SPDX-License-Identifier: Apache-2.0 */

/* PINGs of a session whose peer is silent. The peer is written by hand: it counts them and answers, or not. */

#include <unistd.h>

#include "fixture.h"
#include "net/timer.h"
#include "rawframes.h"

static struct raw peer;
static struct raw_block out;
static struct heard a;
static unsigned pings;

static void setup(void)
{
    fixture_setup();
    memset(&peer, 0, sizeof peer);
    a = (struct heard){0};
    pings = 0;
    options.ping_after = usec_from_ms(10);
    options.ping_timeout = usec_from_ms(20);
}

static void teardown(void)
{
    heard_clear(&a);
    fixture_teardown();
    close(peer.fd);
}

static void call_raw(void)
{
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    peer.fd = fds[1];
    peer.is_server = true;
    raw_frame(&peer, RAW_SETTINGS, 0, 0, NULL, 0);
    settle();
}

static void on_wake(struct timer *t)
{
    timer_set(t, usec_from_ms(2));
}

/* Runs until that many PINGs have come, at most that long; each is answered. */
static void run(unsigned wanted, uint64_t at_most_ms)
{
    struct usec end = usec_add(loop_clock(), usec_from_ms(at_most_ms));
    struct raw_frame f;
    struct timer wake;

    timer_init(&wake, loop, on_wake);
    timer_set(&wake, usec_from_ms(1));
    while (pings < wanted && usec_before(loop_clock(), end)) {
        loop_turn(loop, true);
        while (raw_next(&peer, &f)) {
            if (f.type == RAW_PING && f.flags == 0) {
                pings++;
                raw_frame(&peer, RAW_PING, RAW_ACK, 0, f.payload, 8);
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

START_TEST(a_silent_peer_with_streams_open_is_asked)
{
    call_raw();
    request(&a, true);
    run(1, 5000);

    ck_assert_uint_eq(pings, 1);
    ck_assert(!client.is_closed);
}
END_TEST

START_TEST(without_streams_nobody_is_asked)
{
    call_raw();
    request(&a, true);
    settle();
    send_response_headers(1, true);
    settle();
    ck_assert(a.is_closed);
    run(1, 60);

    ck_assert_uint_eq(pings, 0);
}
END_TEST

/* gRPC servers end a connection that asks too often while they send nothing (too_many_pings). */
START_TEST(a_peer_that_sends_nothing_is_not_asked_again)
{
    call_raw();
    request(&a, true);
    run(1, 5000);
    run(2, 150);

    ck_assert_uint_eq(pings, 1);
}
END_TEST

START_TEST(new_requests_are_worth_two_more_questions)
{
    struct heard more[6] = {0};

    call_raw();
    request(&a, true);
    run(1, 5000);
    for (unsigned i = 0; i < 6; i++) {
        request(&more[i], true);
        run(2 + i, i < 2 ? 5000 : 60);
    }

    ck_assert_uint_eq(pings, 3);
}
END_TEST

START_TEST(a_peer_that_sends_data_is_asked_each_time)
{
    call_raw();
    request(&a, true);
    settle();
    send_response_headers(1, false);
    for (unsigned i = 0; i < 5; i++) {
        raw_frame(&peer, RAW_DATA, 0, 1, "x", 1);
        run(1 + i, 5000);
    }

    ck_assert_uint_eq(pings, 5);
}
END_TEST

START_TEST(a_peer_that_does_not_answer_is_given_up)
{
    call_raw();
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

START_TEST(zero_means_never)
{
    options.ping_after = (struct usec){0};
    call_raw();
    request(&a, true);
    run(1, 60);

    ck_assert_uint_eq(pings, 0);
}
END_TEST

UNIT_MAIN("keepalive", setup, teardown, a_silent_peer_with_streams_open_is_asked, without_streams_nobody_is_asked,
          a_peer_that_sends_nothing_is_not_asked_again, new_requests_are_worth_two_more_questions,
          a_peer_that_sends_data_is_asked_each_time, a_peer_that_does_not_answer_is_given_up, a_server_notices_a_dead_client,
          zero_means_never)
