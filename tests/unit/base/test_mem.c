/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "unit.h"

START_TEST(alloc_zeroes)
{
    unsigned char *p = mem_alloc(1000);

    for (size_t i = 0; i < 1000; i++) {
        ck_assert_uint_eq(p[i], 0);
    }
    mem_free(p);
}
END_TEST

START_TEST(nothing_allocated_is_still_a_pointer)
{
    void *p = mem_alloc_array(0, 8);

    ck_assert_ptr_nonnull(p);
    p = mem_realloc_array(p, 0, 8);
    ck_assert_ptr_nonnull(p);
    mem_free(p);
}
END_TEST

START_TEST(realloc_keeps_the_bytes)
{
    char *p = mem_strdup("abc");

    p = mem_realloc_array(p, 100, 10);
    ck_assert_str_eq(p, "abc");
    mem_free(p);
}
END_TEST

START_TEST(copy_string_ends_with_a_nul)
{
    char *p = mem_copy_string("abcdef", 3);

    ck_assert_str_eq(p, "abc");
    mem_free(p);
}
END_TEST

START_TEST(copies_of_nothing_need_no_source)
{
    char *text = mem_copy_string(NULL, 0);
    void *bytes = mem_copy(NULL, 0);

    ck_assert_str_eq(text, "");
    mem_free(text);
    mem_free(bytes);
    mem_free(NULL);
}
END_TEST

START_TEST(printf_makes_a_fresh_text)
{
    char *p = mem_printf("%s-%d", "a", 7);

    ck_assert_str_eq(p, "a-7");
    mem_free(p);
}
END_TEST

/* Through a volatile, so that the compiler does not warn about what is wanted here. */
static volatile size_t huge = SIZE_MAX / 2 + 2;

/* In a child of its own, whether or not Check forks. */
START_TEST(an_overflowing_product_aborts)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        mem_free(mem_realloc_array(NULL, huge, 2));
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

UNIT_MAIN("mem", NULL, NULL, alloc_zeroes, nothing_allocated_is_still_a_pointer, realloc_keeps_the_bytes,
          copy_string_ends_with_a_nul, copies_of_nothing_need_no_source, printf_makes_a_fresh_text, an_overflowing_product_aborts)
