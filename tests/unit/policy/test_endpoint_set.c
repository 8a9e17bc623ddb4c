/* SPDX-License-Identifier: Apache-2.0 */

#include "base/container.h"
#include "base/rng.h"
#include "policy/endpoint_set.h"
#include "unit.h"

#define MANY 100

static const struct usec now = {5000000};
static const struct usec later = {6000000};

static struct load load;
static struct endpoint_set set;
static struct endpoint_stats stats[MANY];

static void setup(void)
{
    endpoint_set_init(&set);
    for (size_t i = 0; i < MANY; i++) {
        endpoint_stats_init(&stats[i], &load, &balance_policy_default, now);
    }
}

static void teardown(void)
{
    endpoint_set_deinit(&set);
}

static void add(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        endpoint_set_add(&set, &stats[i]);
    }
}

/* Every member knows its place, nobody is in twice, and no more than half are out. */
static void check_invariants(void)
{
    size_t ejected = 0;

    for (size_t i = 0; i < set.count; i++) {
        ck_assert_ptr_eq(set.members[i]->set, &set);
        ck_assert_uint_eq(set.members[i]->index, i);
        ejected += set.members[i]->ejection == EJECTION_OUT;
    }
    ck_assert_uint_eq(set.ejected, ejected);
    ck_assert_uint_le(set.ejected, set.count / 2);
}

static size_t eject_all(struct usec until)
{
    size_t ejected = 0;

    for (size_t i = 0; i < MANY; i++) {
        if (stats[i].set != NULL && stats[i].ejection != EJECTION_OUT) {
            ejected += endpoint_set_eject(&set, &stats[i], until);
        }
    }
    return ejected;
}

static void measure(size_t i, double latency)
{
    ewma_init(&stats[i].latency, latency, now);
    stats[i].is_measured = true;
}

START_TEST(a_new_set_is_empty)
{
    ck_assert_uint_eq(endpoint_set_count(&set), 0);
}
END_TEST

START_TEST(members_can_be_removed_in_any_order)
{
    add(MANY);
    for (size_t i = 0; i < MANY; i++) {
        endpoint_set_remove(&set, &stats[i * 37 % MANY]);
        check_invariants();
        ck_assert_ptr_null(stats[i * 37 % MANY].set);
    }

    ck_assert_uint_eq(endpoint_set_count(&set), 0);
}
END_TEST

START_TEST(removing_twice_is_harmless)
{
    add(3);

    endpoint_set_remove(&set, &stats[1]);
    endpoint_set_remove(&set, &stats[1]);

    ck_assert_uint_eq(endpoint_set_count(&set), 2);
}
END_TEST

START_TEST(a_removed_endpoint_can_return_with_what_is_known_of_it)
{
    add(2);
    measure(0, 1234);

    endpoint_set_remove(&set, &stats[0]);
    endpoint_set_add(&set, &stats[0]);

    check_invariants();
    ck_assert_double_eq(stats[0].latency.value, 1234);
}
END_TEST

START_TEST(members_left_at_the_end_belong_to_no_set)
{
    add(2);

    endpoint_set_deinit(&set);

    ck_assert_ptr_null(stats[0].set);
    ck_assert_ptr_null(stats[1].set);
}
END_TEST

START_TEST(the_only_endpoint_is_never_ejected)
{
    add(1);

    ck_assert(!endpoint_set_eject(&set, &stats[0], later));
    ck_assert(!endpoint_set_is_ejected(&set, &stats[0], now));
}
END_TEST

START_TEST(at_most_half_are_ejected)
{
    static const size_t sizes[] = {1, 2, 3, 4, 5, 10, 11};
    size_t count = sizes[_i];

    add(count);

    ck_assert_uint_eq(eject_all(later), count / 2);
    check_invariants();
}
END_TEST

START_TEST(an_ejection_ends_with_its_time_and_not_before)
{
    add(2);
    ck_assert(endpoint_set_eject(&set, &stats[0], later));

    ck_assert(endpoint_set_is_ejected(&set, &stats[0], (struct usec){later.v - 1}));
    ck_assert(!endpoint_set_is_ejected(&set, &stats[0], later));
    ck_assert_int_eq(stats[0].ejection, EJECTION_TRIAL);
    check_invariants();
}
END_TEST

START_TEST(an_ejection_that_is_over_makes_room_for_another)
{
    add(2);
    ck_assert(endpoint_set_eject(&set, &stats[0], later));
    ck_assert(!endpoint_set_eject(&set, &stats[1], later));

    endpoint_set_refresh(&set, later);

    ck_assert(endpoint_set_eject(&set, &stats[1], usec_add(later, later)));
}
END_TEST

START_TEST(when_healthy_members_leave_the_floor_holds)
{
    add(10);
    eject_all(later);
    for (size_t i = 5; i < 10; i++) {
        endpoint_set_remove(&set, &stats[i]);
        check_invariants();
    }

    ck_assert_uint_eq(set.ejected, 2);
}
END_TEST

START_TEST(the_floor_readmits_the_one_whose_time_ends_first)
{
    add(4);
    ck_assert(endpoint_set_eject(&set, &stats[0], usec_from_s(30)));
    ck_assert(endpoint_set_eject(&set, &stats[1], usec_from_s(20)));

    endpoint_set_remove(&set, &stats[3]);

    ck_assert_int_eq(stats[0].ejection, EJECTION_OUT);
    ck_assert_int_eq(stats[1].ejection, EJECTION_TRIAL);
}
END_TEST

START_TEST(an_ejected_member_that_leaves_is_no_longer_counted)
{
    add(4);
    ck_assert(endpoint_set_eject(&set, &stats[0], later));

    endpoint_set_remove(&set, &stats[0]);

    ck_assert_uint_eq(set.ejected, 0);
    ck_assert_int_eq(stats[0].ejection, EJECTION_TRIAL);
}
END_TEST

START_TEST(an_ejected_member_that_returns_is_out_for_the_rest_of_its_time)
{
    add(4);
    ck_assert(endpoint_set_eject(&set, &stats[0], later));

    endpoint_set_remove(&set, &stats[0]);
    endpoint_set_add(&set, &stats[0]);

    check_invariants();
    ck_assert(endpoint_set_is_ejected(&set, &stats[0], now));
    ck_assert(!endpoint_set_is_ejected(&set, &stats[0], later));
}
END_TEST

START_TEST(an_ejected_member_that_returns_respects_the_floor)
{
    add(4);
    ck_assert(endpoint_set_eject(&set, &stats[0], later));
    endpoint_set_remove(&set, &stats[0]);
    endpoint_set_remove(&set, &stats[1]);
    endpoint_set_remove(&set, &stats[2]);
    ck_assert(!endpoint_set_eject(&set, &stats[3], later));
    endpoint_set_add(&set, &stats[1]);
    ck_assert(endpoint_set_eject(&set, &stats[1], later));

    endpoint_set_add(&set, &stats[0]);

    check_invariants();
    ck_assert_int_eq(stats[0].ejection, EJECTION_TRIAL);
}
END_TEST

START_TEST(random_comings_goings_and_ejections_keep_the_floor)
{
    struct rng rng;

    rng_init(&rng, 11);
    for (uint64_t step = 0; step < 3000; step++) {
        struct endpoint_stats *s = &stats[rng_below(&rng, 20)];
        struct usec time = usec_add(now, usec_from_ms(step));

        if (s->set == NULL) {
            endpoint_set_add(&set, s);
        } else if (rng_below(&rng, 3) == 0) {
            endpoint_set_remove(&set, s);
        } else if (!endpoint_set_is_ejected(&set, s, time)) {
            (void)endpoint_set_eject(&set, s, usec_add(time, usec_from_ms(rng_below(&rng, 100))));
        }
        check_invariants();
    }
}
END_TEST

START_TEST(the_median_is_of_the_measured_members_only)
{
    add(5);
    measure(0, 100);
    measure(1, 300);
    measure(2, 200);

    endpoint_set_refresh(&set, now);

    ck_assert_double_eq(set.median, 200);
}
END_TEST

START_TEST(without_a_measurement_there_is_no_median)
{
    add(5);

    endpoint_set_refresh(&set, now);

    ck_assert_double_eq(set.median, 0);
}
END_TEST

START_TEST(the_median_is_kept_for_picks_of_half_the_members)
{
    add(MANY);
    measure(0, 100);
    endpoint_set_refresh(&set, now);
    measure(0, 900);
    for (size_t i = 1; i < MANY / 2; i++) {
        endpoint_set_refresh(&set, now);
        ck_assert_double_eq(set.median, 100);
    }

    endpoint_set_refresh(&set, now);

    ck_assert_double_eq(set.median, 900);
}
END_TEST

START_TEST(the_median_is_kept_for_at_most_a_tenth_of_a_second)
{
    add(MANY);
    measure(0, 100);
    endpoint_set_refresh(&set, now);
    measure(0, 900);
    endpoint_set_refresh(&set, usec_add(now, (struct usec){99999}));
    ck_assert_double_eq(set.median, 100);

    endpoint_set_refresh(&set, usec_add(now, usec_from_ms(100)));

    ck_assert_double_eq(set.median, 900);
}
END_TEST

START_TEST(the_median_survives_the_members_it_came_from)
{
    add(2);
    measure(0, 100);
    endpoint_set_refresh(&set, now);

    endpoint_set_remove(&set, &stats[0]);
    endpoint_set_refresh(&set, later);

    ck_assert_double_eq(set.median, 100);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_new_set_is_empty,
        members_can_be_removed_in_any_order,
        removing_twice_is_harmless,
        a_removed_endpoint_can_return_with_what_is_known_of_it,
        members_left_at_the_end_belong_to_no_set,
        the_only_endpoint_is_never_ejected,
        an_ejection_ends_with_its_time_and_not_before,
        an_ejection_that_is_over_makes_room_for_another,
        when_healthy_members_leave_the_floor_holds,
        the_floor_readmits_the_one_whose_time_ends_first,
        an_ejected_member_that_leaves_is_no_longer_counted,
        an_ejected_member_that_returns_is_out_for_the_rest_of_its_time,
        an_ejected_member_that_returns_respects_the_floor,
        random_comings_goings_and_ejections_keep_the_floor,
        the_median_is_of_the_measured_members_only,
        without_a_measurement_there_is_no_median,
        the_median_is_kept_for_picks_of_half_the_members,
        the_median_is_kept_for_at_most_a_tenth_of_a_second,
        the_median_survives_the_members_it_came_from,
    };
    TCase *tcase = unit_case("endpoint_set", setup, teardown, tests, sizeof tests / sizeof *tests);

    tcase_add_loop_test(tcase, at_most_half_are_ejected, 0, 7);
    return unit_run("endpoint_set", tcase, (TCase *)NULL);
}
