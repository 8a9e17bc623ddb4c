/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The part of main() that is the same in every unit test.
 *
 *     UNIT_MAIN("backoff", setup, NULL, backoff_doubles_up_to_its_maximum, backoff_starts_over_after_a_success)
 *
 * runs each test between `setup` and `teardown` (NULL for none) in a process of its own. A file that needs more than one fixture or
 * loop tests builds its cases with unit_case and Check, and ends in `return unit_run("name", first, second, NULL);`.
 */

#include <check.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

static inline TCase *unit_case(const char *name, SFun setup, SFun teardown, const TTest *const *tests, size_t count)
{
    TCase *tcase = tcase_create(name);

    if (setup != NULL || teardown != NULL) {
        tcase_add_checked_fixture(tcase, setup, teardown);
    }
    for (size_t i = 0; i < count; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    return tcase;
}

/* `TCase *`s, NULL at the end. Returns main's exit status. */
static inline int unit_run(const char *name, ...)
{
    Suite *suite = suite_create(name);
    va_list cases;

    va_start(cases, name);
    for (TCase *tcase = va_arg(cases, TCase *); tcase != NULL; tcase = va_arg(cases, TCase *)) {
        suite_add_tcase(suite, tcase);
    }
    va_end(cases);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define UNIT_MAIN(name, setup, teardown, ...)                                                                        \
    int main(void)                                                                                                   \
    {                                                                                                                \
        const TTest *const tests[] = {__VA_ARGS__};                                                                  \
                                                                                                                     \
        return unit_run(name, unit_case(name, setup, teardown, tests, sizeof tests / sizeof *tests), (TCase *)NULL); \
    }
