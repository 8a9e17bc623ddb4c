/* SPDX-License-Identifier: Apache-2.0 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/close_reason.h"
#include "unit.h"

/* Labels become part of metrics and dashboards: lower case words joined by '_'. */
START_TEST(every_reason_has_a_metric_label)
{
    const char *label = close_reason_label((enum close_reason)_i);

    ck_assert_uint_gt(strlen(label), 0);
    for (const char *c = label; *c != '\0'; c++) {
        ck_assert(islower((unsigned char)*c) || *c == '_' || isdigit((unsigned char)*c));
    }
}
END_TEST

START_TEST(every_reason_has_a_text_of_its_own)
{
    ck_assert_uint_gt(strlen(close_reason_text((enum close_reason)_i)), 0);
    for (int other = 0; other < _i; other++) {
        ck_assert_str_ne(close_reason_text((enum close_reason)_i), close_reason_text((enum close_reason)other));
        ck_assert_str_ne(close_reason_label((enum close_reason)_i), close_reason_label((enum close_reason)other));
    }
}
END_TEST

/* OK (0) would make a failed call look like a good one; 16 is the last status there is. */
START_TEST(every_answer_is_a_grpc_error_status)
{
    int status = close_reason_grpc_status((enum close_reason)_i);

    ck_assert(status == -1 || (status >= 1 && status <= 16));
}
END_TEST

START_TEST(failing_to_connect_is_an_error_answered_unavailable)
{
    ck_assert(close_reason_is_error(CLOSE_CONNECT_REFUSED));
    ck_assert_int_eq(close_reason_grpc_status(CLOSE_CONNECT_REFUSED), 14);
    ck_assert_str_eq(close_reason_label(CLOSE_CONNECT_REFUSED), "connect_refused");
}
END_TEST

START_TEST(errors_of_sockets_have_reasons)
{
    ck_assert_int_eq(close_reason_of_connect(-ECONNREFUSED), CLOSE_CONNECT_REFUSED);
    ck_assert_int_eq(close_reason_of_connect(-EMFILE), CLOSE_NO_DESCRIPTORS);
    ck_assert_int_eq(close_reason_of_connect(-EACCES), CLOSE_CONNECT_FAILED);
    ck_assert_int_eq(close_reason_of_io(-ECONNRESET), CLOSE_PEER_RESET);
    ck_assert_int_eq(close_reason_of_io(-EPIPE), CLOSE_PEER_RESET);
    ck_assert_int_eq(close_reason_of_io(-ETIMEDOUT), CLOSE_PEER_TIMEOUT);
    ck_assert_int_eq(close_reason_of_io(-EBADF), CLOSE_IO_ERROR);
}
END_TEST

START_TEST(finishing_is_no_error_and_is_not_answered)
{
    ck_assert(!close_reason_is_error(CLOSE_DONE));
    ck_assert_int_eq(close_reason_grpc_status(CLOSE_DONE), -1);
}
END_TEST

int main(void)
{
    const TTest *const facts[] = {errors_of_sockets_have_reasons, failing_to_connect_is_an_error_answered_unavailable,
                                  finishing_is_no_error_and_is_not_answered};
    TCase *table = tcase_create("table");

    tcase_add_loop_test(table, every_reason_has_a_metric_label, 0, CLOSE_REASON_COUNT);
    tcase_add_loop_test(table, every_reason_has_a_text_of_its_own, 0, CLOSE_REASON_COUNT);
    tcase_add_loop_test(table, every_answer_is_a_grpc_error_status, 0, CLOSE_REASON_COUNT);
    return unit_run("close_reason", table, unit_case("facts", NULL, NULL, facts, 2), (TCase *)NULL);
}
