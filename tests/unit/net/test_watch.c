/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fixture.h"
#include "net/watch.h"

struct ear {
    struct watch watch;
    bool has_heard;
    unsigned count;
    bool must_stop;
};

static struct ear ear;
static int fds[2];

static void on_readable(struct watch *w)
{
    struct ear *e = container_of(w, struct ear, watch);

    e->has_heard = true;
    e->count++;
    if (e->must_stop) {
        watch_stop(w);
    }
}

static void setup(void)
{
    loop_setup();
    ear = (struct ear){0};
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static void teardown(void)
{
    watch_stop(&ear.watch);
    close(fds[0]);
    close(fds[1]);
    loop_teardown();
}

START_TEST(watch_calls_as_long_as_there_is_something_to_read)
{
    char c = 0;

    ck_assert_int_eq(watch_start(&ear.watch, loop, fds[0], on_readable), 0);
    loop_turn(loop, false);
    ck_assert(!ear.has_heard);

    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    turn_until(&ear.has_heard);
    loop_turn(loop, false);
    ck_assert_uint_eq(ear.count, 2);

    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    loop_turn(loop, false);
    ck_assert_uint_eq(ear.count, 2);
}
END_TEST

START_TEST(watch_can_stop_itself_and_start_again)
{
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ear.must_stop = true;
    ck_assert_int_eq(watch_start(&ear.watch, loop, fds[0], on_readable), 0);
    turn_until(&ear.has_heard);
    loop_turn(loop, false);
    ck_assert_uint_eq(ear.count, 1);

    watch_stop(&ear.watch);
    ck_assert_int_eq(watch_start(&ear.watch, loop, fds[0], on_readable), 0);
    loop_turn(loop, true);
    ck_assert_uint_eq(ear.count, 2);
}
END_TEST

START_TEST(files_that_cannot_be_polled_are_refused)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(watch_start(&ear.watch, loop, file, on_readable), -EPERM);
    close(file);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("watch");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, watch_calls_as_long_as_there_is_something_to_read);
    tcase_add_test(tcase, watch_can_stop_itself_and_start_again);
    tcase_add_test(tcase, files_that_cannot_be_polled_are_refused);
    return run_tcase(tcase);
}
