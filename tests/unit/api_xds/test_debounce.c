/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "api/xds/debounce.h"

static struct loop *loop;
static struct debounce debounce;
static unsigned runs;
static struct usec ran;

static void run(struct debounce *d)
{
    (void)d;
    runs++;
    ran = loop_clock();
}

static void setup(void)
{
    loop = loop_new(1);
    runs = 0;
}

static void teardown(void)
{
    debounce_stop(&debounce);
    loop_free(loop);
}

START_TEST(a_single_change_runs_after_the_quiet_time)
{
    struct usec started = loop_clock();

    debounce_init(&debounce, loop, usec_from_ms(5), usec_from_ms(1000), run);
    debounce_poke(&debounce);
    ck_assert_uint_eq(runs, 0);
    while (runs == 0) {
        loop_turn(loop, true);
    }
    ck_assert_uint_ge(usec_since(ran, started).v, 4000);
}
END_TEST

START_TEST(a_burst_runs_once)
{
    debounce_init(&debounce, loop, usec_from_ms(5), usec_from_ms(1000), run);
    for (unsigned i = 0; i < 100; i++) {
        debounce_poke(&debounce);
    }
    while (runs == 0) {
        loop_turn(loop, true);
    }
    loop_turn(loop, false);
    ck_assert_uint_eq(runs, 1);
    ck_assert(!timer_is_set(&debounce.timer));
}
END_TEST

START_TEST(changes_without_end_run_all_the_same)
{
    struct usec started = loop_clock();

    debounce_init(&debounce, loop, usec_from_s(3600), usec_from_ms(20), run);
    while (runs == 0) {
        debounce_poke(&debounce);
        loop_turn(loop, false);
    }
    ck_assert_uint_ge(usec_since(ran, started).v, 19000);
}
END_TEST

START_TEST(a_burst_after_another_waits_anew)
{
    debounce_init(&debounce, loop, usec_from_ms(2), usec_from_ms(1000), run);
    for (unsigned i = 1; i <= 3; i++) {
        debounce_poke(&debounce);
        while (runs < i) {
            loop_turn(loop, true);
        }
    }
    ck_assert_uint_eq(runs, 3);
}
END_TEST

UNIT_MAIN("debounce", setup, teardown, a_single_change_runs_after_the_quiet_time, a_burst_runs_once,
          changes_without_end_run_all_the_same, a_burst_after_another_waits_anew)
