/* SPDX-License-Identifier: Apache-2.0 */

#include <math.h>

#include "base/container.h"
#include "policy/balancer.h"
#include "unit.h"

#define MANY 5000

static struct rng rng;
static struct usec now;
static struct endpoint_set set;
static struct load loads[MANY];
static struct endpoint_stats stats[MANY];

static void setup(void)
{
    rng_init(&rng, 1);
    now = usec_from_s(1000);
    endpoint_set_init(&set);
}

static void teardown(void)
{
    endpoint_set_deinit(&set);
}

static void add(size_t count)
{
    for (size_t i = set.count; count > 0; i++, count--) {
        loads[i] = (struct load){0};
        endpoint_stats_init(&stats[i], &loads[i], &balance_policy_default, now);
        endpoint_set_add(&set, &stats[i]);
    }
}

static void pass(struct usec time)
{
    now = usec_add(now, time);
}

static struct endpoint_stats *pick(void)
{
    return balancer_pick(&set, now, &rng, NULL, 0);
}

/* As if it had joined so long ago that the average is this sample alone. */
static void measure(struct endpoint_stats *s, uint64_t ms)
{
    s->joined = (struct usec){0};
    s->is_measured = false;
    balancer_latency(&set, s, usec_from_ms(ms), now);
}

static void measure_all(uint64_t ms)
{
    for (size_t i = 0; i < set.count; i++) {
        measure(&stats[i], ms);
    }
}

static void fail_times(struct endpoint_stats *s, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        balancer_failed(&set, s, now, &rng);
    }
}

static struct balancer_view view(const struct endpoint_stats *s)
{
    struct balancer_view v;

    balancer_view(s, &set, now, &v);
    return v;
}

/* How many of `rounds` picks fall on `s`; nothing is started, so no pick changes the next one's costs. */
static unsigned picks_of(const struct endpoint_stats *s, unsigned rounds)
{
    unsigned count = 0;

    for (unsigned i = 0; i < rounds; i++) {
        count += pick() == s;
    }
    return count;
}

/* --- picking --- */

START_TEST(an_empty_set_has_nothing_to_pick)
{
    ck_assert_ptr_null(pick());
}
END_TEST

START_TEST(the_only_endpoint_is_picked)
{
    add(1);

    ck_assert_ptr_eq(pick(), &stats[0]);
}
END_TEST

START_TEST(equal_endpoints_are_picked_equally_often)
{
    unsigned counts[20] = {0};

    add(20);
    for (unsigned i = 0; i < 20000; i++) {
        counts[pick() - stats]++;
    }

    for (size_t i = 0; i < 20; i++) {
        ck_assert_uint_ge(counts[i], 850);
        ck_assert_uint_le(counts[i], 1150);
    }
}
END_TEST

START_TEST(the_endpoint_with_fewer_requests_in_flight_is_picked)
{
    add(5);
    for (size_t i = 0; i < 5; i++) {
        if (i != 3) {
            balancer_started(&stats[i]);
        }
    }

    ck_assert_uint_eq(picks_of(&stats[3], 100), 100);
}
END_TEST

START_TEST(an_endpoint_of_twice_the_weight_is_picked_twice_as_often)
{
    add(4);
    endpoint_set_weigh(&stats[2], 2);

    unsigned picks = picks_of(&stats[2], 10000);
    ck_assert_uint_ge(picks, 3800);
    ck_assert_uint_le(picks, 4200);
}
END_TEST

START_TEST(requests_in_flight_count_by_weight)
{
    add(2);
    endpoint_set_weigh(&stats[0], 3);
    balancer_started(&stats[1]);
    balancer_started(&stats[0]);
    balancer_started(&stats[0]);
    ck_assert_uint_ge(picks_of(&stats[0], 1000), 700); /* one of its three is idle, two are as busy as the other: 5/6 */

    for (unsigned i = 0; i < 4; i++) {
        balancer_started(&stats[0]);
    }
    ck_assert_uint_eq(picks_of(&stats[0], 100), 0); /* two on each of the three, one on the other */
}
END_TEST

START_TEST(the_one_heavy_endpoint_among_thousands_is_picked_more)
{
    add(MANY);
    endpoint_set_weigh(&stats[77], 1000000);

    ck_assert_uint_ge(picks_of(&stats[77], 10000), 20); /* 2 would be even */
}
END_TEST

START_TEST(a_request_that_ended_no_longer_counts)
{
    add(5);
    for (size_t i = 0; i < 5; i++) {
        balancer_started(&stats[i]);
    }

    balancer_ended(&stats[2], false);

    ck_assert_uint_eq(picks_of(&stats[2], 100), 100);
}
END_TEST

START_TEST(another_worker_s_requests_count_too)
{
    add(5);
    for (size_t i = 0; i < 4; i++) {
        load_add(&loads[i]);
    }

    ck_assert_uint_eq(picks_of(&stats[4], 100), 100);
}
END_TEST

START_TEST(the_fastest_endpoint_is_picked_when_none_is_busy)
{
    add(5);
    measure_all(100);
    measure(&stats[1], 10);

    ck_assert_uint_eq(picks_of(&stats[1], 100), 100);
}
END_TEST

START_TEST(only_five_endpoints_are_weighed_for_a_pick)
{
    add(50);
    measure_all(100);
    measure(&stats[1], 10);

    /* In the sample of five of fifty one time in ten. */
    unsigned picks = picks_of(&stats[1], 10000);
    ck_assert_uint_ge(picks, 850);
    ck_assert_uint_le(picks, 1150);
}
END_TEST

START_TEST(a_latency_within_a_quarter_of_the_median_is_as_good_as_the_median)
{
    add(5);
    measure_all(100);
    measure(&stats[0], 81);
    measure(&stats[1], 124);

    unsigned fast = picks_of(&stats[0], 5000);
    unsigned slow = picks_of(&stats[1], 5000);
    ck_assert_uint_ge(fast, 850);
    ck_assert_uint_le(fast, 1150);
    ck_assert_uint_ge(slow, 850);
    ck_assert_uint_le(slow, 1150);
}
END_TEST

START_TEST(the_cost_is_continuous_at_the_edges_of_the_dead_band)
{
    add(5);
    measure_all(100);
    (void)pick();
    double even = view(&stats[4]).cost;

    ewma_init(&stats[0].latency, 100000 * 1.2501, now);
    ewma_init(&stats[1].latency, 100000 / 1.2501, now);

    ck_assert_double_eq_tol(view(&stats[0]).cost / even, 1, 0.001);
    ck_assert_double_eq_tol(view(&stats[1]).cost / even, 1, 0.001);
}
END_TEST

START_TEST(the_cost_is_latency_times_the_cube_of_the_queue_over_success_squared)
{
    add(3);
    measure_all(100);
    measure(&stats[0], 250);
    balancer_started(&stats[0]);
    balancer_failed(&set, &stats[0], now, &rng);

    double expected = 250000 / 1.25 * 8 / (0.9 * 0.9);
    ck_assert_double_eq_tol(view(&stats[0]).cost / expected, 1, 0.001);
}
END_TEST

START_TEST(a_slow_endpoint_that_is_not_asked_is_forgiven)
{
    add(5);
    measure_all(100);
    measure(&stats[0], 1000);
    ck_assert_uint_eq(picks_of(&stats[0], 1000), 0);

    pass(usec_from_s(60));

    ck_assert_uint_ge(picks_of(&stats[0], 1000), 100);
}
END_TEST

START_TEST(forgiveness_fades_with_ten_seconds)
{
    add(5);
    measure_all(100);
    measure(&stats[0], 1100);
    (void)pick();
    double even = view(&stats[1]).cost;

    pass(usec_from_s(10));

    ck_assert_double_eq_tol(view(&stats[0]).cost / even, (1 + 10 * exp(-1)) / 1.25, 0.001);
}
END_TEST

START_TEST(an_endpoint_that_was_tried_is_passed_over)
{
    struct endpoint_stats *tried[] = {&stats[0], &stats[2]};

    add(3);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_ptr_eq(balancer_pick(&set, now, &rng, tried, ARRAY_LEN(tried)), &stats[1]);
    }
}
END_TEST

START_TEST(no_endpoint_is_left_when_all_were_tried)
{
    struct endpoint_stats *tried[] = {&stats[0], &stats[1]};

    add(2);

    ck_assert_ptr_null(balancer_pick(&set, now, &rng, tried, ARRAY_LEN(tried)));
}
END_TEST

START_TEST(a_draining_endpoint_gets_nothing_new)
{
    add(2);
    stats[0].is_draining = true;

    ck_assert_uint_eq(picks_of(&stats[1], 100), 100);
    stats[1].is_draining = true;
    ck_assert_ptr_null(pick());
}
END_TEST

START_TEST(the_one_usable_endpoint_among_thousands_is_found)
{
    add(MANY);
    for (size_t i = 0; i < MANY; i++) {
        stats[i].is_draining = i != 4321;
    }

    ck_assert_ptr_eq(pick(), &stats[4321]);
}
END_TEST

START_TEST(among_thousands_every_endpoint_is_picked_sooner_or_later)
{
    size_t never = 0;
    static bool was_picked[MANY];

    add(MANY);
    for (unsigned i = 0; i < 12 * MANY; i++) {
        was_picked[pick() - stats] = true;
    }
    for (size_t i = 0; i < MANY; i++) {
        never += !was_picked[i];
    }

    ck_assert_uint_eq(never, 0);
}
END_TEST

/* --- new endpoints --- */

START_TEST(a_new_endpoint_counts_as_the_median_of_its_peers)
{
    add(4);
    measure_all(100);
    add(1);
    (void)pick();

    ck_assert_double_eq_tol(view(&stats[4]).cost, view(&stats[0]).cost, 1);
}
END_TEST

START_TEST(the_first_sample_of_a_new_endpoint_moves_it_little)
{
    add(4);
    measure_all(100);
    add(1);
    pass(usec_from_ms(100));

    balancer_latency(&set, &stats[4], usec_from_ms(1000), now); /* a cold start */

    ck_assert_uint_lt(view(&stats[4]).latency.v, 150 * 1000);
}
END_TEST

START_TEST(the_very_first_sample_of_a_service_is_its_median)
{
    add(3);

    balancer_latency(&set, &stats[1], usec_from_ms(40), now);

    ck_assert_double_eq(set.median, 40000);
    ck_assert_uint_eq(view(&stats[0]).latency.v, 40000);
    ck_assert(!view(&stats[0]).is_measured);
}
END_TEST

/* --- success and ejection --- */

START_TEST(failures_lower_the_success_ratio_by_a_tenth_each)
{
    add(3);
    fail_times(&stats[0], 2);

    ck_assert_double_eq_tol(view(&stats[0]).success, 0.81, 1e-9);
}
END_TEST

START_TEST(successes_raise_the_success_ratio_by_a_tenth_each)
{
    add(3);
    fail_times(&stats[0], 2);
    balancer_succeeded(&set, &stats[0], now);

    ck_assert_double_eq_tol(view(&stats[0]).success, 1 - 0.19 * 0.9, 1e-9);
}
END_TEST

START_TEST(the_success_ratio_returns_to_one_with_ten_seconds)
{
    add(3);
    fail_times(&stats[0], 1);

    pass(usec_from_s(10));

    ck_assert_double_eq_tol(view(&stats[0]).success, 1 - 0.1 * exp(-1), 1e-9);
}
END_TEST

START_TEST(an_endpoint_that_fails_now_and_then_is_picked_less)
{
    add(5);
    fail_times(&stats[0], 2);

    ck_assert_uint_eq(picks_of(&stats[0], 100), 0);
}
END_TEST

START_TEST(the_fifth_failure_in_a_row_ejects)
{
    add(3);
    fail_times(&stats[0], 4);
    ck_assert(!view(&stats[0]).is_ejected);

    fail_times(&stats[0], 1);

    ck_assert(view(&stats[0]).is_ejected);
}
END_TEST

START_TEST(a_success_in_between_starts_the_count_again)
{
    add(3);
    fail_times(&stats[0], 4);
    balancer_succeeded(&set, &stats[0], now);
    fail_times(&stats[0], 4);

    ck_assert(!view(&stats[0]).is_ejected);
}
END_TEST

START_TEST(an_ejected_endpoint_is_not_picked)
{
    add(2);
    fail_times(&stats[0], 5);

    ck_assert_uint_eq(picks_of(&stats[1], 1000), 1000);
}
END_TEST

START_TEST(the_first_ejection_lasts_five_seconds_give_or_take_a_quarter)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    add(3);
    for (unsigned i = 0; i < 10000; i++) {
        endpoint_set_remove(&set, &stats[0]);
        endpoint_stats_init(&stats[0], &loads[0], &balance_policy_default, now);
        endpoint_set_add(&set, &stats[0]);
        fail_times(&stats[0], 5);
        uint64_t length = view(&stats[0]).ejected_until.v - now.v;
        least = length < least ? length : least;
        most = length > most ? length : most;
    }

    ck_assert_uint_ge(least, 3750000);
    ck_assert_uint_lt(least, 3760000);
    ck_assert_uint_le(most, 6250000);
    ck_assert_uint_gt(most, 6240000);
}
END_TEST

/* Ejects, waits until the trial and returns how long it took. */
static uint64_t sit_out(struct endpoint_stats *s)
{
    struct usec until = view(s).ejected_until;
    uint64_t length = until.v - now.v;

    ck_assert(view(s).is_ejected);
    now = until;
    ck_assert(!view(s).is_ejected);
    return length;
}

START_TEST(a_failed_trial_ejects_at_once_for_twice_as_long_up_to_eighty_seconds)
{
    static const uint64_t expected_s[] = {5, 10, 20, 40, 80, 80, 80};

    add(3);
    fail_times(&stats[0], 5);
    for (size_t i = 0; i < ARRAY_LEN(expected_s); i++) {
        uint64_t length = sit_out(&stats[0]);

        ck_assert_uint_ge(length, expected_s[i] * 750000);
        ck_assert_uint_le(length, expected_s[i] * 1250000);
        fail_times(&stats[0], 1);
    }
}
END_TEST

START_TEST(a_successful_trial_clears_the_record)
{
    add(3);
    fail_times(&stats[0], 5);
    sit_out(&stats[0]);
    fail_times(&stats[0], 1);
    sit_out(&stats[0]);

    balancer_succeeded(&set, &stats[0], now);

    fail_times(&stats[0], 4);
    ck_assert(!view(&stats[0]).is_ejected);
    fail_times(&stats[0], 1);
    ck_assert_uint_le(sit_out(&stats[0]), 6250000);
}
END_TEST

START_TEST(an_endpoint_on_trial_competes_again)
{
    add(2);
    fail_times(&stats[0], 5);
    sit_out(&stats[0]);
    pass(usec_from_s(60));

    unsigned picks = picks_of(&stats[0], 1000);
    balancer_started(&stats[1]);

    ck_assert_uint_eq(picks, 0); /* it is still a little behind */
    ck_assert_uint_eq(picks_of(&stats[0], 1000), 1000);
}
END_TEST

START_TEST(failures_of_requests_sent_before_the_ejection_do_not_prolong_it)
{
    add(3);
    fail_times(&stats[0], 5);
    uint64_t until = view(&stats[0]).ejected_until.v;

    fail_times(&stats[0], 20);

    ck_assert_uint_eq(view(&stats[0]).ejected_until.v, until);
    sit_out(&stats[0]);
    fail_times(&stats[0], 1);
    ck_assert_uint_le(sit_out(&stats[0]), 12500000);
}
END_TEST

START_TEST(a_success_of_a_request_sent_before_the_ejection_does_not_end_it)
{
    add(3);
    fail_times(&stats[0], 5);

    balancer_succeeded(&set, &stats[0], now);

    ck_assert(view(&stats[0]).is_ejected);
}
END_TEST

START_TEST(when_all_fail_half_stay)
{
    unsigned ejected = 0;

    add(9);
    for (size_t i = 0; i < 9; i++) {
        fail_times(&stats[i], 10);
    }
    for (size_t i = 0; i < 9; i++) {
        ejected += view(&stats[i]).is_ejected;
    }

    ck_assert_uint_eq(ejected, 4);
    ck_assert(!view(pick()).is_ejected);
}
END_TEST

START_TEST(the_last_endpoint_is_used_however_often_it_fails)
{
    add(1);
    fail_times(&stats[0], 100);

    ck_assert_ptr_eq(pick(), &stats[0]);
}
END_TEST

START_TEST(an_ejected_endpoint_is_better_than_none)
{
    add(2);
    fail_times(&stats[0], 5);
    stats[1].is_draining = true;

    ck_assert_ptr_eq(pick(), &stats[0]);
}
END_TEST

START_TEST(an_endpoint_that_left_is_not_ejected)
{
    add(3);
    endpoint_set_remove(&set, &stats[0]);

    fail_times(&stats[0], 10);
    balancer_latency(&set, &stats[0], usec_from_ms(1), now);
    balancer_succeeded(&set, &stats[0], now);

    ck_assert_uint_eq(set.ejected, 0);
    ck_assert_int_eq(stats[0].ejection, EJECTION_NONE);
}
END_TEST

/* --- connects --- */

START_TEST(an_endpoint_that_refused_a_connection_is_passed_over)
{
    add(2);
    balancer_connect_failed(&stats[0], now, &rng);

    ck_assert_uint_eq(picks_of(&stats[1], 100), 100);
}
END_TEST

START_TEST(the_connect_back_off_starts_at_a_tenth_of_a_second)
{
    add(2);
    balancer_connect_failed(&stats[0], now, &rng);

    uint64_t length = view(&stats[0]).connect_after.v - now.v;
    ck_assert_uint_ge(length, 80000);
    ck_assert_uint_le(length, 120000);
}
END_TEST

START_TEST(the_connect_back_off_ends_at_ten_seconds)
{
    add(2);
    for (unsigned i = 0; i < 20; i++) {
        balancer_connect_failed(&stats[0], now, &rng);
        now = view(&stats[0]).connect_after;
    }
    balancer_connect_failed(&stats[0], now, &rng);

    uint64_t length = view(&stats[0]).connect_after.v - now.v;
    ck_assert_uint_ge(length, 8000000);
    ck_assert_uint_le(length, 12000000);
}
END_TEST

START_TEST(connects_that_fail_together_back_off_once)
{
    add(2);
    for (unsigned i = 0; i < 10; i++) {
        balancer_connect_failed(&stats[0], now, &rng);
    }

    ck_assert_uint_le(view(&stats[0]).connect_after.v - now.v, 120000);
}
END_TEST

START_TEST(when_every_endpoint_refuses_none_is_left)
{
    add(3);
    for (size_t i = 0; i < 3; i++) {
        balancer_connect_failed(&stats[i], now, &rng);
    }

    ck_assert_ptr_null(pick());
}
END_TEST

START_TEST(when_every_endpoint_refuses_the_first_whose_time_has_come_is_used)
{
    size_t first = 0;

    add(3);
    for (size_t i = 0; i < 3; i++) {
        balancer_connect_failed(&stats[i], now, &rng);
        first = usec_before(stats[i].connect_after, stats[first].connect_after) ? i : first;
    }

    now = (struct usec){stats[first].connect_after.v - 1};
    ck_assert_ptr_null(pick());
    now = stats[first].connect_after;
    ck_assert_ptr_eq(pick(), &stats[first]);
}
END_TEST

START_TEST(a_connection_ends_the_back_off_and_its_history)
{
    add(2);
    for (unsigned i = 0; i < 5; i++) {
        balancer_connect_failed(&stats[0], now, &rng);
        now = view(&stats[0]).connect_after;
    }

    balancer_connected(&stats[0]);

    ck_assert(!view(&stats[0]).is_backing_off);
    balancer_connect_failed(&stats[0], now, &rng);
    ck_assert_uint_le(view(&stats[0]).connect_after.v - now.v, 120000);
}
END_TEST

START_TEST(a_failed_connect_says_nothing_about_latency_or_success)
{
    add(2);
    balancer_connect_failed(&stats[0], now, &rng);

    ck_assert(!view(&stats[0]).is_measured);
    ck_assert_double_eq(view(&stats[0]).success, 1);
}
END_TEST

/* --- the view --- */

START_TEST(the_view_tells_what_is_known)
{
    add(3);
    measure_all(25);
    balancer_started(&stats[1]);
    stats[1].is_draining = true;

    struct balancer_view v = view(&stats[1]);
    ck_assert_uint_eq(v.latency.v, 25000);
    ck_assert(v.is_measured);
    ck_assert_double_eq(v.success, 1);
    ck_assert_uint_eq(v.in_flight, 1);
    ck_assert(!v.is_ejected);
    ck_assert_uint_eq(v.ejected_until.v, 0);
    ck_assert(!v.is_backing_off);
    ck_assert_uint_eq(v.connect_after.v, 0);
    ck_assert(v.is_draining);
    ck_assert_double_eq_tol(v.cost, 25000 * 8, 1);
}
END_TEST

UNIT_MAIN("balancer", setup, teardown, an_empty_set_has_nothing_to_pick, the_only_endpoint_is_picked,
          equal_endpoints_are_picked_equally_often, the_endpoint_with_fewer_requests_in_flight_is_picked,
          an_endpoint_of_twice_the_weight_is_picked_twice_as_often, requests_in_flight_count_by_weight,
          the_one_heavy_endpoint_among_thousands_is_picked_more, a_request_that_ended_no_longer_counts,
          another_worker_s_requests_count_too, the_fastest_endpoint_is_picked_when_none_is_busy,
          only_five_endpoints_are_weighed_for_a_pick, a_latency_within_a_quarter_of_the_median_is_as_good_as_the_median,
          the_cost_is_continuous_at_the_edges_of_the_dead_band,
          the_cost_is_latency_times_the_cube_of_the_queue_over_success_squared, a_slow_endpoint_that_is_not_asked_is_forgiven,
          forgiveness_fades_with_ten_seconds, an_endpoint_that_was_tried_is_passed_over, no_endpoint_is_left_when_all_were_tried,
          a_draining_endpoint_gets_nothing_new, the_one_usable_endpoint_among_thousands_is_found,
          among_thousands_every_endpoint_is_picked_sooner_or_later, a_new_endpoint_counts_as_the_median_of_its_peers,
          the_first_sample_of_a_new_endpoint_moves_it_little, the_very_first_sample_of_a_service_is_its_median,
          failures_lower_the_success_ratio_by_a_tenth_each, successes_raise_the_success_ratio_by_a_tenth_each,
          the_success_ratio_returns_to_one_with_ten_seconds, an_endpoint_that_fails_now_and_then_is_picked_less,
          the_fifth_failure_in_a_row_ejects, a_success_in_between_starts_the_count_again, an_ejected_endpoint_is_not_picked,
          the_first_ejection_lasts_five_seconds_give_or_take_a_quarter,
          a_failed_trial_ejects_at_once_for_twice_as_long_up_to_eighty_seconds, a_successful_trial_clears_the_record,
          an_endpoint_on_trial_competes_again, failures_of_requests_sent_before_the_ejection_do_not_prolong_it,
          a_success_of_a_request_sent_before_the_ejection_does_not_end_it, when_all_fail_half_stay,
          the_last_endpoint_is_used_however_often_it_fails, an_ejected_endpoint_is_better_than_none,
          an_endpoint_that_left_is_not_ejected, an_endpoint_that_refused_a_connection_is_passed_over,
          the_connect_back_off_starts_at_a_tenth_of_a_second, the_connect_back_off_ends_at_ten_seconds,
          connects_that_fail_together_back_off_once, when_every_endpoint_refuses_none_is_left,
          when_every_endpoint_refuses_the_first_whose_time_has_come_is_used, a_connection_ends_the_back_off_and_its_history,
          a_failed_connect_says_nothing_about_latency_or_success, the_view_tells_what_is_known)
