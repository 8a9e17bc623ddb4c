/* SPDX-License-Identifier: Apache-2.0 */

#include "h2/stream_ids.h"
#include "unit.h"

static struct stream_ids ids;

static void setup(void)
{
    ids = (struct stream_ids){0};
}

START_TEST(an_id_passed_over_is_skipped_one_that_was_opened_is_not)
{
    stream_ids_open(&ids, 1);
    stream_ids_open(&ids, 7);

    ck_assert(!stream_ids_is_skipped(&ids, 1));
    ck_assert(stream_ids_is_skipped(&ids, 3));
    ck_assert(stream_ids_is_skipped(&ids, 5));
    ck_assert(!stream_ids_is_skipped(&ids, 7));
    ck_assert_msg(!stream_ids_is_skipped(&ids, 9), "idle yet");
}
END_TEST

START_TEST(the_first_id_may_be_any)
{
    stream_ids_open(&ids, 9);
    ck_assert(stream_ids_is_skipped(&ids, 1));
    ck_assert(!stream_ids_is_skipped(&ids, 9));
}
END_TEST

START_TEST(only_finished_ids_are_finished)
{
    stream_ids_open(&ids, 1);
    stream_ids_open(&ids, 3);
    stream_ids_finish(&ids, 1);

    ck_assert(stream_ids_is_finished(&ids, 1));
    ck_assert(!stream_ids_is_finished(&ids, 3));
}
END_TEST

START_TEST(even_ids_zero_and_idle_ones_are_nothing)
{
    stream_ids_open(&ids, 5);
    stream_ids_open(&ids, 6);
    stream_ids_finish(&ids, 0);
    stream_ids_finish(&ids, 4);
    stream_ids_finish(&ids, 7);

    ck_assert_uint_eq(ids.highest, 5);
    for (uint32_t id = 0; id < 10; id += 2) {
        ck_assert(!stream_ids_is_finished(&ids, id));
        ck_assert(!stream_ids_is_skipped(&ids, id));
    }
    stream_ids_open(&ids, 7);
    ck_assert(!stream_ids_is_finished(&ids, 7));
}
END_TEST

START_TEST(a_place_used_again_is_clean)
{
    uint32_t later = 1 + 2 * STREAM_IDS_MEMORY;

    stream_ids_open(&ids, 1);
    stream_ids_finish(&ids, 1);
    for (uint32_t id = 3; id <= later; id += 2) {
        stream_ids_open(&ids, id);
    }
    ck_assert(!stream_ids_is_finished(&ids, later));
    ck_assert_msg(!stream_ids_is_finished(&ids, 1) && !stream_ids_is_skipped(&ids, 1), "forgotten: may be anything");
}
END_TEST

START_TEST(the_memory_reaches_as_far_as_it_says)
{
    uint32_t last = 1 + 2 * (STREAM_IDS_MEMORY - 1);

    stream_ids_open(&ids, 1);
    stream_ids_finish(&ids, 1);
    stream_ids_open(&ids, last);
    ck_assert(stream_ids_is_finished(&ids, 1));
    ck_assert(stream_ids_is_skipped(&ids, 3));
    stream_ids_open(&ids, last + 2);
    ck_assert(!stream_ids_is_finished(&ids, 1));
}
END_TEST

START_TEST(a_jump_to_the_last_id_there_is)
{
    stream_ids_open(&ids, 1);
    stream_ids_finish(&ids, 1);
    stream_ids_open(&ids, INT32_MAX);

    ck_assert(!stream_ids_is_finished(&ids, INT32_MAX));
    ck_assert(stream_ids_is_skipped(&ids, INT32_MAX - 2));
    ck_assert(!stream_ids_is_skipped(&ids, 3));
    stream_ids_finish(&ids, INT32_MAX);
    ck_assert(stream_ids_is_finished(&ids, INT32_MAX));
}
END_TEST

UNIT_MAIN("stream_ids", setup, NULL, an_id_passed_over_is_skipped_one_that_was_opened_is_not, the_first_id_may_be_any,
          only_finished_ids_are_finished, even_ids_zero_and_idle_ones_are_nothing, a_place_used_again_is_clean,
          the_memory_reaches_as_far_as_it_says, a_jump_to_the_last_id_there_is)
