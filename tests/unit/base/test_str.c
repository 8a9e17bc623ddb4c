/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "unit.h"

static struct text text;

static void setup(void)
{
    text_init(&text, 1000);
}

static void teardown(void)
{
    text_deinit(&text);
}

static struct str view(const char *s)
{
    return str_from(s);
}

START_TEST(views_compare_by_their_bytes)
{
    ck_assert(str_eq(STR("abc"), view("abc")));
    ck_assert(!str_eq(STR("abc"), STR("abd")));
    ck_assert(!str_eq(STR("abc"), STR("ab")));
    ck_assert(str_eq((struct str){NULL, 0}, STR("")));
}
END_TEST

START_TEST(nocase_folds_ascii_letters_only)
{
    ck_assert(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    ck_assert(!str_eq_nocase(STR("@"), STR("`")));
    ck_assert(!str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
}
END_TEST

START_TEST(prefixes_and_suffixes_are_recognised)
{
    ck_assert(str_starts_with(STR("abc"), STR("ab")) && str_starts_with(STR("abc"), STR("")));
    ck_assert(!str_starts_with(STR("ab"), STR("abc")));
    ck_assert(str_ends_with(STR("abc"), STR("bc")) && str_ends_with(STR("abc"), STR("")));
    ck_assert(!str_ends_with(STR("bc"), STR("abc")));
}
END_TEST

START_TEST(find_answers_the_length_when_there_is_none)
{
    ck_assert_uint_eq(str_find(STR("a:b:c"), ':'), 1);
    ck_assert_uint_eq(str_find(STR("abc"), ':'), 3);
    ck_assert_uint_eq(str_find((struct str){NULL, 0}, ':'), 0);
}
END_TEST

START_TEST(split_yields_every_part)
{
    struct str rest = STR("a,,bc,");
    static const char *const expected[] = {"a", "", "bc", ""};
    struct str part;

    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        ck_assert(str_split(&rest, ',', &part));
        ck_assert(str_eq(part, view(expected[i])));
    }
    ck_assert(!str_split(&rest, ',', &part));
}
END_TEST

START_TEST(trim_takes_blanks_off_both_ends)
{
    ck_assert(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    ck_assert_uint_eq(str_trim(STR("  ")).len, 0);
}
END_TEST

START_TEST(numbers_up_to_the_maximum_are_read)
{
    uint64_t value = 0;

    ck_assert(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &value));
    ck_assert_uint_eq(value, UINT64_MAX);
    ck_assert(str_to_u64(STR("0"), 0, &value));
    ck_assert_uint_eq(value, 0);
}
END_TEST

START_TEST(what_is_no_number_leaves_the_output_alone)
{
    static const char *const wrong[] = {"",   "-1", "+1", " 1", "1 ", "1a", "0x1", "18446744073709551616", "99999999999999999999",
                                        "101"};
    uint64_t value = 7;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ck_assert_msg(!str_to_u64(view(wrong[i]), i == 9 ? 100 : UINT64_MAX, &value), "%s", wrong[i]);
    }
    ck_assert_uint_eq(value, 7);
}
END_TEST

START_TEST(utf8_sequences_have_their_length)
{
    ck_assert_uint_eq(str_utf8_len(STR("a")), 1);
    ck_assert_uint_eq(str_utf8_len(STR("\xc3\xa9")), 2);
    ck_assert_uint_eq(str_utf8_len(STR("\xe2\x82\xac")), 3);
    ck_assert_uint_eq(str_utf8_len(STR("\xf4\x8f\xbf\xbf")), 4);
}
END_TEST

START_TEST(what_rfc_3629_forbids_is_no_utf8)
{
    static const char *const wrong[] = {"",
                                        "\x80",
                                        "\xc3",
                                        "\xc3x",
                                        "\xc0\xaf",         /* overlong '/' */
                                        "\xe0\x9f\xbf",     /* overlong */
                                        "\xed\xa0\x80",     /* surrogate */
                                        "\xf0\x8f\xbf\xbf", /* overlong */
                                        "\xf4\x90\x80\x80", /* past U+10FFFF */
                                        "\xf5\x80\x80\x80",
                                        "\xff"};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ck_assert_uint_eq(str_utf8_len(view(wrong[i])), 0);
    }
}
END_TEST

START_TEST(a_fresh_text_is_an_empty_string)
{
    ck_assert_str_eq(text.p, "");
    ck_assert_uint_eq(text.len, 0);
}
END_TEST

START_TEST(text_grows_with_what_is_appended)
{
    for (int i = 0; i < 100; i++) {
        text_printf(&text, "%02d,", i % 100);
    }
    text_append_str(&text, STR("end"));

    ck_assert_uint_eq(text.len, 303);
    ck_assert_uint_eq(strlen(text.p), 303);
    ck_assert(str_ends_with((struct str){text.p, text.len}, STR("98,99,end")));
}
END_TEST

START_TEST(text_is_cut_at_its_maximum_and_says_so)
{
    text.max = 5;
    text_append(&text, "abc", 3);
    ck_assert(!text.is_cut);
    text_printf(&text, "%s", "defg");

    ck_assert_str_eq(text.p, "abcde");
    ck_assert(text.is_cut);
    text_append(&text, "x", 1);
    ck_assert_str_eq(text.p, "abcde");
}
END_TEST

START_TEST(clear_makes_room_again)
{
    text.max = 3;
    text_append(&text, "abcd", 4);
    text_clear(&text);
    text_append(&text, "xyz", 3);

    ck_assert_str_eq(text.p, "xyz");
    ck_assert(!text.is_cut);
}
END_TEST

START_TEST(steal_hands_the_bytes_on)
{
    text_append(&text, "abc", 3);
    char *taken = text_steal(&text);
    char *nothing = text_steal(&text);

    ck_assert_str_eq(taken, "abc");
    ck_assert_str_eq(nothing, "");
    ck_assert_str_eq(text.p, "");
    mem_free(taken);
    mem_free(nothing);
}
END_TEST

START_TEST(json_escapes_what_it_must)
{
    text_append_json(&text, STR("a\"b\\c\nd\te\x01\x1f\x7f"));

    ck_assert_str_eq(text.p, "\"a\\\"b\\\\c\\nd\\te\\u0001\\u001f\x7f\"");
}
END_TEST

START_TEST(json_keeps_utf8_and_replaces_the_rest)
{
    text_append_json(&text, STR("\xe2\x82\xac \xff\xc3 \xe2\x82"));

    ck_assert_str_eq(text.p, "\"\xe2\x82\xac \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

START_TEST(json_carries_a_nul)
{
    text_append_json(&text, (struct str){"a\0b", 3});

    ck_assert_str_eq(text.p, "\"a\\u0000b\"");
}
END_TEST

UNIT_MAIN("str", setup, teardown, views_compare_by_their_bytes, nocase_folds_ascii_letters_only,
          prefixes_and_suffixes_are_recognised, find_answers_the_length_when_there_is_none, split_yields_every_part,
          trim_takes_blanks_off_both_ends, numbers_up_to_the_maximum_are_read, what_is_no_number_leaves_the_output_alone,
          utf8_sequences_have_their_length, what_rfc_3629_forbids_is_no_utf8, a_fresh_text_is_an_empty_string,
          text_grows_with_what_is_appended, text_is_cut_at_its_maximum_and_says_so, clear_makes_room_again,
          steal_hands_the_bytes_on, json_escapes_what_it_must, json_keeps_utf8_and_replaces_the_rest, json_carries_a_nul)
