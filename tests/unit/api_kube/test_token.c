/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/kube/token.h"
#include "unit.h"

static char path[] = "/tmp/outrigger-token-XXXXXX";
static struct kube_token token;

static void write_token(const char *value)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(value, f);
    fclose(f);
}

static void setup(void)
{
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    write_token("first\n");
    kube_token_init(&token, path, NULL);
}

static void teardown(void)
{
    kube_token_deinit(&token);
    unlink(path);
}

static const char *at(uint64_t seconds)
{
    return kube_token_get(&token, usec_from_s(seconds));
}

START_TEST(the_file_is_read_without_its_line_end)
{
    ck_assert_str_eq(at(1000), "first");
}
END_TEST

START_TEST(a_rotated_file_is_read_after_a_minute)
{
    ck_assert_str_eq(at(1000), "first");
    write_token("second");
    ck_assert_str_eq(at(1059), "first");
    ck_assert_str_eq(at(1060), "second");
}
END_TEST

START_TEST(a_refused_token_is_read_again_at_once)
{
    ck_assert_str_eq(at(1000), "first");
    write_token("second");
    kube_token_forget(&token);
    ck_assert_str_eq(at(1001), "second");
}
END_TEST

START_TEST(a_file_that_is_gone_leaves_the_last_token)
{
    ck_assert_str_eq(at(1000), "first");
    unlink(path);
    ck_assert_str_eq(at(2000), "first");
}
END_TEST

START_TEST(without_a_file_the_fixed_token_counts)
{
    kube_token_deinit(&token);
    kube_token_init(&token, NULL, "fixed");
    ck_assert_str_eq(at(1), "fixed");
    kube_token_deinit(&token);
    kube_token_init(&token, NULL, NULL);
    ck_assert_ptr_null(at(1));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("token");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_file_is_read_without_its_line_end);
    tcase_add_test(t, a_rotated_file_is_read_after_a_minute);
    tcase_add_test(t, a_refused_token_is_read_again_at_once);
    tcase_add_test(t, a_file_that_is_gone_leaves_the_last_token);
    tcase_add_test(t, without_a_file_the_fixed_token_counts);
    return unit_run("token", t, NULL);
}
