/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "base/rng.h"
#include "policy/median.h"
#include "unit.h"

#define MANY 257

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static void check_against_sorting(const double *values, size_t count)
{
    double sorted[MANY];
    double selected[MANY];

    memcpy(sorted, values, count * sizeof *values);
    memcpy(selected, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);

    ck_assert_double_eq(median_select(selected, count), sorted[(count - 1) / 2]);
}

START_TEST(the_median_of_one_is_itself)
{
    double one = 7;

    ck_assert_double_eq(median_select(&one, 1), 7);
}
END_TEST

START_TEST(the_median_of_two_is_the_lower)
{
    double two[] = {9, 4};

    ck_assert_double_eq(median_select(two, 2), 4);
}
END_TEST

START_TEST(random_numbers_have_the_median_that_sorting_finds)
{
    struct rng rng;
    double values[MANY];

    rng_init(&rng, 5);
    for (size_t round = 0; round < 2000; round++) {
        size_t count = 1 + (size_t)rng_below(&rng, MANY);
        uint64_t distinct = 1 + rng_below(&rng, 300); /* few distinct ones: many equals */

        for (size_t i = 0; i < count; i++) {
            values[i] = (double)rng_below(&rng, distinct);
        }
        check_against_sorting(values, count);
    }
}
END_TEST

START_TEST(rising_falling_and_equal_numbers_are_no_trap)
{
    double rising[MANY];
    double falling[MANY];
    double equal[MANY];

    for (size_t i = 0; i < MANY; i++) {
        rising[i] = (double)i;
        falling[i] = (double)(MANY - i);
        equal[i] = 3;
    }

    check_against_sorting(rising, MANY);
    check_against_sorting(falling, MANY);
    check_against_sorting(equal, MANY);
}
END_TEST

START_TEST(selection_keeps_every_number)
{
    double values[MANY];
    double sum = 0;

    for (size_t i = 0; i < MANY; i++) {
        values[i] = (double)(i * i % 101);
        sum -= values[i];
    }
    median_select(values, MANY);
    for (size_t i = 0; i < MANY; i++) {
        sum += values[i];
    }

    ck_assert_double_eq(sum, 0);
}
END_TEST

UNIT_MAIN("median", NULL, NULL, the_median_of_one_is_itself, the_median_of_two_is_the_lower,
          random_numbers_have_the_median_that_sorting_finds, rising_falling_and_equal_numbers_are_no_trap,
          selection_keeps_every_number)
