/* SPDX-License-Identifier: Apache-2.0 */

#include "init/run.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "unit.h"

static struct text output;
static struct text errors;

static void setup(void)
{
    text_init(&output, 1024 * 1024);
    text_init(&errors, 4096);
}

static void teardown(void)
{
    text_deinit(&output);
    text_deinit(&errors);
}

static int run_shell(const char *script, struct str input)
{
    return run_program((const char *[]){"/bin/sh", "-c", script, NULL}, input, &output, &errors);
}

START_TEST(input_output_and_errors_are_three_streams)
{
    ck_assert_int_eq(run_shell("cat; echo bad >&2", STR("good")), 0);
    ck_assert_str_eq(output.p, "good");
    ck_assert_str_eq(errors.p, "bad\n");
}
END_TEST

START_TEST(more_than_a_pipe_holds_goes_through)
{
    CLEANUP_FREE char *big = mem_alloc(500000);

    ck_assert_int_eq(run_shell("cat", (struct str){big, 500000}), 0);
    ck_assert_uint_eq(output.len, 500000);
}
END_TEST

START_TEST(the_exit_status_is_the_answer)
{
    ck_assert_int_eq(run_shell("exit 3", STR("")), 3);
}
END_TEST

START_TEST(a_signal_is_128_and_its_number)
{
    ck_assert_int_eq(run_shell("kill -9 $$", STR("")), 137);
}
END_TEST

START_TEST(a_program_that_cannot_start_is_an_errno)
{
    ck_assert_int_eq(run_program((const char *[]){"/nonexistent/program", NULL}, STR(""), &output, &errors), -ENOENT);
}
END_TEST

START_TEST(output_past_the_maximum_is_cut)
{
    text_deinit(&output);
    text_init(&output, 10);
    ck_assert_int_eq(run_shell("echo 0123456789abcdef", STR("")), 0);
    ck_assert(output.is_cut);
    ck_assert_uint_le(output.len, 10);
}
END_TEST

START_TEST(programs_are_found_in_path_only)
{
    char path[RUN_PATH_SIZE];

    setenv("PATH", "/nonexistent::/bin", 1);
    ck_assert(run_find("sh", path));
    ck_assert_str_eq(path, "/bin/sh");
    setenv("PATH", "/nonexistent", 1);
    ck_assert(!run_find("sh", path));
}
END_TEST

START_TEST(without_a_path_the_usual_folders_are_tried)
{
    char path[RUN_PATH_SIZE];

    unsetenv("PATH");
    ck_assert(run_find("sh", path));
}
END_TEST

UNIT_MAIN("run", setup, teardown, input_output_and_errors_are_three_streams, more_than_a_pipe_holds_goes_through,
          the_exit_status_is_the_answer, a_signal_is_128_and_its_number, a_program_that_cannot_start_is_an_errno,
          output_past_the_maximum_is_cut, programs_are_found_in_path_only, without_a_path_the_usual_folders_are_tried)
