/* SPDX-License-Identifier: Apache-2.0 */

#include "base/container.h"
#include "policy/timeouts.h"
#include "unit.h"

static struct timeouts limits;
static struct timeouts_state state;

static void setup(void)
{
    limits = (struct timeouts){0};
    state = (struct timeouts_state){.arrived = {1000}, .active = {1000}, .deadline = USEC_NEVER};
}

START_TEST(grpc_timeouts_are_digits_and_a_unit)
{
    static const struct {
        const char *text;
        uint64_t us;
    } good[] = {
        {"1H", 3600000000},
        {"2M", 120000000},
        {"20S", 20000000},
        {"150m", 150000},
        {"7u", 7},
        {"1n", 1},
        {"1000n", 1},
        {"1001n", 2},
        {"0S", 0},
        {"00000001m", 1000},
        {"99999999H", 99999999u * (uint64_t)3600000000},
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct usec timeout = {77};

        ck_assert_msg(timeouts_parse_grpc(str_from(good[i].text), &timeout), "%s", good[i].text);
        ck_assert_uint_eq(timeout.v, good[i].us);
    }
}
END_TEST

START_TEST(anything_else_is_no_grpc_timeout)
{
    static const char *const bad[] = {"", "S", "20", "20s", "20 S", "-1S", "+1S", "1.5S", "123456789S", "0x1S", "20SS", "H1"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct usec timeout;

        ck_assert_msg(!timeouts_parse_grpc(str_from(bad[i]), &timeout), "%s", bad[i]);
    }
}
END_TEST

static uint64_t next_is(enum close_reason expected)
{
    enum close_reason reason;
    struct usec next = timeouts_next(&limits, &state, &reason);

    ck_assert_int_eq(reason, expected);
    return next.v;
}

START_TEST(without_a_limit_there_is_none)
{
    ck_assert_uint_eq(next_is(CLOSE_DONE), USEC_NEVER.v);
}
END_TEST

START_TEST(the_callers_deadline_counts_at_any_time)
{
    state.deadline = (struct usec){5000};
    ck_assert_uint_eq(next_is(CLOSE_DEADLINE), 5000);
    state.sent = (struct usec){2000};
    state.is_answered = true;
    ck_assert_uint_eq(next_is(CLOSE_DEADLINE), 5000);
}
END_TEST

START_TEST(the_request_limit_runs_from_arrival)
{
    limits.request = (struct usec){300};
    ck_assert_uint_eq(next_is(CLOSE_REQUEST_TIMEOUT), 1300);
}
END_TEST

START_TEST(the_response_limit_runs_from_sending_to_headers)
{
    limits.response = (struct usec){300};
    ck_assert_uint_eq(next_is(CLOSE_DONE), USEC_NEVER.v);
    state.sent = (struct usec){1500};
    ck_assert_uint_eq(next_is(CLOSE_RESPONSE_TIMEOUT), 1800);
    state.is_answered = true;
    ck_assert_uint_eq(next_is(CLOSE_DONE), USEC_NEVER.v);
}
END_TEST

START_TEST(the_idle_limit_runs_from_the_last_byte)
{
    limits.idle = (struct usec){50};
    ck_assert_uint_eq(next_is(CLOSE_STREAM_IDLE), 1050);
    state.active = (struct usec){9000};
    ck_assert_uint_eq(next_is(CLOSE_STREAM_IDLE), 9050);
}
END_TEST

START_TEST(the_first_limit_reached_is_the_one_that_counts)
{
    limits = (struct timeouts){.request = {900}, .response = {300}, .idle = {500}};
    state.deadline = (struct usec){1700};
    state.sent = (struct usec){1100};
    ck_assert_uint_eq(next_is(CLOSE_RESPONSE_TIMEOUT), 1400);
    state.is_answered = true;
    ck_assert_uint_eq(next_is(CLOSE_STREAM_IDLE), 1500);
    state.active = (struct usec){1500};
    ck_assert_uint_eq(next_is(CLOSE_DEADLINE), 1700);
    state.deadline = USEC_NEVER;
    ck_assert_uint_eq(next_is(CLOSE_REQUEST_TIMEOUT), 1900);
}
END_TEST

UNIT_MAIN("timeouts", setup, NULL, grpc_timeouts_are_digits_and_a_unit, anything_else_is_no_grpc_timeout,
          without_a_limit_there_is_none, the_callers_deadline_counts_at_any_time, the_request_limit_runs_from_arrival,
          the_response_limit_runs_from_sending_to_headers, the_idle_limit_runs_from_the_last_byte,
          the_first_limit_reached_is_the_one_that_counts)
