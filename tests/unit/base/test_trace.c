/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <string.h>

#include "base/trace.h"
#include "unit.h"

static struct text error;
static struct trace_tag tag;

static const struct usec start = {5000000};

static void setup(void)
{
    text_init(&error, 512);
    tag = (struct trace_tag){.kind = "out", .number = 12, .service = trace_service_key("shop/cart:50051")};
    ck_assert(addr_parse(STR("10.0.0.7:5000"), &tag.peer));
}

static void teardown(void)
{
    trace_clear();
    text_deinit(&error);
}

static bool is_matched_by(enum trace_by by, const char *value)
{
    bool is_matched;

    ck_assert_int_eq(trace_add(by, str_from(value), start, 60, &error), 0);
    is_matched = trace_matches(&tag, start);
    trace_clear();
    return is_matched;
}

START_TEST(without_rules_nothing_is_watched)
{
    ck_assert(!trace_matches(&tag, start));
}
END_TEST

START_TEST(a_connection_is_found_by_its_whole_id)
{
    ck_assert(is_matched_by(TRACE_CONNECTION, "out-12"));
    ck_assert(!is_matched_by(TRACE_CONNECTION, "out-1"));
    ck_assert(!is_matched_by(TRACE_CONNECTION, "in-12"));
}
END_TEST

START_TEST(a_peer_is_found_by_address_by_port_and_by_network)
{
    ck_assert(is_matched_by(TRACE_PEER, "10.0.0.7"));
    ck_assert(is_matched_by(TRACE_PEER, "10.0.0.7:5000"));
    ck_assert(is_matched_by(TRACE_PEER, "10.0.0.0/8"));
    ck_assert(!is_matched_by(TRACE_PEER, "10.0.0.7:5001"));
    ck_assert(!is_matched_by(TRACE_PEER, "10.0.0.8"));
    ck_assert(!is_matched_by(TRACE_PEER, "fd00::/8"));
}
END_TEST

START_TEST(a_service_is_found_by_its_name)
{
    ck_assert(is_matched_by(TRACE_SERVICE, "shop/cart:50051"));
    ck_assert(!is_matched_by(TRACE_SERVICE, "shop/cart"));
}
END_TEST

START_TEST(an_untagged_connection_is_found_by_nothing)
{
    tag = (struct trace_tag){0};
    ck_assert(!is_matched_by(TRACE_CONNECTION, "h2"));
    ck_assert(!is_matched_by(TRACE_PEER, "0.0.0.0/0"));
    ck_assert(!is_matched_by(TRACE_SERVICE, "shop/cart:50051"));
}
END_TEST

START_TEST(a_rule_ends_with_its_time)
{
    ck_assert_int_eq(trace_add(TRACE_CONNECTION, STR("out-12"), start, 60, &error), 0);

    ck_assert(trace_matches(&tag, usec_add(start, (struct usec){59999999})));
    ck_assert(!trace_matches(&tag, usec_add(start, usec_from_s(60))));
    ck_assert_uint_eq(atomic_load(&trace_rule_count), 0);
}
END_TEST

START_TEST(an_expired_rule_leaves_its_place)
{
    for (unsigned i = 0; i < TRACE_RULES_MAX; i++) {
        ck_assert_int_eq(trace_add(TRACE_PEER, STR("10.0.0.7"), start, 60, &error), 0);
    }
    ck_assert_int_eq(trace_add(TRACE_PEER, STR("10.0.0.7"), start, 60, &error), -ENOSPC);
    ck_assert_str_eq(error.p, "there are 8 rules already");
    ck_assert_int_eq(trace_add(TRACE_PEER, STR("10.0.0.7"), usec_add(start, usec_from_s(60)), 60, &error), 0);
    ck_assert_uint_eq(trace_clear(), 1);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused_with_the_reason)
{
    ck_assert_int_eq(trace_add(TRACE_PEER, STR("cart"), start, 60, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.p, "\"cart\" is not an address"));
    text_clear(&error);
    ck_assert_int_eq(trace_add(TRACE_SERVICE, STR(""), start, 60, &error), -EINVAL);
    text_clear(&error);
    ck_assert_int_eq(trace_add(TRACE_SERVICE, STR("shop/cart:1"), start, 0, &error), -EINVAL);
    ck_assert_int_eq(trace_add(TRACE_SERVICE, STR("shop/cart:1"), start, 3601, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.p, "1 to 3600 seconds"));
    ck_assert_uint_eq(atomic_load(&trace_rule_count), 0);
}
END_TEST

START_TEST(rules_are_printed_with_the_time_that_is_left)
{
    struct text out;

    text_init(&out, 1024);
    ck_assert_int_eq(trace_add(TRACE_PEER, STR("10.0.0.0/8"), start, 60, &error), 0);
    ck_assert_int_eq(trace_add(TRACE_SERVICE, STR("shop/cart:50051"), start, 5, &error), 0);
    trace_print(usec_add(start, usec_from_s(2)), &out);
    ck_assert_str_eq(out.p, "peer=10.0.0.0/8 for another 58 s\nservice=shop/cart:50051 for another 3 s\n");
    text_deinit(&out);
}
END_TEST

UNIT_MAIN("trace", setup, teardown, without_rules_nothing_is_watched, a_connection_is_found_by_its_whole_id,
          a_peer_is_found_by_address_by_port_and_by_network, a_service_is_found_by_its_name,
          an_untagged_connection_is_found_by_nothing, a_rule_ends_with_its_time, an_expired_rule_leaves_its_place,
          what_cannot_be_read_is_refused_with_the_reason, rules_are_printed_with_the_time_that_is_left)
