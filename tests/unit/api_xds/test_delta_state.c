/* SPDX-License-Identifier: Apache-2.0 */

/* The delta rules, without a stream. A response is shown as a line: "endpoints +shop/checkout:50051 -gone", "" for none. */

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fixture.h"

#include "api/xds/delta_state.h"

#define VIP "10.96.0.10:50051"
#define NAME "shop/checkout:50051"

static struct topics topics;
static struct api_metrics metrics;
static struct delta_state state;
static unsigned dues;
static char line[1024];

static void on_due(struct interests *s)
{
    (void)s;
    dues++;
}

static void setup(void)
{
    fixture_setup();
    topics_init(&topics);
    api_metrics_init(&metrics);
    delta_state_init(&state, &topics, the_resources, &metrics, 100, on_due);
    dues = 0;
}

static void teardown(void)
{
    delta_state_deinit(&state);
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        ck_assert_uint_eq(metric_value(metrics.type[i].subscriptions), 0);
    }
    api_metrics_deinit(&metrics);
    topics_deinit(&topics);
    fixture_teardown();
}

static void subscribe(enum resource_type type, const char *name)
{
    ck_assert_int_eq(delta_state_subscribe(&state, type, str_from(name)), INTEREST_TAKEN);
}

static const char *next(void)
{
    struct delta_response response;
    enum resource_type type = RESOURCE_LISTENER;
    size_t at = 0;

    delta_response_init(&response);
    line[0] = '\0';
    if (delta_state_next(&state, &the_view, &type, &response)) {
        at = (size_t)snprintf(line, sizeof line, "%s", resource_type_label(type));
    }
    for (size_t i = 0; i < response.resource_count; i++) {
        struct str name = response.resources[i]->name;

        at += (size_t)snprintf(line + at, sizeof line - at, " +%.*s", (int)name.len, name.p);
    }
    for (size_t i = 0; i < response.removed_count; i++) {
        at += (size_t)snprintf(line + at, sizeof line - at, " -%s", response.removed[i]);
    }
    delta_response_deinit(&response);
    return line;
}

static void on_changed(enum resource_type type, struct str name, void *ctx)
{
    (void)ctx;
    topics_changed(&topics, type, name);
}

/* As the server does it. */
static void apply_and_tell(void)
{
    struct world *w = model_commit(the_model);

    resources_apply(the_resources, w, on_changed, NULL);
    world_unref(&w);
}

static void add_pod(const char *slice_name, const char *ip)
{
    struct slice *s = slice("shop", slice_name, "checkout", 8080);

    ready(s, ip);
    put_slice(s);
    apply_and_tell();
}

START_TEST(nothing_is_due_at_first)
{
    ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(a_known_name_is_told_once)
{
    put_checkout();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    ck_assert_uint_eq(dues, 1);
    ck_assert_str_eq(next(), "endpoints +" NAME);
    ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(an_unknown_name_is_denied_once)
{
    subscribe(RESOURCE_ENDPOINTS, "shop/none:1");
    ck_assert_str_eq(next(), "endpoints -shop/none:1");
    ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(nothing_is_told_before_the_store_is_synced)
{
    struct resources *unsynced = resources_new(STR("cluster.local"));
    struct delta_state early;
    struct delta_response response;
    enum resource_type type;

    delta_response_init(&response);
    delta_state_init(&early, &topics, unsynced, &metrics, 100, on_due);
    ck_assert_int_eq(delta_state_subscribe(&early, RESOURCE_LISTENER, STR("10.0.0.1:1")), INTEREST_TAKEN);
    ck_assert(!delta_state_next(&early, &the_view, &type, &response));
    delta_state_deinit(&early);
    delta_response_deinit(&response);
    resources_free(unsynced);
}
END_TEST

START_TEST(subscribing_again_tells_again)
{
    put_checkout();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    next();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    ck_assert_str_eq(next(), "endpoints +" NAME);
    ck_assert_uint_eq(state.names.count, 1);
}
END_TEST

START_TEST(a_change_is_told)
{
    put_checkout();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    next();
    add_pod("more", "10.1.0.9");
    ck_assert_uint_eq(dues, 2);
    ck_assert_str_eq(next(), "endpoints +" NAME);
}
END_TEST

START_TEST(many_changes_are_told_as_one)
{
    put_checkout();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    next();
    add_pod("a", "10.1.0.9");
    add_pod("b", "10.1.0.10");
    ck_assert_str_eq(next(), "endpoints +" NAME);
    ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(a_change_and_its_opposite_are_not_told)
{
    put_checkout();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    next();
    add_pod("a", "10.1.0.9");
    model_remove_slice(the_model, STR("shop"), STR("a"));
    apply_and_tell();
    ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(what_is_unsubscribed_is_not_told)
{
    put_checkout();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    delta_state_unsubscribe(&state, RESOURCE_ENDPOINTS, STR(NAME));
    delta_state_unsubscribe(&state, RESOURCE_ENDPOINTS, STR("never subscribed"));
    ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(the_present_version_is_not_told_to_who_holds_it)
{
    struct resource *res;

    put_checkout();
    res = resources_lookup(the_resources, RESOURCE_ENDPOINTS, STR(NAME), &the_view);
    subscribe(RESOURCE_ENDPOINTS, NAME);
    delta_state_hold(&state, RESOURCE_ENDPOINTS, STR(NAME), str_from(res->version));
    resource_unref(&res);
    ck_assert_str_eq(next(), "");
    add_pod("a", "10.1.0.9");
    ck_assert_str_eq(next(), "endpoints +" NAME);
}
END_TEST

START_TEST(another_version_is_told)
{
    static const char *const versions[] = {"", "7", "0123456789abcdef", "longer than any version of ours could be"};

    put_checkout();
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        subscribe(RESOURCE_ENDPOINTS, NAME);
        delta_state_hold(&state, RESOURCE_ENDPOINTS, STR(NAME), str_from(versions[i]));
        ck_assert_str_eq(next(), "endpoints +" NAME);
    }
}
END_TEST

START_TEST(what_is_held_and_gone_is_removed)
{
    subscribe(RESOURCE_ENDPOINTS, "shop/gone:1");
    delta_state_hold(&state, RESOURCE_ENDPOINTS, STR("shop/gone:1"), STR("7"));
    ck_assert_str_eq(next(), "endpoints -shop/gone:1");
}
END_TEST

START_TEST(new_things_are_told_from_the_bottom_up)
{
    put_checkout();
    subscribe(RESOURCE_LISTENER, VIP);
    subscribe(RESOURCE_ROUTE, VIP);
    subscribe(RESOURCE_ENDPOINTS, NAME);
    subscribe(RESOURCE_CLUSTER, NAME);
    ck_assert_str_eq(next(), "cluster +" NAME);
    ck_assert_str_eq(next(), "endpoints +" NAME);
    ck_assert_str_eq(next(), "listener +" VIP);
    ck_assert_str_eq(next(), "route +" VIP);
    ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(gone_things_are_told_from_the_top_down)
{
    put_checkout();
    subscribe(RESOURCE_LISTENER, VIP);
    subscribe(RESOURCE_ROUTE, VIP);
    subscribe(RESOURCE_CLUSTER, NAME);
    subscribe(RESOURCE_ENDPOINTS, NAME);
    while (next()[0] != '\0') {
    }
    model_remove_service(the_model, STR("shop"), STR("checkout"));
    apply_and_tell();
    ck_assert_str_eq(next(), "listener -" VIP);
    ck_assert_str_eq(next(), "route -" VIP);
    ck_assert_str_eq(next(), "cluster -" NAME);
    ck_assert_str_eq(next(), "endpoints -" NAME);
}
END_TEST

START_TEST(a_type_that_changes_all_the_time_does_not_starve_others)
{
    char name[8];

    put_checkout();
    subscribe(RESOURCE_ENDPOINTS, NAME);
    subscribe(RESOURCE_LISTENER, VIP);
    ck_assert_str_eq(next(), "endpoints +" NAME);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "s%u", i);
        add_pod(name, i == 0 ? "10.1.0.9" : "10.1.0.10");
        ck_assert_str_eq(next(), i == 0 ? "listener +" VIP : "endpoints +" NAME);
    }
}
END_TEST

START_TEST(more_than_fits_a_response_goes_into_several)
{
    char name[INTEREST_NAME_MAX];
    unsigned responses = 0;

    state.names.max = 10000;
    memset(name, 'x', sizeof name);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "%u", i);
        name[strlen(name)] = 'x';
        ck_assert_int_eq(delta_state_subscribe(&state, RESOURCE_LISTENER, (struct str){name, sizeof name}), INTEREST_TAKEN);
    }
    for (;;) {
        struct delta_response response;
        enum resource_type type;
        bool is_more;

        delta_response_init(&response);
        is_more = delta_state_next(&state, &the_view, &type, &response);
        responses += is_more;
        ck_assert_uint_le(response.bytes, DELTA_RESPONSE_BYTES + 2 * INTEREST_NAME_MAX);
        delta_response_deinit(&response);
        if (!is_more) {
            break;
        }
    }
    ck_assert_uint_ge(responses, 3);
}
END_TEST

START_TEST(limits_are_kept)
{
    char long_name[INTEREST_NAME_MAX + 1] = {'x'};

    state.names.max = 2;
    subscribe(RESOURCE_LISTENER, "a:1");
    subscribe(RESOURCE_ROUTE, "b:1");
    ck_assert_int_eq(delta_state_subscribe(&state, RESOURCE_CLUSTER, STR("c")), INTEREST_TOO_MANY);
    ck_assert_int_eq(delta_state_subscribe(&state, RESOURCE_ROUTE, STR("b:1")), INTEREST_TAKEN);
    ck_assert_int_eq(delta_state_subscribe(&state, RESOURCE_CLUSTER, STR("")), INTEREST_BAD_NAME);
    ck_assert_int_eq(delta_state_subscribe(&state, RESOURCE_CLUSTER, (struct str){long_name, sizeof long_name}),
                     INTEREST_BAD_NAME);
}
END_TEST

START_TEST(the_star_subscribes_to_nothing)
{
    put_checkout();
    subscribe(RESOURCE_CLUSTER, "*");
    ck_assert_uint_eq(state.names.count, 0);
    ck_assert_str_eq(next(), "");
}
END_TEST

UNIT_MAIN("delta_state", setup, teardown, nothing_is_due_at_first, a_known_name_is_told_once, an_unknown_name_is_denied_once,
          nothing_is_told_before_the_store_is_synced, subscribing_again_tells_again, a_change_is_told,
          many_changes_are_told_as_one, a_change_and_its_opposite_are_not_told, what_is_unsubscribed_is_not_told,
          the_present_version_is_not_told_to_who_holds_it, another_version_is_told, what_is_held_and_gone_is_removed,
          new_things_are_told_from_the_bottom_up, gone_things_are_told_from_the_top_down,
          a_type_that_changes_all_the_time_does_not_starve_others, more_than_fits_a_response_goes_into_several, limits_are_kept,
          the_star_subscribes_to_nothing)
