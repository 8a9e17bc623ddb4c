/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/retry.h"
#include "unit.h"

/* No floor worth mentioning: what can be retried is what requests deposited. */
static const struct retry_policy by_share = {.tries_max = 3, .share = 0.2, .per_second = 0.001, .memory = {10000000}};

static const struct usec start = {77000000};
static const struct retry_case refused = {.tries = 1, .has_copy = true, .has_endpoint = true, .was_connected = true};

static struct retry_budget budget;

static void setup(void)
{
    retry_budget_init(&budget, &retry_policy_default, start);
}

static unsigned retries_until_refused(struct usec now)
{
    unsigned count = 0;

    while (retry_allowed(&budget, &refused, now) == RETRY_ELSEWHERE) {
        count++;
        ck_assert_uint_lt(count, 1000000);
    }
    return count;
}

START_TEST(a_refused_request_goes_to_another_endpoint)
{
    ck_assert_int_eq(retry_allowed(&budget, &refused, start), RETRY_ELSEWHERE);
}
END_TEST

START_TEST(a_request_is_tried_three_times_in_all)
{
    struct retry_case again = refused;

    again.tries = 2;
    ck_assert_int_eq(retry_allowed(&budget, &again, start), RETRY_ELSEWHERE);
    again.tries = 3;
    ck_assert_int_eq(retry_allowed(&budget, &again, start), RETRY_REFUSED);
}
END_TEST

START_TEST(a_request_without_its_copy_is_handed_back_as_refused)
{
    struct retry_case gone = refused;

    gone.has_copy = false;

    ck_assert_int_eq(retry_allowed(&budget, &gone, start), RETRY_REFUSED);
}
END_TEST

START_TEST(a_request_that_no_endpoint_is_left_for_is_handed_back_as_refused)
{
    struct retry_case last = refused;

    last.has_endpoint = false;

    ck_assert_int_eq(retry_allowed(&budget, &last, start), RETRY_REFUSED);
}
END_TEST

START_TEST(a_request_that_never_had_a_connection_fails)
{
    struct retry_case unconnected = {.tries = 1, .has_copy = true, .has_endpoint = false, .was_connected = false};

    ck_assert_int_eq(retry_allowed(&budget, &unconnected, start), RETRY_FAIL);
}
END_TEST

START_TEST(a_failed_connect_goes_to_another_endpoint_if_there_is_one)
{
    struct retry_case unconnected = {.tries = 1, .has_copy = true, .has_endpoint = true, .was_connected = false};

    ck_assert_int_eq(retry_allowed(&budget, &unconnected, start), RETRY_ELSEWHERE);
}
END_TEST

START_TEST(an_idle_service_has_saved_ten_seconds_of_the_floor)
{
    ck_assert_uint_eq(retries_until_refused(start), 100);
}
END_TEST

START_TEST(an_exhausted_budget_refills_at_the_floor)
{
    retries_until_refused(start);
    unsigned in_a_second = retries_until_refused(usec_add(start, usec_from_s(1)));

    ck_assert_uint_ge(in_a_second, 9);
    ck_assert_uint_le(in_a_second, 10);
}
END_TEST

START_TEST(refusals_cost_no_budget)
{
    struct retry_case gone = refused;

    gone.has_copy = false;
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(retry_allowed(&budget, &gone, start), RETRY_REFUSED);
    }

    ck_assert_uint_eq(retries_until_refused(start), 100);
}
END_TEST

START_TEST(a_fifth_of_the_requests_may_be_retried)
{
    retry_budget_init(&budget, &by_share, start);
    for (unsigned i = 0; i < 1000; i++) {
        retry_budget_request(&budget, start);
    }

    unsigned retried = retries_until_refused(start);
    ck_assert_uint_ge(retried, 199);
    ck_assert_uint_le(retried, 200);
}
END_TEST

START_TEST(over_a_minute_of_failures_a_fifth_is_retried_and_no_more)
{
    unsigned retried = 0;

    retry_budget_init(&budget, &by_share, start);
    for (uint64_t ms = 0; ms < 60000; ms++) { /* 1,000 requests a second, each of which fails */
        struct usec now = usec_add(start, usec_from_ms(ms));

        retry_budget_request(&budget, now);
        retried += retry_allowed(&budget, &refused, now) == RETRY_ELSEWHERE;
    }

    ck_assert_uint_ge(retried, 11500);
    ck_assert_uint_le(retried, 12000);
}
END_TEST

START_TEST(what_is_saved_is_bounded_by_the_memory)
{
    for (uint64_t ms = 0; ms < 600000; ms++) { /* ten minutes of 1,000 requests a second */
        retry_budget_request(&budget, usec_add(start, usec_from_ms(ms)));
    }

    double saved = retry_budget_tokens(&budget, usec_add(start, usec_from_s(600)));
    ck_assert_double_ge(saved, 2050);
    ck_assert_double_le(saved, 2130);
}
END_TEST

START_TEST(savings_fade_when_the_requests_stop)
{
    for (unsigned i = 0; i < 100000; i++) {
        retry_budget_request(&budget, start);
    }

    ck_assert_double_eq_tol(retry_budget_tokens(&budget, usec_add(start, usec_from_s(300))), 100, 1);
}
END_TEST

START_TEST(a_clock_that_steps_back_gives_nothing_away)
{
    retries_until_refused(start);

    ck_assert_int_eq(retry_allowed(&budget, &refused, usec_from_s(1)), RETRY_REFUSED);
}
END_TEST

UNIT_MAIN("retry", setup, NULL, a_refused_request_goes_to_another_endpoint, a_request_is_tried_three_times_in_all,
          a_request_without_its_copy_is_handed_back_as_refused, a_request_that_no_endpoint_is_left_for_is_handed_back_as_refused,
          a_request_that_never_had_a_connection_fails, a_failed_connect_goes_to_another_endpoint_if_there_is_one,
          an_idle_service_has_saved_ten_seconds_of_the_floor, an_exhausted_budget_refills_at_the_floor, refusals_cost_no_budget,
          a_fifth_of_the_requests_may_be_retried, over_a_minute_of_failures_a_fifth_is_retried_and_no_more,
          what_is_saved_is_bounded_by_the_memory, savings_fade_when_the_requests_stop, a_clock_that_steps_back_gives_nothing_away)
