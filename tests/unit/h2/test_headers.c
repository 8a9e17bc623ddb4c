/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"

static struct h2_headers *h;

static void setup(void)
{
    fixture_setup();
    h = block(":path", "/", "a", "1", "b", "2", "a", "3", NULL);
}

static void teardown(void)
{
    h2_headers_free(&h);
    fixture_teardown();
}

START_TEST(find_yields_the_first_of_a_name)
{
    ck_assert_str_eq(value_of(h, "a"), "1");
    ck_assert_ptr_null(h2_headers_find(h, STR("c")));
    ck_assert_uint_eq(h2_headers_value(h, STR("c")).len, 0);
}
END_TEST

START_TEST(list_bytes_count_as_the_rfc_says)
{
    ck_assert_uint_eq(h->list_bytes, (5 + 1 + 32) + 3 * (1 + 1 + 32)); /* RFC 9113 §6.5.2 */
    h2_headers_add(h, STR("b"), STR("four"));
    ck_assert_uint_eq(h->list_bytes, (5 + 1 + 32) + 3 * (1 + 1 + 32) + (1 + 4 + 32));
    h2_headers_remove(h, STR("a"));
    ck_assert_uint_eq(h->list_bytes, (5 + 1 + 32) + (1 + 1 + 32) + (1 + 4 + 32));
}
END_TEST

START_TEST(remove_takes_all_of_a_name_and_keeps_the_order)
{
    h2_headers_remove(h, STR("a"));

    ck_assert_uint_eq(h->count, 2);
    ck_assert(str_eq(h->field[0].name, STR(":path")));
    ck_assert(str_eq(h->field[1].name, STR("b")));
}
END_TEST

START_TEST(a_clone_outlives_its_original)
{
    h2_headers_add_literal(h, STR("te"), STR("trailers"));
    h->field[1].is_never_indexed = true;
    struct h2_headers *copy = h2_headers_clone(h);
    size_t bytes = h->list_bytes;

    h2_headers_free(&h);

    ck_assert_ptr_null(h);
    ck_assert_uint_eq(copy->count, 5);
    ck_assert_uint_eq(copy->list_bytes, bytes);
    ck_assert(copy->field[1].is_never_indexed);
    ck_assert_str_eq(value_of(copy, "te"), "trailers");
    h2_headers_free(&copy);
}
END_TEST

START_TEST(a_block_grows)
{
    for (int i = 0; i < 500; i++) {
        h2_headers_add(h, STR("n"), STR("v"));
    }

    ck_assert_uint_eq(h->count, 504);
    ck_assert_str_eq(value_of(h, "b"), "2");
}
END_TEST

UNIT_MAIN("headers", setup, teardown, find_yields_the_first_of_a_name, list_bytes_count_as_the_rfc_says,
          remove_takes_all_of_a_name_and_keeps_the_order, a_clone_outlives_its_original, a_block_grows)
