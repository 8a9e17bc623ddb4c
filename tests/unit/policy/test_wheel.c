/* SPDX-License-Identifier: Apache-2.0 */

#include "base/container.h"
#include "base/rng.h"
#include "policy/wheel.h"
#include "unit.h"

#define TICK WHEEL_TICK_US
#define REVOLUTION ((uint64_t)WHEEL_SLOTS * TICK)
#define MANY 1000

static const struct usec start = {123456789};

static struct wheel wheel;
static struct wheel_entry entries[MANY];

static void setup(void)
{
    wheel_init(&wheel, start);
    for (size_t i = 0; i < MANY; i++) {
        list_init(&entries[i].node);
    }
}

static struct usec in(uint64_t us)
{
    return usec_add(start, (struct usec){us});
}

/* How many are due; they are taken off. */
static unsigned expire(struct usec now)
{
    struct list due;
    unsigned count = 0;

    list_init(&due);
    wheel_expire(&wheel, now, &due);
    for (; list_pop_front(&due) != NULL; count++) {
    }
    return count;
}

START_TEST(an_entry_is_found_within_a_tick_and_never_early)
{
    static const uint64_t delays[] = {1,          TICK - 1,           TICK, TICK + 1, 777 * TICK / 10, REVOLUTION - 1,
                                      REVOLUTION, REVOLUTION * 3 + 17};

    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        setup();
        wheel_set(&wheel, &entries[0], in(delays[i]));
        ck_assert_uint_eq(expire(in(delays[i] - 1)), 0);
        ck_assert_uint_eq(expire(in(delays[i] + TICK)), 1);
    }
}
END_TEST

START_TEST(an_entry_far_away_survives_the_revolutions_in_between)
{
    wheel_set(&wheel, &entries[0], in(10 * REVOLUTION + 5));
    for (uint64_t now = 0; now < 10 * REVOLUTION; now += TICK * 7) {
        ck_assert_uint_eq(expire(in(now)), 0);
    }
    ck_assert_uint_eq(expire(in(10 * REVOLUTION + TICK + 5)), 1);
}
END_TEST

START_TEST(a_time_that_is_past_is_found_at_the_next_tick)
{
    struct usec found = wheel_set(&wheel, &entries[0], (struct usec){1});

    ck_assert(!usec_before(in(TICK), found));
    ck_assert_uint_eq(expire(found), 1);
}
END_TEST

START_TEST(what_was_cleared_is_not_found)
{
    wheel_set(&wheel, &entries[0], in(50));
    wheel_clear(&entries[0]);
    wheel_clear(&entries[0]);

    ck_assert_uint_eq(expire(in(REVOLUTION)), 0);
    ck_assert_uint_eq(wheel_next(&wheel).v, USEC_NEVER.v);
}
END_TEST

START_TEST(setting_again_replaces)
{
    wheel_set(&wheel, &entries[0], in(50));
    wheel_set(&wheel, &entries[0], in(5 * TICK));

    ck_assert_uint_eq(expire(in(4 * TICK)), 0);
    ck_assert_uint_eq(expire(in(6 * TICK)), 1);
    ck_assert_uint_eq(expire(in(REVOLUTION)), 0);
}
END_TEST

START_TEST(what_is_due_may_be_cleared_before_its_turn)
{
    struct list due;

    wheel_set(&wheel, &entries[0], in(1));
    wheel_set(&wheel, &entries[1], in(2));
    list_init(&due);
    wheel_expire(&wheel, in(2 * TICK), &due);
    wheel_clear(&entries[1]);

    ck_assert_ptr_eq(list_pop_front(&due), &entries[0].node);
    ck_assert(list_is_empty(&due));
}
END_TEST

START_TEST(next_is_never_later_than_the_first_entry_is_found)
{
    ck_assert_uint_eq(wheel_next(&wheel).v, USEC_NEVER.v);
    struct usec late = wheel_set(&wheel, &entries[0], in(90 * TICK));
    struct usec early = wheel_set(&wheel, &entries[1], in(30 * TICK));

    ck_assert_uint_eq(wheel_next(&wheel).v, early.v);
    ck_assert_uint_eq(expire(early), 1);
    ck_assert_uint_eq(wheel_next(&wheel).v, late.v);
}
END_TEST

START_TEST(a_clock_that_jumps_over_many_revolutions_finds_everything_once)
{
    for (size_t i = 0; i < MANY; i++) {
        wheel_set(&wheel, &entries[i], in(i * TICK * 3));
    }

    ck_assert_uint_eq(expire(in(MANY * TICK * 3 + 50 * REVOLUTION)), MANY);
    ck_assert_uint_eq(wheel_next(&wheel).v, USEC_NEVER.v);
}
END_TEST

/* Driven by wheel_next, as a timer would: each entry comes within a tick of its time. */
START_TEST(random_deadlines_are_all_found_on_time)
{
    struct rng rng;
    unsigned found = 0;

    rng_init(&rng, 3);
    for (size_t i = 0; i < MANY; i++) {
        wheel_set(&wheel, &entries[i], in(rng_below(&rng, 4 * REVOLUTION)));
    }
    for (struct usec now = wheel_next(&wheel); now.v != USEC_NEVER.v; now = wheel_next(&wheel)) {
        struct list due;
        struct list *node;

        list_init(&due);
        wheel_expire(&wheel, now, &due);
        while ((node = list_pop_front(&due)) != NULL) {
            const struct wheel_entry *e = list_entry(node, struct wheel_entry, node);

            ck_assert_uint_le(e->due.v, now.v);
            ck_assert_uint_le(now.v - e->due.v, 2 * TICK);
            found++;
        }
    }
    ck_assert_uint_eq(found, MANY);
}
END_TEST

UNIT_MAIN("wheel", setup, NULL, an_entry_is_found_within_a_tick_and_never_early,
          an_entry_far_away_survives_the_revolutions_in_between, a_time_that_is_past_is_found_at_the_next_tick,
          what_was_cleared_is_not_found, setting_again_replaces, what_is_due_may_be_cleared_before_its_turn,
          next_is_never_later_than_the_first_entry_is_found, a_clock_that_jumps_over_many_revolutions_finds_everything_once,
          random_deadlines_are_all_found_on_time)
