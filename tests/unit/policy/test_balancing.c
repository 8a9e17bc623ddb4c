/* SPDX-License-Identifier: Apache-2.0 */

/* What the rule achieves over thousands of requests; each fact is checked for several seeds. */

#include "base/container.h"
#include "simulation.h"
#include "unit.h"

#define SEEDS 10
#define REQUESTS 6000
#define EVEN (REQUESTS / 30)

static struct sim sim;

static void setup(void)
{
    sim_init(&sim, 1);
}

static void teardown(void)
{
    sim_deinit(&sim);
}

static void begin(int seed)
{
    sim_deinit(&sim);
    sim_init(&sim, 17 * (uint64_t)seed + 3);
}

static void check_shares(size_t first, size_t last, unsigned least, unsigned most)
{
    for (size_t i = first; i <= last; i++) {
        ck_assert_uint_ge(sim.servers[i].picked, least);
        ck_assert_uint_le(sim.servers[i].picked, most);
    }
}

START_TEST(equal_servers_share_within_thirty_percent)
{
    begin(_i);
    sim_add(&sim, 30, usec_from_ms(20), 0.3);
    sim_run(&sim, REQUESTS, 10);

    check_shares(0, 29, EVEN * 70 / 100, EVEN * 130 / 100);
}
END_TEST

START_TEST(equal_servers_share_within_thirty_percent_with_many_requests_in_flight_too)
{
    begin(_i);
    sim_add(&sim, 30, usec_from_ms(20), 0.3);
    sim_run(&sim, REQUESTS, 100);

    check_shares(0, 29, EVEN * 85 / 100, EVEN * 115 / 100);
}
END_TEST

START_TEST(equal_servers_share_within_thirty_percent_when_answers_take_a_millisecond)
{
    begin(_i);
    sim_add(&sim, 30, usec_from_ms(1), 0.3);
    sim_run(&sim, REQUESTS, 10);

    check_shares(0, 29, EVEN * 70 / 100, EVEN * 130 / 100);
}
END_TEST

START_TEST(equal_servers_that_vary_by_a_fifth_still_share_evenly)
{
    begin(_i);
    for (uint64_t i = 0; i < 30; i++) {
        sim_add(&sim, 1, (struct usec){18000 + i * 130}, 0.2);
    }
    sim_run(&sim, REQUESTS, 15);

    check_shares(0, 29, EVEN * 70 / 100, EVEN * 130 / 100);
}
END_TEST

START_TEST(a_server_ten_times_slower_falls_under_a_third_of_its_share)
{
    begin(_i);
    sim_add(&sim, 30, usec_from_ms(20), 0.3);
    sim_run(&sim, 1000, 10);
    sim.servers[7].service = usec_from_ms(200);
    sim_forget(&sim);
    sim_run(&sim, REQUESTS, 10);

    check_shares(7, 7, 0, EVEN / 3 - 1);
    check_shares(8, 29, EVEN * 70 / 100, EVEN * 140 / 100);
}
END_TEST

START_TEST(a_slow_server_among_three_falls_under_a_third_of_its_share)
{
    begin(_i);
    sim_add(&sim, 3, usec_from_ms(20), 0.3);
    sim_run(&sim, 1000, 10);
    sim.servers[0].service = usec_from_ms(200);
    sim_forget(&sim);
    sim_run(&sim, REQUESTS, 10);

    check_shares(0, 0, 0, REQUESTS / 3 / 3 - 1);
}
END_TEST

START_TEST(a_server_that_recovers_gets_its_share_back)
{
    begin(_i);
    sim_add(&sim, 30, usec_from_ms(20), 0.3);
    sim.servers[7].service = usec_from_ms(200);
    sim_run(&sim, REQUESTS, 10);
    sim.servers[7].service = usec_from_ms(20);
    sim_run(&sim, 20 * REQUESTS, 10);
    sim_forget(&sim);
    sim_run(&sim, REQUESTS, 10);

    check_shares(7, 7, EVEN * 70 / 100, EVEN * 130 / 100);
}
END_TEST

START_TEST(new_servers_take_their_share_at_once)
{
    begin(_i);
    sim_add(&sim, 3, usec_from_ms(20), 0.3);
    sim_run(&sim, REQUESTS, 30);
    sim_add(&sim, 27, usec_from_ms(20), 0.3);
    sim_forget(&sim);
    sim_run(&sim, REQUESTS / 10, 30); /* the first 600: a third of a second */

    check_shares(0, 29, EVEN / 10 * 50 / 100, EVEN / 10 * 160 / 100);
    sim_forget(&sim);
    sim_run(&sim, REQUESTS, 30);
    check_shares(0, 29, EVEN * 70 / 100, EVEN * 130 / 100);
}
END_TEST

START_TEST(a_single_new_server_is_not_flooded)
{
    begin(_i);
    sim_add(&sim, 29, usec_from_ms(20), 0.3);
    sim_run(&sim, REQUESTS, 30);
    sim_add(&sim, 1, usec_from_ms(20), 0.3);
    sim_forget(&sim);
    sim_run(&sim, REQUESTS / 5, 30);

    check_shares(29, 29, EVEN / 5 * 50 / 100, EVEN / 5 * 150 / 100);
}
END_TEST

START_TEST(when_thirty_servers_become_one_it_gets_everything)
{
    begin(_i);
    sim_add(&sim, 30, usec_from_ms(20), 0.3);
    sim_run(&sim, REQUESTS, 30);
    for (size_t i = 1; i < 30; i++) {
        sim_remove(&sim, i);
    }
    sim_forget(&sim);
    sim_run(&sim, 300, 30);

    check_shares(0, 0, 300, 300);
}
END_TEST

START_TEST(a_server_that_fails_at_once_attracts_next_to_nothing)
{
    begin(_i);
    sim_add(&sim, 10, usec_from_ms(20), 0.3);
    sim_run(&sim, 1000, 10);
    sim.servers[4].fail_percent = 100;
    sim_forget(&sim);
    sim_run(&sim, REQUESTS, 10);

    ck_assert_uint_le(sim.failures, REQUESTS / 200);
}
END_TEST

START_TEST(a_server_that_fails_half_the_time_loses_more_than_half_of_its_share)
{
    begin(_i);
    sim_add(&sim, 10, usec_from_ms(20), 0.3);
    sim.servers[4].fail_percent = 50;
    sim_run(&sim, REQUESTS, 10);

    check_shares(4, 4, 0, REQUESTS / 10 / 2);
}
END_TEST

START_TEST(a_failing_server_that_recovers_gets_its_share_back)
{
    begin(_i);
    sim_add(&sim, 10, usec_from_ms(20), 0.3);
    sim.servers[4].fail_percent = 100;
    sim_run(&sim, REQUESTS, 10);
    sim.servers[4].fail_percent = 0;
    sim_run(&sim, 20 * REQUESTS, 10);
    sim_forget(&sim);
    sim_run(&sim, REQUESTS, 10);

    check_shares(4, 4, REQUESTS / 10 * 70 / 100, REQUESTS / 10 * 130 / 100);
}
END_TEST

START_TEST(when_all_servers_fail_all_are_still_asked)
{
    begin(_i);
    sim_add(&sim, 10, usec_from_ms(20), 0.3);
    for (size_t i = 0; i < 10; i++) {
        sim.servers[i].fail_percent = 100;
    }
    sim_run(&sim, 10 * REQUESTS, 10);

    ck_assert_uint_le(sim.set.ejected, 5);
    check_shares(0, 9, 1, 10 * REQUESTS / 3);
}
END_TEST

START_TEST(a_few_errors_everywhere_eject_nobody_and_starve_nobody)
{
    begin(_i);
    sim_add(&sim, 30, usec_from_ms(20), 0.3);
    for (size_t i = 0; i < 30; i++) {
        sim.servers[i].fail_percent = 1;
    }
    sim_run(&sim, REQUESTS, 10);

    ck_assert_uint_eq(sim.set.ejected, 0);
    check_shares(0, 29, EVEN * 20 / 100, EVEN * 200 / 100);
}
END_TEST

START_TEST(faster_servers_get_more)
{
    begin(_i);
    sim_add(&sim, 15, usec_from_ms(40), 0.3);
    sim_add(&sim, 15, usec_from_ms(10), 0.3);
    sim_run(&sim, REQUESTS, 30);

    check_shares(0, 14, 1, EVEN - 1);
    check_shares(15, 29, EVEN + 1, EVEN * 3);
}
END_TEST

/* 30 servers of which ten weigh three times as much: these get 60 % between them, give or take a tenth of it, and each its part. */
START_TEST(servers_share_by_weight)
{
    static const size_t concurrencies[] = {10, 30, 60};

    for (size_t c = 0; c < ARRAY_LEN(concurrencies); c++) {
        begin(_i);
        sim_add(&sim, 30, usec_from_ms(10), 0.3);
        for (size_t i = 0; i < 10; i++) {
            endpoint_set_weigh(&sim.servers[i].stats, 3);
        }
        sim_run(&sim, REQUESTS, concurrencies[c]);

        unsigned heavy = 0;

        for (size_t i = 0; i < 10; i++) {
            heavy += sim.servers[i].picked;
        }
        ck_assert_uint_ge(heavy, REQUESTS * 54 / 100);
        ck_assert_uint_le(heavy, REQUESTS * 66 / 100);
        check_shares(0, 9, REQUESTS / 50 * 3 * 50 / 100, REQUESTS / 50 * 3 * 150 / 100);
        check_shares(10, 29, REQUESTS / 50 * 50 / 100, REQUESTS / 50 * 150 / 100);
        sim_deinit(&sim);
    }
    sim_init(&sim, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = unit_case("balancing", setup, teardown, NULL, 0);

    tcase_add_loop_test(tcase, equal_servers_share_within_thirty_percent, 0, SEEDS);
    tcase_add_loop_test(tcase, equal_servers_share_within_thirty_percent_with_many_requests_in_flight_too, 0, SEEDS);
    tcase_add_loop_test(tcase, equal_servers_share_within_thirty_percent_when_answers_take_a_millisecond, 0, SEEDS);
    tcase_add_loop_test(tcase, equal_servers_that_vary_by_a_fifth_still_share_evenly, 0, SEEDS);
    tcase_add_loop_test(tcase, a_server_ten_times_slower_falls_under_a_third_of_its_share, 0, SEEDS);
    tcase_add_loop_test(tcase, a_slow_server_among_three_falls_under_a_third_of_its_share, 0, SEEDS);
    tcase_add_loop_test(tcase, a_server_that_recovers_gets_its_share_back, 0, SEEDS);
    tcase_add_loop_test(tcase, new_servers_take_their_share_at_once, 0, SEEDS);
    tcase_add_loop_test(tcase, a_single_new_server_is_not_flooded, 0, SEEDS);
    tcase_add_loop_test(tcase, when_thirty_servers_become_one_it_gets_everything, 0, SEEDS);
    tcase_add_loop_test(tcase, a_server_that_fails_at_once_attracts_next_to_nothing, 0, SEEDS);
    tcase_add_loop_test(tcase, a_server_that_fails_half_the_time_loses_more_than_half_of_its_share, 0, SEEDS);
    tcase_add_loop_test(tcase, a_failing_server_that_recovers_gets_its_share_back, 0, SEEDS);
    tcase_add_loop_test(tcase, when_all_servers_fail_all_are_still_asked, 0, SEEDS);
    tcase_add_loop_test(tcase, a_few_errors_everywhere_eject_nobody_and_starve_nobody, 0, SEEDS);
    tcase_add_loop_test(tcase, faster_servers_get_more, 0, SEEDS);
    tcase_add_loop_test(tcase, servers_share_by_weight, 0, SEEDS);
    return unit_run("balancing", tcase, (TCase *)NULL);
}
