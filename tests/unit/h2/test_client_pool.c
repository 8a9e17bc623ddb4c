/* SPDX-License-Identifier: Apache-2.0 */

/* The pool dials real listeners on loopback; each accepted connection becomes a server session that answers when told to. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "h2/client_pool.h"

#define ACCEPTED_MAX 40
#define ASKERS 64

struct asker {
    struct pool_waiter waiter;
    struct heard heard;
    struct h2_session *session;
    bool is_told;
    enum close_reason reason;
};

static struct client_pool *pool;
static struct pool_options pool_options;
static int listener;
static struct addr address;
static struct h2_options server_options;
static struct end accepted[ACCEPTED_MAX];
static unsigned accepted_count;
static struct asker askers[ASKERS];

static unsigned connected;
static unsigned failures;
static enum close_reason failure;
static unsigned closed;
static enum close_reason closed_reason;
static bool is_empty_told;

static void on_connected(void *ctx, struct usec connect_time)
{
    (void)ctx;
    (void)connect_time;
    connected++;
}

static void on_connect_failed(void *ctx, enum close_reason reason)
{
    (void)ctx;
    failures++;
    failure = reason;
}

static void on_session_closed(void *ctx, enum close_reason reason)
{
    (void)ctx;
    closed++;
    closed_reason = reason;
}

static void on_empty(void *ctx)
{
    (void)ctx;
    is_empty_told = true;
}

static const struct pool_ops pool_ops = {
    .on_connected = on_connected,
    .on_connect_failed = on_connect_failed,
    .on_session_closed = on_session_closed,
    .on_empty = on_empty,
};

static void setup(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    fixture_setup();
    memset(accepted, 0, sizeof accepted);
    memset(askers, 0, sizeof askers);
    accepted_count = 0;
    connected = 0;
    failures = 0;
    closed = 0;
    is_empty_told = false;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(listen(listener, 100), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    ck_assert(addr_from_sockaddr((struct sockaddr *)&sa, &address));
    server_options = options;
    server_options.max_concurrent_streams = 2;
    pool_options = (struct pool_options){
        .h2 = options,
        .connect_timeout = usec_from_s(5),
        .max_requests = 1000,
        .max_connections = 4,
        .max_waiting = 50,
    };
}

/* Pools are made by the tests, once their options are set. */
static void pool_start(void)
{
    pool = client_pool_new(loop, &address, &pool_options, &pool_ops, NULL);
}

static void teardown(void)
{
    for (unsigned i = 0; i < ASKERS; i++) {
        if (askers[i].waiter.on_ready != NULL) {
            client_pool_cancel(pool, &askers[i].waiter);
        }
        if (askers[i].heard.stream != NULL) {
            h2_stream_detach(askers[i].heard.stream, H2_CANCEL);
        }
        heard_clear(&askers[i].heard);
    }
    if (!is_empty_told) {
        client_pool_close(pool);
        turn_until(&is_empty_told);
    }
    client_pool_free(&pool);
    for (unsigned i = 0; i < accepted_count; i++) {
        if (accepted[i].session != NULL) {
            h2_session_abandon(accepted[i].session, H2_NO_ERROR, CLOSE_SHUTDOWN);
        }
        for (unsigned j = 0; j < ARRAY_LEN(accepted[i].heard); j++) {
            heard_clear(&accepted[i].heard[j]);
        }
    }
    if (listener >= 0) {
        close(listener);
    }
    fixture_teardown();
}

/* Accepts what has come; the sessions offer `server_options`. */
static void accept_all(void)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct h2_options saved = options;

        ck_assert_uint_lt(accepted_count, ACCEPTED_MAX);
        options = server_options;
        end_start(&accepted[accepted_count], H2_SERVER, fd, NULL, 0);
        accepted_count++;
        options = saved;
    }
}

static void settle_all(void)
{
    for (int i = 0; i < 20; i++) {
        settle();
        accept_all();
    }
}

static void open_stream(struct asker *a, struct h2_session *session)
{
    a->session = session;
    ck_assert_uint_gt(h2_session_capacity(session), 0);
    ck_assert_int_eq(h2_session_request(session, request_block(), true, &heard_ops, &a->heard, &a->heard.stream), 0);
}

static void on_ready(struct pool_waiter *w, struct h2_session *session, enum close_reason reason)
{
    struct asker *a = container_of(w, struct asker, waiter);

    ck_assert(!a->is_told);
    a->is_told = true;
    a->reason = reason;
    if (session != NULL) {
        open_stream(a, session);
    }
}

static enum pool_outcome ask(unsigned index)
{
    struct asker *a = &askers[index];
    struct h2_session *session;
    enum pool_outcome outcome;

    a->waiter.on_ready = on_ready;
    list_init(&a->waiter.node);
    outcome = client_pool_acquire(pool, &a->waiter, &session);
    if (outcome == POOL_READY) {
        open_stream(a, session);
    }
    return outcome;
}

static void answer_all(void)
{
    for (unsigned i = 0; i < accepted_count; i++) {
        for (unsigned j = 0; j < accepted[i].requests; j++) {
            struct h2_stream *s = accepted[i].heard[j].stream;

            if (s != NULL && !s->is_headers_sent) {
                h2_stream_send_headers(s, H2_RESPONSE, response_block(), true);
            }
        }
        if (accepted[i].requests == ARRAY_LEN(accepted[i].heard)) {
            settle();
            for (unsigned j = 0; j < ARRAY_LEN(accepted[i].heard); j++) {
                heard_clear(&accepted[i].heard[j]);
                accepted[i].heard[j] = (struct heard){0};
            }
            accepted[i].requests = 0;
        }
    }
}

START_TEST(the_first_request_dials_and_waits)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    ck_assert(!askers[0].is_told); /* not within the call */
    ck_assert_uint_eq(client_pool_waiting(pool), 1);
    settle_all();

    ck_assert_ptr_nonnull(askers[0].session);
    ck_assert_uint_eq(connected, 1);
    ck_assert_uint_eq(client_pool_connections(pool), 1);
    ck_assert_uint_eq(client_pool_waiting(pool), 0);
    ck_assert_int_eq(ask(1), POOL_READY);
    ck_assert_ptr_eq(askers[1].session, askers[0].session);
}
END_TEST

START_TEST(a_full_session_makes_the_pool_grow)
{
    pool_start();
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(ask(i), POOL_WAITING);
    }
    settle_all();

    for (unsigned i = 0; i < 5; i++) {
        ck_assert_ptr_nonnull(askers[i].session);
    }
    ck_assert_uint_eq(client_pool_connections(pool), 3); /* two streams each */
}
END_TEST

START_TEST(no_request_is_sent_before_the_limit_is_known)
{
    server_options.max_concurrent_streams = 1;
    pool_start();
    for (unsigned i = 0; i < 30; i++) {
        ck_assert_int_eq(ask(i), POOL_WAITING);
    }
    for (int round = 0; round < 20; round++) {
        settle_all();
        answer_all();
    }
    settle_all();

    for (unsigned i = 0; i < 30; i++) {
        ck_assert_ptr_nonnull(askers[i].session);
        assert_closed(&askers[i].heard, H2_NO_ERROR, CLOSE_DONE); /* none was refused */
    }
    ck_assert_uint_le(connected, 4);
}
END_TEST

START_TEST(past_its_connections_requests_queue_and_past_the_queue_they_are_refused)
{
    pool_options.max_connections = 1;
    pool_options.max_waiting = 3;
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    ck_assert_int_eq(ask(1), POOL_WAITING);
    settle_all();
    ck_assert_int_eq(ask(2), POOL_WAITING);
    ck_assert_int_eq(ask(3), POOL_WAITING);
    ck_assert_int_eq(ask(4), POOL_WAITING);
    ck_assert_int_eq(ask(5), POOL_FULL);
    settle_all();
    ck_assert_ptr_null(askers[2].session);

    h2_stream_send_headers(accepted[0].heard[0].stream, H2_RESPONSE, response_block(), true);
    settle_all();
    ck_assert_ptr_nonnull(askers[2].session); /* in their order */
    ck_assert_ptr_null(askers[3].session);
    ck_assert_uint_eq(client_pool_connections(pool), 1);
}
END_TEST

START_TEST(who_has_left_the_queue_is_not_called)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    ck_assert_int_eq(ask(1), POOL_WAITING);
    client_pool_cancel(pool, &askers[0].waiter);
    client_pool_cancel(pool, &askers[0].waiter);
    ck_assert_uint_eq(client_pool_waiting(pool), 1);
    settle_all();

    ck_assert(!askers[0].is_told);
    ck_assert_ptr_nonnull(askers[1].session);
}
END_TEST

START_TEST(a_refused_connection_fails_all_that_wait)
{
    pool_start();
    close(listener);
    listener = -1;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(ask(i), POOL_WAITING);
    }
    settle();

    for (unsigned i = 0; i < 3; i++) {
        ck_assert(askers[i].is_told);
        ck_assert_int_eq(askers[i].reason, CLOSE_CONNECT_REFUSED);
    }
    ck_assert_uint_eq(failures, 1);
    ck_assert_int_eq(failure, CLOSE_CONNECT_REFUSED);
    ck_assert(client_pool_is_empty(pool));
}
END_TEST

START_TEST(a_peer_that_sends_no_settings_fails_all_that_wait)
{
    pool_options.connect_timeout = usec_from_ms(30);
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    turn_until(&askers[0].is_told); /* nobody accepts: the kernel has answered, HTTP/2 does not */

    ck_assert_int_eq(askers[0].reason, CLOSE_CONNECT_TIMEOUT);
    ck_assert_uint_eq(failures, 1);
    ck_assert_uint_eq(closed, 0);
}
END_TEST

START_TEST(a_session_that_goes_away_is_replaced)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    h2_session_drain(accepted[0].session, CLOSE_DRAINED);
    settle_all();

    ck_assert_int_eq(ask(1), POOL_WAITING);
    settle_all();
    ck_assert_ptr_nonnull(askers[1].session);
    ck_assert_ptr_ne(askers[1].session, askers[0].session);
    ck_assert_uint_eq(client_pool_connections(pool), 2); /* the first finishes its stream */

    h2_stream_send_headers(accepted[0].heard[0].stream, H2_RESPONSE, response_block(), true);
    settle_all();
    ck_assert_uint_eq(client_pool_connections(pool), 1);
    ck_assert_uint_eq(closed, 1);
    ck_assert_int_eq(closed_reason, CLOSE_GOAWAY);
    assert_closed(&askers[0].heard, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(a_session_that_only_finishes_does_not_count_against_the_maximum)
{
    pool_options.max_connections = 1;
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    h2_session_drain(accepted[0].session, CLOSE_DRAINED);
    settle_all();

    ck_assert_int_eq(ask(1), POOL_WAITING);
    settle_all();
    ck_assert_ptr_nonnull(askers[1].session);
}
END_TEST

START_TEST(a_peer_that_sends_every_connection_away_fails_all_that_wait)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    ck_assert_int_eq(ask(1), POOL_WAITING);
    for (int i = 0; i < 100 && accepted_count == 0; i++) {
        loop_turn(loop, false);
        accept_all();
    }
    h2_session_goaway(accepted[0].session, H2_NO_ERROR, CLOSE_DRAINED); /* with its SETTINGS */
    settle_all();

    ck_assert_int_eq(askers[0].reason, CLOSE_GOAWAY);
    ck_assert_int_eq(askers[1].reason, CLOSE_GOAWAY);
    ck_assert_uint_eq(connected, 1);
    ck_assert_uint_eq(failures, 1);
}
END_TEST

START_TEST(a_peer_that_offers_no_stream_fails_all_that_wait)
{
    server_options.max_concurrent_streams = 0;
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    ck_assert_int_eq(ask(1), POOL_WAITING);
    settle_all();

    ck_assert_int_eq(askers[0].reason, CLOSE_STREAM_REFUSED);
    ck_assert_int_eq(askers[1].reason, CLOSE_STREAM_REFUSED);
    ck_assert_uint_eq(connected, 0);
    ck_assert_uint_eq(failures, 1);
    ck_assert(client_pool_is_empty(pool));
}
END_TEST

START_TEST(an_idle_session_is_closed_with_a_goaway)
{
    bool is_gone = false;

    pool_options.idle_timeout = usec_from_ms(20);
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    answer_all();
    settle_all();
    for (is_gone = closed > 0; !is_gone; is_gone = closed > 0) {
        loop_turn(loop, true);
    }
    settle_all();

    ck_assert_int_eq(closed_reason, CLOSE_IDLE);
    ck_assert_uint_eq(accepted[0].goaways, 1);
    ck_assert(client_pool_is_empty(pool));
    ck_assert_int_eq(ask(1), POOL_WAITING); /* and a new one is dialled when needed */
    settle_all();
    ck_assert_ptr_nonnull(askers[1].session);
}
END_TEST

START_TEST(a_session_with_a_stream_is_not_idle)
{
    pool_options.idle_timeout = usec_from_ms(5);
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    for (struct usec end = usec_add(loop_clock(), usec_from_ms(40)); usec_before(loop_clock(), end);) {
        loop_turn(loop, true); /* the pool's own timer wakes it */
    }

    ck_assert_uint_eq(closed, 0);
}
END_TEST

START_TEST(an_old_session_finishes_its_streams_and_is_replaced)
{
    pool_options.max_age = usec_from_ms(20);
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    while (!h2_session_is_going_away(askers[0].session)) {
        loop_turn(loop, true); /* the pool's own timer wakes it */
    }
    ck_assert(!askers[0].heard.is_closed);

    pool_options.max_age = usec_from_s(1000);
    ck_assert_int_eq(ask(1), POOL_WAITING);
    settle_all();
    ck_assert_ptr_nonnull(askers[1].session);
    ck_assert_ptr_ne(askers[1].session, askers[0].session);
    answer_all();
    settle_all();
    assert_closed(&askers[0].heard, H2_NO_ERROR, CLOSE_DONE);
    ck_assert_uint_eq(closed, 1);
    ck_assert_int_eq(closed_reason, CLOSE_DRAINED);
    ck_assert_uint_eq(accepted[0].goaways, 1);
}
END_TEST

START_TEST(a_session_is_replaced_after_its_share_of_requests)
{
    pool_options.max_requests = 3;
    server_options.max_concurrent_streams = 100;
    pool_start();
    for (unsigned i = 0; i < 9; i++) {
        ck_assert_int_ne(ask(i), POOL_FULL);
        settle_all();
        ck_assert_ptr_nonnull(askers[i].session);
    }

    ck_assert_uint_eq(connected, 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(accepted[i].requests, 3);
    }
    answer_all();
    settle_all();
    for (unsigned i = 0; i < 9; i++) {
        assert_closed(&askers[i].heard, H2_NO_ERROR, CLOSE_DONE);
    }
}
END_TEST

START_TEST(a_request_after_the_peer_closed_an_idle_session_is_sent_on_a_new_one)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    answer_all();
    settle_all();
    h2_session_close(accepted[0].session, H2_NO_ERROR, CLOSE_IDLE); /* FIN without a GOAWAY */
    loop_turn(loop, false);

    (void)!ask(1); /* the FIN may or may not have been read */
    settle_all();
    if (askers[1].heard.is_closed) {
        ck_assert(askers[1].heard.is_unprocessed); /* had not gone out */
        ck_assert_int_eq(ask(2), POOL_WAITING);
        settle_all();
    }
    ck_assert_uint_eq(connected, 2);
    ck_assert_uint_eq(accepted[1].requests, 1);
}
END_TEST

START_TEST(a_closed_pool_that_opens_again_dials_and_lets_old_streams_finish)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    client_pool_close(pool);
    settle_all();
    ck_assert_int_eq(ask(1), POOL_FULL);
    client_pool_open(pool);
    ck_assert_int_eq(ask(2), POOL_WAITING);
    settle_all();
    ck_assert_ptr_nonnull(askers[2].session);
    ck_assert_ptr_ne(askers[2].session, askers[0].session);

    answer_all();
    settle_all();
    assert_closed(&askers[0].heard, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(!is_empty_told);
    ck_assert_uint_eq(client_pool_connections(pool), 1);
}
END_TEST

START_TEST(a_closed_pool_fails_waiters_and_lets_streams_finish)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    settle_all();
    ck_assert_int_eq(ask(1), POOL_READY);
    ck_assert_int_eq(ask(2), POOL_WAITING);
    client_pool_close(pool);
    ck_assert(!askers[2].is_told);
    settle_all();

    ck_assert_int_eq(askers[2].reason, CLOSE_NO_ENDPOINT);
    ck_assert_int_eq(ask(3), POOL_FULL);
    ck_assert(!is_empty_told);
    answer_all();
    settle_all();
    assert_closed(&askers[0].heard, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(is_empty_told);
}
END_TEST

START_TEST(an_unused_pool_closes_at_once)
{
    pool_start();
    client_pool_close(pool);
    loop_turn(loop, false);

    ck_assert(is_empty_told);
}
END_TEST

static void free_pool(struct pool_waiter *w, struct h2_session *session, enum close_reason reason)
{
    (void)w;
    ck_assert_ptr_null(session);
    ck_assert_int_eq(reason, CLOSE_NO_ENDPOINT);
    client_pool_free(&pool);
    is_empty_told = true;
}

START_TEST(a_pool_may_be_freed_by_its_last_waiter)
{
    pool_start();
    ck_assert_int_eq(ask(0), POOL_WAITING);
    askers[0].waiter.on_ready = free_pool;
    client_pool_close(pool);
    settle();

    ck_assert_ptr_null(pool);
    pool_start(); /* for teardown */
}
END_TEST

UNIT_MAIN("client_pool", setup, teardown, the_first_request_dials_and_waits, a_full_session_makes_the_pool_grow,
          no_request_is_sent_before_the_limit_is_known, past_its_connections_requests_queue_and_past_the_queue_they_are_refused,
          who_has_left_the_queue_is_not_called, a_refused_connection_fails_all_that_wait,
          a_peer_that_sends_no_settings_fails_all_that_wait, a_peer_that_sends_every_connection_away_fails_all_that_wait,
          a_peer_that_offers_no_stream_fails_all_that_wait, a_session_that_goes_away_is_replaced,
          a_session_that_only_finishes_does_not_count_against_the_maximum, an_idle_session_is_closed_with_a_goaway,
          an_old_session_finishes_its_streams_and_is_replaced, a_session_is_replaced_after_its_share_of_requests,
          a_request_after_the_peer_closed_an_idle_session_is_sent_on_a_new_one,
          a_closed_pool_that_opens_again_dials_and_lets_old_streams_finish, a_session_with_a_stream_is_not_idle,
          a_closed_pool_fails_waiters_and_lets_streams_finish, an_unused_pool_closes_at_once,
          a_pool_may_be_freed_by_its_last_waiter)
