/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/flood.h"
#include "unit.h"

static struct flood flood;
static struct usec now;

static void setup(void)
{
    now = usec_from_s(1000);
    flood_init(&flood, 0, now);
}

static unsigned take_all(enum flood_kind kind)
{
    unsigned count = 0;

    while (flood_take(&flood, kind, now)) {
        count++;
    }
    return count;
}

START_TEST(each_kind_starts_with_its_own_burst)
{
    static const unsigned bursts[] = {
#define X(id, burst, per_second, reason) [id] = (burst),
#include "policy/flood.def"
#undef X
    };

    for (unsigned kind = 0; kind < FLOOD_KIND_COUNT; kind++) {
        ck_assert_uint_eq(take_all((enum flood_kind)kind), bursts[kind]);
    }
}
END_TEST

START_TEST(what_is_used_up_comes_back_with_time)
{
    take_all(FLOOD_PING);
    now = usec_add(now, usec_from_ms(500));
    ck_assert_uint_eq(take_all(FLOOD_PING), 50);
}
END_TEST

START_TEST(no_more_than_the_burst_is_saved_up)
{
    now = usec_add(now, usec_from_s(1000000));
    ck_assert_uint_eq(take_all(FLOOD_SETTINGS), 1000);
    now = USEC_NEVER;
    ck_assert_uint_eq(take_all(FLOOD_SETTINGS), 1000);
}
END_TEST

START_TEST(a_rate_is_kept_in_steps_of_any_size)
{
    unsigned count = 0;

    take_all(FLOOD_PING);
    for (int i = 0; i < 3000; i++) { /* 10.5 s of 3.5 ms */
        now = usec_add(now, (struct usec){3500});
        count += take_all(FLOOD_PING);
    }
    ck_assert_uint_eq(count, 1050);
}
END_TEST

START_TEST(useful_traffic_earns_more)
{
    take_all(FLOOD_WINDOW_UPDATE);
    flood_earn(&flood, FLOOD_WINDOW_UPDATE, 7);
    ck_assert_uint_eq(take_all(FLOOD_WINDOW_UPDATE), 7);
    flood_earn(&flood, FLOOD_WINDOW_UPDATE, UINT32_MAX);
    ck_assert_uint_eq(take_all(FLOOD_WINDOW_UPDATE), 10000);
}
END_TEST

START_TEST(a_clock_that_stands_still_or_goes_back_gives_nothing)
{
    take_all(FLOOD_PING);
    now = usec_from_s(1);
    ck_assert_uint_eq(take_all(FLOOD_PING), 0);
}
END_TEST

/* Ten seconds of a client that cancels 10,000 calls a second, a hundred of them at a time. */
START_TEST(ten_thousand_resets_a_second_are_ordinary)
{
    for (int turn = 0; turn < 1000; turn++) {
        now = usec_add(now, usec_from_ms(10));
        for (int i = 0; i < 100; i++) {
            ck_assert(flood_take(&flood, FLOOD_RESET, now));
        }
    }
}
END_TEST

START_TEST(ten_times_as_many_are_not)
{
    unsigned turns = 0;
    bool is_fine = true;

    for (; is_fine && turns < 1000; turns++) {
        now = usec_add(now, usec_from_ms(10));
        for (int i = 0; i < 1000; i++) {
            is_fine = is_fine && flood_take(&flood, FLOOD_RESET, now);
        }
    }
    ck_assert_uint_eq(turns, 25); /* 20,000 and 200 more each turn, at 1,000 a turn */
}
END_TEST

START_TEST(the_rate_of_resets_is_an_option)
{
    flood_init(&flood, 500, now);
    ck_assert_uint_eq(take_all(FLOOD_RESET), 500);
    now = usec_add(now, usec_from_s(1));
    ck_assert_uint_eq(take_all(FLOOD_RESET), 500);
}
END_TEST

START_TEST(each_kind_has_a_close_reason_of_its_own)
{
    for (unsigned a = 0; a < FLOOD_KIND_COUNT; a++) {
        ck_assert(close_reason_is_error(flood_close_reason((enum flood_kind)a)));
        for (unsigned b = 0; b < a; b++) {
            ck_assert_int_ne(flood_close_reason((enum flood_kind)a), flood_close_reason((enum flood_kind)b));
        }
    }
}
END_TEST

UNIT_MAIN("flood", setup, NULL, each_kind_starts_with_its_own_burst, what_is_used_up_comes_back_with_time,
          no_more_than_the_burst_is_saved_up, a_rate_is_kept_in_steps_of_any_size, useful_traffic_earns_more,
          a_clock_that_stands_still_or_goes_back_gives_nothing, ten_thousand_resets_a_second_are_ordinary,
          ten_times_as_many_are_not, the_rate_of_resets_is_an_option, each_kind_has_a_close_reason_of_its_own)
