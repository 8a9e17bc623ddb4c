/* SPDX-License-Identifier: Apache-2.0 */

/* What responses that are being streamed count for in a pick. */

#include "policy/balancer.h"
#include "unit.h"

#define ENDPOINTS 5

static struct rng rng;
static struct usec now;
static struct endpoint_set set;
static struct load loads[ENDPOINTS];
static struct endpoint_stats stats[ENDPOINTS];

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
    for (size_t i = 0; i < count; i++) {
        loads[i] = (struct load){0};
        endpoint_stats_init(&stats[i], &loads[i], &balance_policy_default, now);
        endpoint_set_add(&set, &stats[i]);
    }
}

static unsigned picks_of(const struct endpoint_stats *s, unsigned rounds)
{
    unsigned count = 0;

    for (unsigned i = 0; i < rounds; i++) {
        count += balancer_pick(&set, now, &rng, NULL, 0) == s;
    }
    return count;
}

static void start_streams(size_t endpoint, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        balancer_started(&stats[endpoint]);
        balancer_streaming(&stats[endpoint]);
    }
}

START_TEST(an_endpoint_of_streams_gets_calls_once_the_others_are_busy)
{
    add(2);
    start_streams(0, 5);
    ck_assert_uint_eq(picks_of(&stats[0], 100), 0);
    balancer_started(&stats[1]); /* one call against five streams */

    ck_assert_uint_eq(picks_of(&stats[0], 100), 100);
}
END_TEST

START_TEST(streams_are_spread_evenly_all_the_same)
{
    add(5);
    for (size_t i = 0; i < 5; i++) {
        start_streams(i, i == 3 ? 9 : 10);
    }

    ck_assert_uint_eq(picks_of(&stats[3], 100), 100);
}
END_TEST

START_TEST(a_stream_that_ended_no_longer_counts)
{
    add(2);
    start_streams(0, 3);
    start_streams(1, 3);
    balancer_ended(&stats[1], true);
    ck_assert_uint_eq(picks_of(&stats[1], 100), 100);
    balancer_ended(&stats[1], true);
    balancer_ended(&stats[1], true);
    ck_assert_uint_eq(load_in_flight(stats[1].load), 0);
    ck_assert(load_queue(stats[1].load) <= 0);
}
END_TEST

UNIT_MAIN("streams", setup, teardown, an_endpoint_of_streams_gets_calls_once_the_others_are_busy,
          streams_are_spread_evenly_all_the_same, a_stream_that_ended_no_longer_counts)
