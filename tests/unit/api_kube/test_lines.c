/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "api/kube/lines.h"
#include "unit.h"

#define MAX 100

static struct kube_lines lines;
static struct text got; /* each line followed by '|' */

static void setup(void)
{
    kube_lines_init(&lines, MAX);
    text_init(&got, 100000);
}

static void teardown(void)
{
    kube_lines_deinit(&lines);
    text_deinit(&got);
}

static void on_line(void *ctx, struct str line)
{
    (void)ctx;
    text_append_str(&got, line);
    text_append(&got, "|", 1);
}

static bool feed(const char *bytes)
{
    return kube_lines_feed(&lines, (const uint8_t *)bytes, strlen(bytes), on_line, NULL);
}

START_TEST(lines_come_one_by_one)
{
    ck_assert(feed("one\ntwo\n"));
    ck_assert_str_eq(got.p, "one|two|");
}
END_TEST

START_TEST(a_line_may_come_in_pieces)
{
    ck_assert(feed("o") && feed("ne") && feed("\ntw"));
    ck_assert_str_eq(got.p, "one|");
    ck_assert(feed("o\n"));
    ck_assert_str_eq(got.p, "one|two|");
}
END_TEST

START_TEST(empty_lines_are_left_out)
{
    ck_assert(feed("\n\none\n\n"));
    ck_assert_str_eq(got.p, "one|");
}
END_TEST

START_TEST(an_unfinished_line_is_forgotten_by_reset)
{
    ck_assert(feed("unfinished"));
    kube_lines_reset(&lines);
    ck_assert(feed("one\n"));
    ck_assert_str_eq(got.p, "one|");
}
END_TEST

START_TEST(a_line_of_the_maximum_passes_and_one_more_byte_does_not)
{
    char line[MAX + 2] = {0};

    memset(line, 'x', MAX);
    ck_assert(feed(line));
    ck_assert(feed("\n"));
    ck_assert_uint_eq(got.len, MAX + 1);
    ck_assert(feed(line));
    ck_assert(!feed("y"));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("lines");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, lines_come_one_by_one);
    tcase_add_test(t, a_line_may_come_in_pieces);
    tcase_add_test(t, empty_lines_are_left_out);
    tcase_add_test(t, an_unfinished_line_is_forgotten_by_reset);
    tcase_add_test(t, a_line_of_the_maximum_passes_and_one_more_byte_does_not);
    return unit_run("lines", t, NULL);
}
