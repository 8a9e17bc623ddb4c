/* SPDX-License-Identifier: Apache-2.0 */

/* The state-of-the-world rules, without a stream. A response is shown as a line: "cluster shop/checkout:50051", "none" for none. */

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fixture.h"

#include "api/xds/sotw_state.h"

#define VIP "10.96.0.10:50051"
#define NAME "shop/checkout:50051"

static struct topics topics;
static struct api_metrics metrics;
static struct sotw_state state;
static char line[1024];

static void on_due(struct interests *s)
{
    (void)s;
}

static void setup(void)
{
    fixture_setup();
    topics_init(&topics);
    api_metrics_init(&metrics);
    sotw_state_init(&state, &topics, the_resources, &metrics, 100, on_due);
}

static void teardown(void)
{
    sotw_state_deinit(&state);
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        ck_assert_uint_eq(metric_value(metrics.type[i].subscriptions), 0);
    }
    api_metrics_deinit(&metrics);
    topics_deinit(&topics);
    fixture_teardown();
}

/* A request naming `first` and `second` (NULL: not). */
static void request(enum resource_type type, const char *first, const char *second)
{
    sotw_state_begin(&state);
    ck_assert(first == NULL || sotw_state_name(&state, type, str_from(first)) == INTEREST_TAKEN);
    ck_assert(second == NULL || sotw_state_name(&state, type, str_from(second)) == INTEREST_TAKEN);
    sotw_state_end(&state, type);
}

static const char *next(void)
{
    struct delta_response response;
    enum resource_type type = RESOURCE_LISTENER;
    size_t at;

    delta_response_init(&response);
    if (!sotw_state_next(&state, &the_view, &type, &response)) {
        return "none";
    }
    at = (size_t)snprintf(line, sizeof line, "%s", resource_type_label(type));
    for (size_t i = 0; i < response.resource_count; i++) {
        struct str name = response.resources[i]->name;

        at += (size_t)snprintf(line + at, sizeof line - at, " %.*s", (int)name.len, name.p);
    }
    delta_response_deinit(&response);
    return line;
}

START_TEST(a_known_name_is_told_once)
{
    put_checkout();
    request(RESOURCE_LISTENER, VIP, NULL);
    ck_assert_str_eq(next(), "listener " VIP);
    ck_assert_str_eq(next(), "none");
    request(RESOURCE_LISTENER, VIP, NULL); /* its acknowledgement */
    ck_assert_str_eq(next(), "none");
}
END_TEST

START_TEST(an_unknown_listener_is_an_empty_response)
{
    put_checkout();
    request(RESOURCE_LISTENER, "10.0.0.1:1", NULL);
    ck_assert_str_eq(next(), "listener");
    ck_assert_str_eq(next(), "none");
}
END_TEST

START_TEST(unknown_endpoints_are_no_response)
{
    put_checkout();
    request(RESOURCE_ENDPOINTS, "shop/none:1", NULL);
    ck_assert_str_eq(next(), "none");
}
END_TEST

START_TEST(clusters_are_told_before_listeners)
{
    put_checkout();
    request(RESOURCE_LISTENER, VIP, NULL);
    request(RESOURCE_CLUSTER, NAME, NULL);
    ck_assert_str_eq(next(), "cluster " NAME);
    ck_assert_str_eq(next(), "listener " VIP);
    ck_assert_str_eq(next(), "none");
}
END_TEST

START_TEST(a_new_name_brings_all_listeners_again)
{
    put_checkout();
    request(RESOURCE_LISTENER, VIP, NULL);
    next();
    request(RESOURCE_LISTENER, VIP, "10.0.0.1:1");
    ck_assert_str_eq(next(), "listener " VIP);
}
END_TEST

START_TEST(a_name_that_is_left_out_is_forgotten)
{
    put_checkout();
    request(RESOURCE_ENDPOINTS, NAME, "shop/none:1");
    ck_assert_uint_eq(state.names.count, 2);
    request(RESOURCE_ENDPOINTS, "shop/none:1", NULL);
    ck_assert_uint_eq(state.names.count, 1);
    ck_assert_str_eq(next(), "none");
}
END_TEST

START_TEST(a_request_of_one_type_leaves_the_others)
{
    put_checkout();
    request(RESOURCE_ENDPOINTS, NAME, NULL);
    request(RESOURCE_CLUSTER, NULL, NULL);
    ck_assert_uint_eq(state.names.count, 1);
}
END_TEST

START_TEST(limits_are_kept)
{
    char *name = mem_alloc(INTEREST_NAME_MAX + 2);

    memset(name, 'x', INTEREST_NAME_MAX + 1);
    state.names.max = 1;
    sotw_state_begin(&state);
    ck_assert_int_eq(sotw_state_name(&state, RESOURCE_CLUSTER, str_from(name)), INTEREST_BAD_NAME);
    ck_assert_int_eq(sotw_state_name(&state, RESOURCE_CLUSTER, STR("")), INTEREST_BAD_NAME);
    ck_assert_int_eq(sotw_state_name(&state, RESOURCE_CLUSTER, STR("*")), INTEREST_TAKEN);
    ck_assert_int_eq(sotw_state_name(&state, RESOURCE_CLUSTER, STR("a")), INTEREST_TAKEN);
    ck_assert_int_eq(sotw_state_name(&state, RESOURCE_CLUSTER, STR("b")), INTEREST_TOO_MANY);
    mem_free(name);
}
END_TEST

UNIT_MAIN("sotw_state", setup, teardown, a_known_name_is_told_once, an_unknown_listener_is_an_empty_response,
          unknown_endpoints_are_no_response, clusters_are_told_before_listeners, a_new_name_brings_all_listeners_again,
          a_name_that_is_left_out_is_forgotten, a_request_of_one_type_leaves_the_others, limits_are_kept)
