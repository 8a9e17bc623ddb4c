/* SPDX-License-Identifier: Apache-2.0 */

#include <math.h>

#include "policy/ewma.h"
#include "unit.h"

static const struct usec decay = {2000000};

static struct ewma ewma;

static void setup(void)
{
    ewma_init(&ewma, 1000, usec_from_s(10));
}

START_TEST(a_sample_one_decay_later_weighs_one_minus_one_over_e)
{
    ewma_add(&ewma, (struct usec){2000}, decay, usec_from_s(12));

    ck_assert_double_eq_tol(ewma.value, 2000 - 1000 * exp(-1), 1e-6);
}
END_TEST

START_TEST(a_sample_at_the_same_instant_changes_nothing)
{
    ewma_add(&ewma, (struct usec){900000}, decay, usec_from_s(10));

    ck_assert_double_eq(ewma.value, 1000);
}
END_TEST

START_TEST(a_single_peak_moves_the_average_no_more_than_a_single_dip)
{
    struct ewma other = ewma;

    ewma_add(&ewma, (struct usec){1900}, decay, usec_from_s(11));
    ewma_add(&other, (struct usec){100}, decay, usec_from_s(11));

    ck_assert_double_eq_tol(ewma.value - 1000, 1000 - other.value, 1e-6);
}
END_TEST

START_TEST(after_a_long_silence_only_the_new_sample_counts)
{
    ewma_add(&ewma, (struct usec){50000}, decay, usec_from_s(100));

    ck_assert_double_eq_tol(ewma.value, 50000, 1e-6);
}
END_TEST

START_TEST(many_samples_in_one_decay_weigh_as_much_as_one_after_it)
{
    for (uint64_t ms = 1; ms <= 2000; ms++) {
        ewma_add(&ewma, (struct usec){2000}, decay, usec_from_ms(10000 + ms));
    }

    ck_assert_double_eq_tol(ewma.value, 2000 - 1000 * exp(-1), 1e-3);
}
END_TEST

START_TEST(a_clock_that_steps_back_changes_neither_value_nor_date)
{
    ewma_add(&ewma, (struct usec){5000}, decay, usec_from_s(3));

    ck_assert_double_eq(ewma.value, 1000);
    ck_assert_uint_eq(ewma.updated.v, usec_from_s(10).v);
}
END_TEST

START_TEST(the_value_never_falls_below_a_microsecond)
{
    ewma_add(&ewma, (struct usec){0}, decay, usec_from_s(1000));

    ck_assert_double_eq(ewma.value, 1);
}
END_TEST

UNIT_MAIN("ewma", setup, NULL, a_sample_one_decay_later_weighs_one_minus_one_over_e, a_sample_at_the_same_instant_changes_nothing,
          a_single_peak_moves_the_average_no_more_than_a_single_dip, after_a_long_silence_only_the_new_sample_counts,
          many_samples_in_one_decay_weigh_as_much_as_one_after_it, a_clock_that_steps_back_changes_neither_value_nor_date,
          the_value_never_falls_below_a_microsecond)
