/* SPDX-License-Identifier: Apache-2.0 */

#include "base/container.h"
#include "policy/backoff.h"
#include "unit.h"

static const struct backoff_policy steady = {.first = {100}, .max = {1000}, .jitter_percent = 0};
static const struct backoff_policy jittered = {.first = {100}, .max = {100}, .jitter_percent = 50};

static struct rng rng;
static struct backoff backoff;

static void setup(void)
{
    rng_init(&rng, 1);
    backoff_init(&backoff, &steady);
}

START_TEST(backoff_doubles_up_to_its_maximum)
{
    static const uint64_t expected[] = {100, 200, 400, 800, 1000, 1000};

    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        ck_assert_uint_eq(backoff_failed(&backoff, &rng).v, expected[i]);
    }
}
END_TEST

START_TEST(backoff_starts_over_after_a_success)
{
    backoff_failed(&backoff, &rng);
    backoff_failed(&backoff, &rng);

    backoff_succeeded(&backoff);

    ck_assert_uint_eq(backoff_failed(&backoff, &rng).v, 100);
}
END_TEST

START_TEST(backoff_jitter_reaches_both_ends_and_no_further)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    backoff_init(&backoff, &jittered);
    for (int i = 0; i < 10000; i++) {
        uint64_t delay = backoff_failed(&backoff, &rng).v;
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
    }

    ck_assert_uint_eq(least, 50);
    ck_assert_uint_eq(most, 150);
}
END_TEST

START_TEST(backoff_survives_more_failures_than_bits)
{
    for (int i = 0; i < 100; i++) {
        backoff_failed(&backoff, &rng);
    }

    ck_assert_uint_eq(backoff_failed(&backoff, &rng).v, 1000);
}
END_TEST

START_TEST(two_backoffs_of_one_policy_do_not_share_failures)
{
    struct backoff other;

    backoff_init(&other, &steady);
    backoff_failed(&backoff, &rng);
    backoff_failed(&backoff, &rng);

    ck_assert_uint_eq(backoff_failed(&other, &rng).v, 100);
}
END_TEST

START_TEST(a_maximum_near_the_end_of_time_is_reached_without_overflow)
{
    static const struct backoff_policy patient = {.first = {1}, .max = {UINT64_MAX / 2}, .jitter_percent = 0};

    backoff_init(&backoff, &patient);
    uint64_t last = 0;
    for (int i = 0; i < 70; i++) {
        uint64_t delay = backoff_failed(&backoff, &rng).v;
        ck_assert_uint_ge(delay, last);
        last = delay;
    }

    ck_assert_uint_eq(last, UINT64_MAX / 2);
}
END_TEST

START_TEST(a_shortened_time_varies_within_its_percentage)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    for (int i = 0; i < 1000; i++) {
        uint64_t time = backoff_shorten((struct usec){10000}, 20, &rng).v;

        ck_assert_uint_ge(time, 8000);
        ck_assert_uint_le(time, 10000);
        least = time < least ? time : least;
        most = time > most ? time : most;
    }
    ck_assert_uint_lt(least, 8100);
    ck_assert_uint_gt(most, 9900);
    ck_assert_uint_eq(backoff_shorten((struct usec){0}, 20, &rng).v, 0);
}
END_TEST

UNIT_MAIN("backoff", setup, NULL, backoff_doubles_up_to_its_maximum, backoff_starts_over_after_a_success,
          backoff_jitter_reaches_both_ends_and_no_further, backoff_survives_more_failures_than_bits,
          two_backoffs_of_one_policy_do_not_share_failures, a_maximum_near_the_end_of_time_is_reached_without_overflow,
          a_shortened_time_varies_within_its_percentage)
