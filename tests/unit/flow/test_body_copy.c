/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "flow/body_copy.h"
#include "unit.h"

static struct slab *slab;
static struct copy_budget budget;
static struct body_copy copy;

static void setup(void)
{
    slab = slab_new();
    budget = (struct copy_budget){.max_bytes = 100000};
    body_copy_init(&copy, slab, &budget);
}

static void teardown(void)
{
    body_copy_drop(&copy);
    ck_assert_uint_eq(budget.used_bytes, 0);
    slab_free(slab);
}

START_TEST(a_copy_keeps_the_bytes_in_order)
{
    body_copy_append(&copy, "abc", 3, 1000, false);
    body_copy_append(&copy, "defg", 4, 1000, false);

    ck_assert_uint_eq(copy.len, 7);
    ck_assert_mem_eq(copy.bytes, "abcdefg", 7);
}
END_TEST

START_TEST(a_copy_is_whole_up_to_its_limit)
{
    char bytes[1000] = {0};

    body_copy_append(&copy, bytes, 1000, 1000, false);

    ck_assert(!copy.is_dropped);
}
END_TEST

START_TEST(a_copy_past_its_limit_is_dropped)
{
    char bytes[1001] = {0};

    body_copy_append(&copy, bytes, 1001, 1000, false);

    ck_assert(copy.is_dropped);
    ck_assert_uint_eq(copy.len, 0);
}
END_TEST

START_TEST(bytes_that_exist_nowhere_else_are_kept_past_the_limit)
{
    char bytes[5000] = {0};

    body_copy_append(&copy, bytes, sizeof bytes, 1000, true);

    ck_assert(!copy.is_dropped);
    ck_assert_uint_eq(copy.len, sizeof bytes);
}
END_TEST

START_TEST(copies_together_stay_within_the_budget)
{
    struct body_copy other;
    char bytes[60000] = {0};

    body_copy_init(&other, slab, &budget);
    body_copy_append(&copy, bytes, sizeof bytes, sizeof bytes, false);
    body_copy_append(&other, bytes, sizeof bytes, sizeof bytes, false);

    ck_assert(!copy.is_dropped);
    ck_assert(other.is_dropped);
}
END_TEST

START_TEST(nothing_is_kept_after_a_drop)
{
    body_copy_drop(&copy);
    body_copy_append(&copy, "abc", 3, 1000, true);

    ck_assert_uint_eq(copy.len, 0);
}
END_TEST

UNIT_MAIN("body_copy", setup, teardown, a_copy_keeps_the_bytes_in_order, a_copy_is_whole_up_to_its_limit,
          a_copy_past_its_limit_is_dropped, bytes_that_exist_nowhere_else_are_kept_past_the_limit,
          copies_together_stay_within_the_budget, nothing_is_kept_after_a_drop)
