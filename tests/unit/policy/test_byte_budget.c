/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/byte_budget.h"
#include "unit.h"

static struct byte_budget b;
static struct usec now;

static void setup(void)
{
    byte_budget_init(&b, 800);
    now = usec_from_s(1000);
}

static enum budget_level level_after(uint64_t ms)
{
    now = usec_add(now, usec_from_ms(ms));
    return byte_budget_level(&b, now);
}

START_TEST(each_step_begins_where_it_says)
{
    static const struct {
        int64_t used;
        enum budget_level level;
    } rows[] = {
        {0, BUDGET_CALM},       {399, BUDGET_CALM},   {400, BUDGET_TIGHT},  {599, BUDGET_TIGHT}, {600, BUDGET_WITHHOLD},
        {699, BUDGET_WITHHOLD}, {700, BUDGET_REFUSE}, {799, BUDGET_REFUSE}, {800, BUDGET_EVICT}, {5000, BUDGET_EVICT},
    };

    byte_budget_add(&b, rows[_i].used);
    ck_assert_uint_eq(byte_budget_used(&b), (uint64_t)rows[_i].used);
    ck_assert_int_eq(level_after(0), rows[_i].level);
}
END_TEST

START_TEST(what_lasts_gets_worse)
{
    byte_budget_add(&b, 600);
    ck_assert_int_eq(level_after(0), BUDGET_WITHHOLD);
    ck_assert_int_eq(level_after(999), BUDGET_WITHHOLD);
    ck_assert_int_eq(level_after(1), BUDGET_REFUSE);
    ck_assert_int_eq(level_after(1999), BUDGET_REFUSE);
    ck_assert_int_eq(level_after(1), BUDGET_EVICT);
}
END_TEST

START_TEST(below_three_quarters_the_time_starts_anew)
{
    byte_budget_add(&b, 600);
    ck_assert_int_eq(level_after(0), BUDGET_WITHHOLD);
    ck_assert_int_eq(level_after(2000), BUDGET_REFUSE);
    byte_budget_add(&b, -1);
    ck_assert_int_eq(level_after(0), BUDGET_TIGHT);
    byte_budget_add(&b, 1);
    ck_assert_int_eq(level_after(5000), BUDGET_WITHHOLD);
}
END_TEST

START_TEST(the_largest_holder_of_all_parties_goes)
{
    byte_budget_add(&b, 900);
    byte_budget_tell_largest(&b, 0, 300);
    byte_budget_tell_largest(&b, 1, 500);

    ck_assert(!byte_budget_is_largest(&b, 0, now));
    ck_assert(byte_budget_is_largest(&b, 1, now));
    ck_assert(byte_budget_is_largest(&b, 0, now)); /* the other one is gone */
    ck_assert(!byte_budget_is_largest(&b, 1, now));
}
END_TEST

START_TEST(one_that_holds_nothing_is_not_the_largest)
{
    ck_assert(!byte_budget_is_largest(&b, 0, now));
}
END_TEST

START_TEST(after_one_has_gone_the_others_get_time)
{
    byte_budget_add(&b, 650);
    level_after(0);
    ck_assert_int_eq(level_after(3000), BUDGET_EVICT);
    byte_budget_tell_largest(&b, 0, 30);
    ck_assert(byte_budget_is_largest(&b, 0, now));
    byte_budget_add(&b, -30);

    ck_assert_int_eq(level_after(1499), BUDGET_REFUSE);
    ck_assert_int_eq(level_after(1), BUDGET_EVICT);
}
END_TEST

/* Two threads may be seen in either order. */
START_TEST(a_subtraction_seen_first_is_no_huge_number)
{
    byte_budget_add(&b, -100);
    ck_assert_uint_eq(byte_budget_used(&b), 0);
    ck_assert_int_eq(level_after(0), BUDGET_CALM);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_lasts_gets_worse,
        below_three_quarters_the_time_starts_anew,
        the_largest_holder_of_all_parties_goes,
        one_that_holds_nothing_is_not_the_largest,
        after_one_has_gone_the_others_get_time,
        a_subtraction_seen_first_is_no_huge_number,
    };
    TCase *budget = unit_case("byte_budget", setup, NULL, tests, sizeof tests / sizeof tests[0]);

    tcase_add_loop_test(budget, each_step_begins_where_it_says, 0, 10);
    return unit_run("byte_budget", budget, (TCase *)NULL);
}
