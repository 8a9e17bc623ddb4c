/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "unit.h"

#define LINE_MAX_BYTES 8192

/* Standard error is one end of a socket that keeps message boundaries: what recv returns is what one write(2) wrote. */
static int reader;
static int saved_stderr;
static char line[2 * LINE_MAX_BYTES];
static struct text text;

static void setup(void)
{
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
    log_set_format(LOG_TEXT);
    text_init(&text, 10000);
    ck_assert_int_eq(log_set_levels(STR("info"), &text), 0);
}

static void teardown(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(reader);
    text_deinit(&text);
}

/* The next line, without its time and its newline; "" if there is none. */
static const char *next_line(void)
{
    ssize_t len = recv(reader, line, sizeof line - 1, 0);

    if (len <= 0) {
        return "";
    }
    ck_assert_int_eq(line[len - 1], '\n');
    line[len - 1] = '\0';
    return line[0] == '{' ? line : strchr(line, ' ') + 1;
}

static const char *levels(void)
{
    text_clear(&text);
    log_get_levels(&text);
    return text.p;
}

START_TEST(text_lines_name_level_topic_and_id)
{
    log_info(LOG_DISCOVERY, "api", "connected to %s", "10.0.0.1");

    ck_assert_str_eq(next_line(), "info discovery api: connected to 10.0.0.1");
}
END_TEST

START_TEST(the_id_may_be_missing)
{
    log_warn(LOG_APP, NULL, "stopping");

    ck_assert_str_eq(next_line(), "warn app: stopping");
}
END_TEST

START_TEST(lines_begin_with_utc_time_in_microseconds)
{
    int fields[7];

    log_error(LOG_APP, NULL, "x");
    next_line();

    ck_assert_int_eq(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ error", &fields[0], &fields[1], &fields[2], &fields[3],
                            &fields[4], &fields[5], &fields[6]),
                     7);
    ck_assert_uint_eq(strcspn(line, "Z"), strlen("2026-11-24T12:00:00.123456"));
}
END_TEST

START_TEST(json_lines_carry_the_same_fields)
{
    log_set_format(LOG_JSON);
    log_info(LOG_TCP, "a\"b", "line\nbreak");

    ck_assert_ptr_nonnull(
        strstr(next_line(), "\"level\":\"info\",\"topic\":\"tcp\",\"id\":\"a\\\"b\",\"message\":\"line\\nbreak\"}"));
    ck_assert_int_eq(strncmp(line, "{\"time\":\"2", 10), 0);
}
END_TEST

START_TEST(control_characters_cannot_forge_a_line)
{
    log_info(LOG_TCP, "\x1b[2J", "a\nb\r\x7f");

    ck_assert_str_eq(next_line(), "info tcp \\x1b[2J: a\\x0ab\\x0d\\x7f");
    ck_assert_str_eq(next_line(), "");
}
END_TEST

START_TEST(a_line_is_one_write_of_at_most_8_kib)
{
    char message[3 * LINE_MAX_BYTES];

    memset(message, '\n', sizeof message - 1); /* each becomes four characters */
    message[sizeof message - 1] = '\0';
    log_set_format(_i == 0 ? LOG_TEXT : LOG_JSON);
    log_info(LOG_TCP, message, "%s", message);

    size_t len = strlen(next_line());

    ck_assert_uint_gt(len, LINE_MAX_BYTES / 4);
    ck_assert_uint_lt(strlen(line), LINE_MAX_BYTES);
    ck_assert(_i == 0 || strcmp(line + strlen(line) - 2, "\"}") == 0);
    ck_assert_str_eq(next_line(), "");
}
END_TEST

START_TEST(levels_above_the_topics_are_silent)
{
    log_debug(LOG_H2, NULL, "quiet");
    ck_assert_int_eq(log_set_levels(STR("h2=debug"), &text), 0);
    log_debug(LOG_H2, NULL, "loud");
    log_debug(LOG_TCP, NULL, "quiet");
    log_trace(LOG_H2, NULL, "quiet");

    ck_assert_str_eq(next_line(), "debug h2: loud");
    ck_assert_str_eq(next_line(), "");
}
END_TEST

START_TEST(levels_are_read_back_as_they_are_printed)
{
    ck_assert_int_eq(log_set_levels(STR("warn,h2=trace,tcp=error"), &text), 0);
    ck_assert_str_eq(levels(), "warn,tcp=error,h2=trace");
    ck_assert_int_eq(log_set_levels(STR("tcp=error, h2=trace, warn"), &text), 0);
    ck_assert_str_eq(levels(), "warn,tcp=error,h2=trace");
    ck_assert_int_eq(log_set_levels(STR("info"), &text), 0);
    ck_assert_str_eq(levels(), "info");
}
END_TEST

START_TEST(topics_that_are_not_mentioned_keep_their_level)
{
    ck_assert_int_eq(log_set_levels(STR("h2=debug"), &text), 0);
    ck_assert_int_eq(log_set_levels(STR("tcp=warn"), &text), 0);

    ck_assert_str_eq(levels(), "info,tcp=warn,h2=debug");
}
END_TEST

START_TEST(a_wrong_level_changes_nothing_and_is_named)
{
    ck_assert_int_eq(log_set_levels(STR("debug,h2=loud"), &text), -EINVAL);
    ck_assert_str_eq(text.p, "\"loud\" is not a log level; accepted: error, warn, info, debug, trace");
    ck_assert_str_eq(levels(), "info");
}
END_TEST

START_TEST(a_wrong_topic_is_named)
{
    ck_assert_int_eq(log_set_levels(STR("weather=info"), &text), -EINVAL);
    ck_assert_ptr_nonnull(strstr(text.p, "\"weather\" is not a log topic; accepted: app, accept, tcp"));
    text_clear(&text);
    ck_assert_int_eq(log_set_levels(STR(""), &text), -EINVAL);
    text_clear(&text);
    ck_assert_int_eq(log_set_levels(STR("info,"), &text), -EINVAL);
}
END_TEST

static long monotonic_second(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

START_TEST(one_site_writes_ten_lines_a_second)
{
    unsigned written = 0;
    long second = 0;

    /* Once more if the clock ticked meanwhile. */
    do {
        struct log_site site = {0};

        second = monotonic_second();
        for (written = 0; *next_line() != '\0';) {
        }
        for (int i = 0; i < 30; i++) {
            log_write(&site, LOG_TCP, LOG_INFO, NULL, "again");
        }
        while (*next_line() != '\0') {
            written++;
        }
    } while (monotonic_second() != second);

    ck_assert_uint_eq(written, 10);
}
END_TEST

START_TEST(the_next_line_says_how_many_were_left_out)
{
    struct log_site site = {.window_second = -1, .in_window = 13, .left_out = 3};

    log_write(&site, LOG_TCP, LOG_INFO, NULL, "again");
    log_write(&site, LOG_TCP, LOG_INFO, NULL, "again");

    ck_assert_str_eq(next_line(), "info tcp: again (3 like this left out before)");
    ck_assert_str_eq(next_line(), "info tcp: again");
}
END_TEST

START_TEST(logging_keeps_errno)
{
    close(STDERR_FILENO); /* the write fails with an errno of its own */
    errno = ECONNREFUSED;
    log_info(LOG_TCP, NULL, "x");

    ck_assert_int_eq(errno, ECONNREFUSED);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {text_lines_name_level_topic_and_id,
                                  the_id_may_be_missing,
                                  lines_begin_with_utc_time_in_microseconds,
                                  json_lines_carry_the_same_fields,
                                  control_characters_cannot_forge_a_line,
                                  levels_above_the_topics_are_silent,
                                  levels_are_read_back_as_they_are_printed,
                                  topics_that_are_not_mentioned_keep_their_level,
                                  a_wrong_level_changes_nothing_and_is_named,
                                  a_wrong_topic_is_named,
                                  one_site_writes_ten_lines_a_second,
                                  the_next_line_says_how_many_were_left_out,
                                  logging_keeps_errno};
    TCase *tcase = unit_case("log", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_add_loop_test(tcase, a_line_is_one_write_of_at_most_8_kib, 0, 2);
    return unit_run("log", tcase, (TCase *)NULL);
}
