/* SPDX-License-Identifier: Apache-2.0 */

#include <time.h>

#include "fixture.h"
#include "net/timer.h"

struct alarm {
    struct timer timer;
    bool has_fired;
    unsigned count;
    struct timer *to_stop;
    struct usec at;
};

static void on_fire(struct timer *t)
{
    struct alarm *a = container_of(t, struct alarm, timer);

    a->has_fired = true;
    a->count++;
    a->at = loop_now(loop);
    if (a->to_stop != NULL) {
        timer_stop(a->to_stop);
    }
}

START_TEST(timer_fires_once_and_never_early)
{
    struct alarm a = {0};
    struct usec due = usec_add(loop_now(loop), (struct usec){7300});

    timer_init(&a.timer, loop, on_fire);
    timer_set(&a.timer, (struct usec){7300});
    ck_assert(timer_is_set(&a.timer));
    turn_until(&a.has_fired);

    ck_assert_uint_ge(a.at.v, due.v);
    ck_assert(!timer_is_set(&a.timer));
    loop_turn(loop, false);
    ck_assert_uint_eq(a.count, 1);
}
END_TEST

static long coarse_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_nsec;
}

/* libevent's clock jumps by a tick between the setting and the wait: it alone would fire that much too early. */
START_TEST(timer_is_not_early_when_the_coarse_clock_jumps)
{
    for (int i = 0; i < 10; i++) {
        struct alarm a = {0};
        struct usec due = usec_add(loop_now(loop), usec_from_ms(6));

        timer_init(&a.timer, loop, on_fire);
        timer_set(&a.timer, usec_from_ms(6));
        for (long before = coarse_ns(); coarse_ns() == before;) {
        }
        turn_until(&a.has_fired);

        ck_assert_uint_ge(a.at.v, due.v);
        loop_turn(loop, false);
    }
}
END_TEST

START_TEST(timer_of_no_delay_fires_from_the_loop_only)
{
    struct alarm a = {0};

    timer_init(&a.timer, loop, on_fire);
    timer_set(&a.timer, (struct usec){0});
    ck_assert(!a.has_fired);

    turn_until(&a.has_fired);
}
END_TEST

START_TEST(later_setting_replaces_the_earlier)
{
    struct alarm a = {0};
    struct usec due = usec_add(loop_now(loop), usec_from_ms(15));

    timer_init(&a.timer, loop, on_fire);
    timer_set(&a.timer, usec_from_ms(1));
    timer_set(&a.timer, usec_from_ms(15));
    turn_until(&a.has_fired);
    ck_assert_uint_ge(a.at.v, due.v);

    a.has_fired = false;
    timer_set(&a.timer, usec_from_s(3600));
    timer_set(&a.timer, usec_from_ms(1));
    turn_until(&a.has_fired);
    ck_assert_uint_eq(a.count, 2);
}
END_TEST

START_TEST(stopped_timer_does_not_fire)
{
    struct alarm stopped = {0};
    struct alarm later = {0};

    timer_init(&stopped.timer, loop, on_fire);
    timer_init(&later.timer, loop, on_fire);
    timer_stop(&stopped.timer);
    timer_set(&stopped.timer, usec_from_ms(1));
    timer_set(&later.timer, usec_from_ms(10));
    timer_stop(&stopped.timer);
    timer_stop(&stopped.timer);
    turn_until(&later.has_fired);

    ck_assert(!stopped.has_fired);
}
END_TEST

START_TEST(timer_can_stop_another_that_is_due_in_the_same_turn)
{
    struct alarm a = {0};
    struct alarm b = {0};

    timer_init(&a.timer, loop, on_fire);
    timer_init(&b.timer, loop, on_fire);
    a.to_stop = &b.timer;
    b.to_stop = &a.timer;
    timer_set(&a.timer, (struct usec){0});
    timer_set(&b.timer, (struct usec){0});
    while (a.count + b.count == 0) {
        loop_turn(loop, true);
    }
    loop_turn(loop, false);

    ck_assert_uint_eq(a.count + b.count, 1);
}
END_TEST

START_TEST(timer_can_be_set_to_never)
{
    struct alarm a = {0};

    timer_init(&a.timer, loop, on_fire);
    timer_set(&a.timer, USEC_NEVER);
    loop_turn(loop, false);

    ck_assert(timer_is_set(&a.timer));
    ck_assert(!a.has_fired);
    timer_stop(&a.timer);
}
END_TEST

int main(void)
{
    TCase *tcase = loop_tcase("timer");

    tcase_add_test(tcase, timer_fires_once_and_never_early);
    tcase_add_test(tcase, timer_is_not_early_when_the_coarse_clock_jumps);
    tcase_add_test(tcase, timer_of_no_delay_fires_from_the_loop_only);
    tcase_add_test(tcase, later_setting_replaces_the_earlier);
    tcase_add_test(tcase, stopped_timer_does_not_fire);
    tcase_add_test(tcase, timer_can_stop_another_that_is_due_in_the_same_turn);
    tcase_add_test(tcase, timer_can_be_set_to_never);
    return run_tcase(tcase);
}
