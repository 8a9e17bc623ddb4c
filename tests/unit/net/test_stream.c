/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

struct end {
    struct stream stream;
    bool has_read_event;
    bool has_write_event;
    unsigned read_events;
    unsigned hangups;
    bool must_close;
};

static struct end a;
static struct end b;

static void on_readable(struct stream *s)
{
    struct end *e = container_of(s, struct end, stream);

    e->has_read_event = true;
    e->read_events++;
    if (e->must_close) {
        stream_close(s);
    }
}

static void on_writable(struct stream *s)
{
    container_of(s, struct end, stream)->has_write_event = true;
}

static void on_hangup(struct stream *s)
{
    container_of(s, struct end, stream)->hangups++;
}

static void start(struct end *e, int fd)
{
    *e = (struct end){0};
    stream_init(&e->stream, loop, fd);
    stream_set_handlers(&e->stream, on_readable, on_writable);
}

static void setup(void)
{
    int fds[2];

    loop_setup();
    tcp_pair(fds);
    start(&a, fds[0]);
    start(&b, fds[1]);
}

static void teardown(void)
{
    stream_close(&a.stream);
    stream_close(&b.stream);
    loop_teardown();
}

static void send_from_b(const char *text)
{
    ck_assert_int_eq(stream_send(&b.stream, text, strlen(text)), (ssize_t)strlen(text));
}

/* Waits for the event, then reads. */
static ssize_t receive(struct end *e, void *buf, size_t size)
{
    e->has_read_event = false;
    stream_want_read(&e->stream, true);
    turn_until(&e->has_read_event);
    stream_want_read(&e->stream, false);
    return stream_recv(&e->stream, buf, size);
}

START_TEST(bytes_arrive_as_sent)
{
    char buf[16];

    ck_assert_int_eq(stream_send(&b.stream, "abcde", 5), 5);

    ck_assert_int_eq(receive(&a, buf, sizeof buf), 5);
    ck_assert_mem_eq(buf, "abcde", 5);
    ck_assert_int_eq(stream_recv(&a.stream, buf, sizeof buf), -EAGAIN);
}
END_TEST

START_TEST(peeking_leaves_the_bytes_where_they_are)
{
    char buf[16];

    send_from_b("hello");
    stream_want_read(&a.stream, true);
    turn_until(&a.has_read_event);

    ck_assert_int_eq(stream_peek(&a.stream, buf, 3), 3);
    ck_assert_mem_eq(buf, "hel", 3);
    ck_assert_int_eq(stream_recv(&a.stream, buf, sizeof buf), 5);
}
END_TEST

START_TEST(readable_comes_only_while_wanted_and_as_long_as_bytes_are_left)
{
    send_from_b("x");
    loop_turn(loop, false);
    ck_assert_uint_eq(a.read_events, 0);

    stream_want_read(&a.stream, true);
    stream_want_read(&a.stream, true);
    turn_until(&a.has_read_event);
    loop_turn(loop, false);
    ck_assert_uint_eq(a.read_events, 2);

    stream_want_read(&a.stream, false);
    stream_want_read(&a.stream, false);
    loop_turn(loop, false);
    ck_assert_uint_eq(a.read_events, 2);
}
END_TEST

START_TEST(writable_comes_when_the_peer_has_made_room)
{
    size_t size = LOOP_READ_BUFFER_SIZE;
    size_t sent = 0;
    ssize_t n = 0;

    while ((n = stream_send(&a.stream, loop_read_buffer(loop), size)) > 0) {
        sent += (size_t)n;
    }
    ck_assert_int_eq(n, -EAGAIN);
    stream_want_write(&a.stream, true);
    loop_turn(loop, false);
    ck_assert(!a.has_write_event);

    stream_want_read(&b.stream, true);
    while (sent > 0) {
        n = stream_recv(&b.stream, loop_read_buffer(loop), size);
        if (n == -EAGAIN) {
            loop_turn(loop, true);
            continue;
        }
        ck_assert_int_gt(n, 0);
        sent -= (size_t)n;
    }
    stream_want_read(&b.stream, false);
    turn_until(&a.has_write_event);
}
END_TEST

START_TEST(half_closed_connection_still_carries_the_other_direction)
{
    char buf[16];

    stream_shutdown_write(&a.stream);
    ck_assert_int_eq(receive(&b, buf, sizeof buf), 0);

    send_from_b("late");
    ck_assert_int_eq(receive(&a, buf, sizeof buf), 4);
    ck_assert_mem_eq(buf, "late", 4);
    ck_assert_int_eq(stream_send(&a.stream, "x", 1), -EPIPE); /* and no SIGPIPE */
}
END_TEST

START_TEST(abort_reaches_the_peer_as_a_reset)
{
    char buf[16];

    stream_abort(&a.stream);

    ck_assert(!stream_is_open(&a.stream));
    ck_assert_int_eq(receive(&b, buf, sizeof buf), -ECONNRESET);
}
END_TEST

START_TEST(abort_resets_even_with_bytes_on_the_way_to_us_or_unsent)
{
    char buf[16];

    send_from_b("unread");
    while (stream_send(&a.stream, loop_read_buffer(loop), LOOP_READ_BUFFER_SIZE) > 0) {
    }
    stream_abort(&a.stream);

    ssize_t n = 0;

    while ((n = receive(&b, buf, sizeof buf)) > 0) {
    }
    ck_assert_int_eq(n, -ECONNRESET);
}
END_TEST

START_TEST(orderly_close_is_no_reset)
{
    char buf[16];

    ck_assert_int_eq(stream_send(&a.stream, "bye", 3), 3);
    stream_close(&a.stream);
    stream_close(&a.stream);

    ck_assert_int_eq(receive(&b, buf, sizeof buf), 3);
    ck_assert_int_eq(receive(&b, buf, sizeof buf), 0);
}
END_TEST

START_TEST(closed_stream_answers_and_wants_nothing)
{
    char buf[1];
    struct stream never = {0};
    struct stream *closed[] = {&a.stream, &never};

    stream_close(&a.stream);
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        ck_assert(!stream_is_open(closed[i]));
        ck_assert_int_eq(stream_fd(closed[i]), -1);
        ck_assert_int_eq(stream_recv(closed[i], buf, 1), -EBADF);
        ck_assert_int_eq(stream_send(closed[i], buf, 1), -EBADF);
        stream_want_read(closed[i], true);
        stream_want_write(closed[i], true);
        stream_shutdown_write(closed[i]);
        stream_abort(closed[i]);
        stream_close(closed[i]);
    }
    loop_turn(loop, false);
    ck_assert_uint_eq(a.read_events, 0);
}
END_TEST

START_TEST(stream_can_close_itself_in_its_callback)
{
    send_from_b("x");
    a.must_close = true;
    stream_want_read(&a.stream, true);
    stream_want_write(&a.stream, true);
    turn_until(&a.has_read_event);
    loop_turn(loop, false);

    ck_assert_uint_eq(a.read_events, 1);
}
END_TEST

START_TEST(moved_stream_keeps_the_socket_and_leaves_the_old_owner_none)
{
    char buf[16];
    int fd = stream_fd(&a.stream);
    struct end to = {0};

    stream_want_read(&a.stream, true);
    stream_want_write(&a.stream, true);
    stream_move(&to.stream, &a.stream);
    stream_set_handlers(&to.stream, on_readable, on_writable);

    ck_assert(!stream_is_open(&a.stream));
    ck_assert_int_eq(stream_fd(&to.stream), fd);
    send_from_b("moved");
    ck_assert_int_eq(receive(&to, buf, sizeof buf), 5);
    ck_assert_uint_eq(a.read_events, 0);
    ck_assert(!a.has_write_event);
    stream_close(&to.stream);
}
END_TEST

/* A level-triggered watch would tell again in each turn. */
static void turn_often(void)
{
    for (int i = 0; i < 50; i++) {
        loop_turn(loop, false);
    }
}

START_TEST(reset_is_told_once_while_nothing_is_read)
{
    char buf[16];

    stream_set_hangup_handler(&a.stream, on_hangup);
    stream_want_read(&a.stream, false);
    send_from_b("before");
    stream_abort(&b.stream);
    turn_often();

    ck_assert_uint_eq(a.hangups, 1);
    ck_assert_int_eq(stream_take_error(&a.stream), -ECONNRESET);
    ck_assert_int_eq(stream_take_error(&a.stream), 0);
    ck_assert_int_eq(stream_recv(&a.stream, buf, sizeof buf), 6);
    ck_assert_int_eq(stream_recv(&a.stream, buf, sizeof buf), 0);
}
END_TEST

START_TEST(reset_that_came_before_the_watch_is_told)
{
    stream_abort(&b.stream);
    loop_turn(loop, false);
    stream_set_hangup_handler(&a.stream, on_hangup);
    stream_want_read(&a.stream, false);
    ck_assert_uint_eq(a.hangups, 0);
    turn_often();

    ck_assert_uint_eq(a.hangups, 1);
}
END_TEST

START_TEST(half_close_is_no_hangup_and_a_reset_after_it_is)
{
    char buf[16];

    stream_set_hangup_handler(&a.stream, on_hangup);
    stream_want_read(&a.stream, true);
    stream_shutdown_write(&b.stream);
    ck_assert_int_eq(receive(&a, buf, sizeof buf), 0);
    stream_want_read(&a.stream, false);
    turn_often();
    ck_assert_uint_eq(a.hangups, 0);

    stream_abort(&b.stream);
    turn_often();
    ck_assert_uint_eq(a.hangups, 1);
    ck_assert_int_eq(stream_take_error(&a.stream), -EPIPE);
}
END_TEST

START_TEST(both_half_closes_are_a_hangup_without_an_error)
{
    stream_set_hangup_handler(&a.stream, on_hangup);
    stream_want_read(&a.stream, false);
    stream_shutdown_write(&b.stream);
    stream_shutdown_write(&a.stream);
    turn_often();

    ck_assert_uint_eq(a.hangups, 1);
    ck_assert_int_eq(stream_take_error(&a.stream), 0);
}
END_TEST

START_TEST(moved_or_closed_stream_is_told_no_hangup)
{
    struct end to = {0};

    stream_set_hangup_handler(&a.stream, on_hangup);
    stream_want_read(&a.stream, false);
    stream_move(&to.stream, &a.stream);
    stream_set_handlers(&to.stream, on_readable, on_writable);
    stream_set_hangup_handler(&to.stream, on_hangup);
    stream_want_read(&to.stream, false);
    stream_abort(&b.stream);
    turn_often();

    ck_assert_uint_eq(a.hangups, 0);
    ck_assert_uint_eq(to.hangups, 1);
    stream_close(&to.stream);
    turn_often();
    ck_assert_uint_eq(to.hangups, 1);
}
END_TEST

START_TEST(queue_lengths_tell_what_the_peer_has_not_got)
{
    static uint8_t block[65536];
    char byte;
    size_t sent = 0;
    ssize_t n;

    ck_assert_uint_eq(stream_unacknowledged(&b.stream), 0);
    while ((n = stream_send(&b.stream, block, sizeof block)) > 0) {
        sent += (size_t)n;
    }
    ck_assert_uint_gt(stream_unsent(&b.stream), 0);
    ck_assert_uint_ge(stream_unacknowledged(&b.stream), stream_unsent(&b.stream));
    ck_assert_uint_lt(stream_unacknowledged(&b.stream), sent);
    ck_assert_int_eq(stream_recv(&a.stream, &byte, 1), 1);
}
END_TEST

START_TEST(addresses_are_the_two_ends_of_the_connection)
{
    struct addr local = {0};
    struct addr peer = {0};

    ck_assert(stream_local_addr(&a.stream, &local));
    ck_assert(stream_peer_addr(&b.stream, &peer));
    ck_assert(addr_is_loopback(&local));
    ck_assert(addr_eq(&local, &peer));

    stream_close(&a.stream);
    ck_assert(!stream_local_addr(&a.stream, &local));
    ck_assert(!stream_peer_addr(&a.stream, &peer));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("stream");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, bytes_arrive_as_sent);
    tcase_add_test(tcase, peeking_leaves_the_bytes_where_they_are);
    tcase_add_test(tcase, readable_comes_only_while_wanted_and_as_long_as_bytes_are_left);
    tcase_add_test(tcase, writable_comes_when_the_peer_has_made_room);
    tcase_add_test(tcase, half_closed_connection_still_carries_the_other_direction);
    tcase_add_test(tcase, abort_reaches_the_peer_as_a_reset);
    tcase_add_test(tcase, abort_resets_even_with_bytes_on_the_way_to_us_or_unsent);
    tcase_add_test(tcase, orderly_close_is_no_reset);
    tcase_add_test(tcase, closed_stream_answers_and_wants_nothing);
    tcase_add_test(tcase, stream_can_close_itself_in_its_callback);
    tcase_add_test(tcase, moved_stream_keeps_the_socket_and_leaves_the_old_owner_none);
    tcase_add_test(tcase, reset_is_told_once_while_nothing_is_read);
    tcase_add_test(tcase, reset_that_came_before_the_watch_is_told);
    tcase_add_test(tcase, half_close_is_no_hangup_and_a_reset_after_it_is);
    tcase_add_test(tcase, both_half_closes_are_a_hangup_without_an_error);
    tcase_add_test(tcase, moved_or_closed_stream_is_told_no_hangup);
    tcase_add_test(tcase, queue_lengths_tell_what_the_peer_has_not_got);
    tcase_add_test(tcase, addresses_are_the_two_ends_of_the_connection);
    return run_tcase(tcase);
}
