/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "base/object.h"
#include "unit.h"

START_TEST(each_kind_counts_for_itself)
{
    object_created(OBJECT_PIPE);
    object_created(OBJECT_PIPE);
    object_destroyed(OBJECT_PIPE);

    ck_assert_int_eq(object_live(OBJECT_PIPE), 1);
    ck_assert_int_eq(object_live(OBJECT_RELAY), 0);
}
END_TEST

START_TEST(more_ends_than_beginnings_show_as_a_negative_count)
{
    object_destroyed(OBJECT_RELAY);

    ck_assert_int_eq(object_live(OBJECT_RELAY), -1);
}
END_TEST

START_TEST(every_kind_has_a_label)
{
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        ck_assert_uint_gt(strlen(object_label((enum object_kind)kind)), 0);
    }
    ck_assert_str_eq(object_label(OBJECT_H2_STREAM), "h2_stream");
}
END_TEST

UNIT_MAIN("object", NULL, NULL, each_kind_counts_for_itself, more_ends_than_beginnings_show_as_a_negative_count,
          every_kind_has_a_label)
