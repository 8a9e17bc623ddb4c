/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/window.h"
#include "unit.h"

#define FIRST 65536
#define MOST (16 * FIRST)

static struct window w;
static struct usec now;

static void setup(void)
{
    window_init(&w, FIRST, MOST);
    now = usec_from_s(1000);
}

static void pass(uint64_t us)
{
    now = usec_add(now, (struct usec){us});
}

/* One question, `bytes` until its answer comes after `us`. Returns whether the window grew. */
static bool round_trip(uint64_t bytes, uint64_t us)
{
    ck_assert(window_received(&w, 1, now));
    window_asked(&w, now);
    pass(us);
    ck_assert(!window_received(&w, bytes, now));
    return window_answered(&w, now);
}

START_TEST(the_first_bytes_are_worth_a_question)
{
    ck_assert(window_received(&w, 1, now));
}
END_TEST

START_TEST(a_window_that_was_used_up_in_a_round_trip_doubles)
{
    ck_assert(round_trip(FIRST, 1000));
    ck_assert_uint_eq(w.bytes, 2 * FIRST);
}
END_TEST

START_TEST(two_thirds_are_as_good_as_all_and_less_is_not)
{
    ck_assert(!round_trip(FIRST * 2 / 3 - 1, 1000));
    ck_assert_uint_eq(w.bytes, FIRST);
    pass(10000000);
    ck_assert(round_trip(FIRST * 2 / 3 + 1, 1000));
}
END_TEST

/* A queue on the way: the round trip is longer because the window is larger. */
START_TEST(a_larger_window_that_brings_no_higher_rate_is_the_last)
{
    ck_assert(round_trip(FIRST, 1000));
    ck_assert(!round_trip(2 * FIRST, 2000));
    ck_assert_uint_eq(w.bytes, 2 * FIRST);
}
END_TEST

START_TEST(it_never_exceeds_its_maximum_and_then_asks_no_more)
{
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(round_trip(w.bytes, 1000));
    }
    ck_assert_uint_eq(w.bytes, MOST);
    pass(3600000000);
    ck_assert(!window_received(&w, FIRST, now));
}
END_TEST

START_TEST(a_maximum_that_is_no_double_is_reached_exactly)
{
    window_init(&w, FIRST, 3 * FIRST);
    ck_assert(round_trip(FIRST, 1000));
    ck_assert(round_trip(2 * FIRST, 1000));
    ck_assert_uint_eq(w.bytes, 3 * FIRST);
}
END_TEST

START_TEST(questions_that_change_nothing_become_rare)
{
    static const uint64_t pauses_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};

    for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
        ck_assert(!round_trip(1, 1000));
        pass(pauses_ms[i] * 1000 - 1);
        ck_assert(!window_received(&w, 1, now));
        pass(1);
    }
    ck_assert(window_received(&w, 1, now));
}
END_TEST

START_TEST(growth_makes_the_next_question_due_at_once)
{
    ck_assert(!round_trip(1, 1000));
    pass(100000);
    ck_assert(round_trip(FIRST, 1000));
    ck_assert(window_received(&w, 1, now));
}
END_TEST

START_TEST(an_answer_that_nobody_asked_for_changes_nothing)
{
    w.sample = MOST;
    ck_assert(!window_answered(&w, now));
    ck_assert_uint_eq(w.bytes, FIRST);
}
END_TEST

START_TEST(without_room_to_grow_nothing_is_asked)
{
    window_init(&w, FIRST, 0);
    ck_assert(!window_received(&w, FIRST, now));
    ck_assert_uint_eq(w.bytes, FIRST);
}
END_TEST

/* A path of so many bytes per round trip: a sender is held up by the window or by the path, whichever is narrower. */
START_TEST(the_window_ends_between_the_product_and_four_times_it)
{
    static const uint64_t products[] = {100000, 200000, 333333, 500000};
    uint64_t product = products[_i];
    uint64_t rtt_us = 5000;

    for (unsigned i = 0; i < 200; i++) {
        uint64_t bytes = w.bytes;

        if (window_received(&w, 1, now)) {
            window_asked(&w, now);
            pass(bytes > product ? rtt_us * bytes / product : rtt_us);
            window_received(&w, bytes, now);
            window_answered(&w, now);
        }
        pass(50000);
    }
    ck_assert_uint_ge(w.bytes, product);
    ck_assert_uint_le(w.bytes, 4 * product);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_first_bytes_are_worth_a_question,
        a_window_that_was_used_up_in_a_round_trip_doubles,
        two_thirds_are_as_good_as_all_and_less_is_not,
        a_larger_window_that_brings_no_higher_rate_is_the_last,
        it_never_exceeds_its_maximum_and_then_asks_no_more,
        a_maximum_that_is_no_double_is_reached_exactly,
        questions_that_change_nothing_become_rare,
        growth_makes_the_next_question_due_at_once,
        an_answer_that_nobody_asked_for_changes_nothing,
        without_room_to_grow_nothing_is_asked,
    };
    TCase *window = unit_case("window", setup, NULL, tests, sizeof tests / sizeof tests[0]);

    tcase_add_loop_test(window, the_window_ends_between_the_product_and_four_times_it, 0, 4);
    return unit_run("window", window, (TCase *)NULL);
}
