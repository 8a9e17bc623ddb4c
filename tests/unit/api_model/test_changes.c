/* SPDX-License-Identifier: Apache-2.0 */

/* Which names are told to have changed, from one world to the next. */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#include "fixture.h"
#include "unit.h"

#define CLUSTER "shop/checkout:50051"

static struct text told; /* "listener 10.96.0.10:50051\n…" */

static void on_changed(enum resource_type type, struct str name, void *ctx)
{
    (void)ctx;
    text_printf(&told, "%s %.*s\n", resource_type_label(type), (int)name.len, name.p);
}

static void setup(void)
{
    fixture_setup();
    text_init(&told, 1 << 20);
}

static void teardown(void)
{
    text_deinit(&told);
    fixture_teardown();
}

static void apply_and_tell(void)
{
    struct world *w = model_commit(the_model);

    text_clear(&told);
    resources_apply(the_resources, w, on_changed, NULL);
    world_unref(&w);
}

static bool is_told(enum resource_type type, const char *name)
{
    char *line = mem_printf("%s %s\n", resource_type_label(type), name);
    bool is_there = strstr(told.p, line) != NULL;

    mem_free(line);
    return is_there;
}

START_TEST(nothing_is_told_when_nothing_changed)
{
    put_checkout();
    apply_and_tell();
    ck_assert_str_eq(told.p, "");
}
END_TEST

static const struct {
    enum resource_type type;
    const char *name;
} all_of_checkout[] = {
    {RESOURCE_LISTENER, "10.96.0.10:50051"},
    {RESOURCE_ROUTE, "10.96.0.10:50051"},
    {RESOURCE_LISTENER, "checkout.shop:50051"},
    {RESOURCE_ROUTE, "checkout.shop.svc.cluster.local:50051"},
    {RESOURCE_LISTENER, "checkout:50051"},
    {RESOURCE_CLUSTER, CLUSTER},
    {RESOURCE_ENDPOINTS, CLUSTER},
    {RESOURCE_LISTENER, "10.1.0.1:8080"},
    {RESOURCE_ROUTE, "10.1.0.1:8080"},
    {RESOURCE_CLUSTER, "10.1.0.1:8080"},
    {RESOURCE_ENDPOINTS, "10.1.0.1:8080"},
};

START_TEST(service_that_appears_tells_all_its_names)
{
    struct slice *s = slice("shop", "checkout-a", "checkout", 8080);

    ready(s, "10.1.0.1");
    put_slice(s);
    put_service(service("shop", "checkout", "10.96.0.10", 50051));
    apply_and_tell();
    ck_assert(is_told(all_of_checkout[_i].type, all_of_checkout[_i].name));
}
END_TEST

START_TEST(service_that_vanishes_tells_all_its_names)
{
    put_checkout();
    model_remove_service(the_model, STR("shop"), STR("checkout"));
    apply_and_tell();
    ck_assert(is_told(all_of_checkout[_i].type, all_of_checkout[_i].name));
    ck_assert(!exists(all_of_checkout[_i].type, all_of_checkout[_i].name));
}
END_TEST

START_TEST(service_that_moves_tells_the_old_and_the_new_address)
{
    put_checkout();
    put_service(service("shop", "checkout", "10.96.0.20", 50051));
    apply_and_tell();
    ck_assert(is_told(RESOURCE_LISTENER, "10.96.0.10:50051"));
    ck_assert(is_told(RESOURCE_LISTENER, "10.96.0.20:50051"));
}
END_TEST

/* One more pod. */
static void scale_up(void)
{
    struct slice *s = slice("shop", "checkout-a", "checkout", 8080);

    ready(s, "10.1.0.1");
    ready(s, "10.1.0.2");
    ready(s, "10.1.0.3");
    put_slice(s);
}

START_TEST(new_pod_tells_the_endpoints_and_the_pod)
{
    put_checkout();
    scale_up();
    apply_and_tell();
    ck_assert(is_told(RESOURCE_ENDPOINTS, CLUSTER));
    ck_assert(is_told(RESOURCE_LISTENER, "10.1.0.3:8080"));
}
END_TEST

START_TEST(new_pod_leaves_the_rest_alone)
{
    put_checkout();
    scale_up();
    apply_and_tell();
    ck_assert(!is_told(RESOURCE_LISTENER, "10.96.0.10:50051"));
    ck_assert(!is_told(RESOURCE_CLUSTER, CLUSTER));
    ck_assert(!is_told(RESOURCE_LISTENER, "10.1.0.1:8080"));
}
END_TEST

START_TEST(other_services_are_left_alone)
{
    put_service(service("shop", "cart", "10.96.0.11", 80));
    put_checkout();
    model_remove_service(the_model, STR("shop"), STR("checkout"));
    apply_and_tell();
    ck_assert_ptr_null(strstr(told.p, "10.96.0.11"));
    ck_assert_ptr_null(strstr(told.p, "cart"));
}
END_TEST

START_TEST(each_name_is_told_once)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    /* Two ports with the same target: both claim the pods. */
    ck_assert(service_add_port(s, STR(""), 50052, STR("")));
    put_service(s);
    scale_up();
    apply_and_tell();
    char *first = strstr(told.p, "listener 10.1.0.1:8080\n");

    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "listener 10.1.0.1:8080\n"));
}
END_TEST

/* --- the promise itself: whatever answers differently was told --- */

#define NAMES_MAX 200
#define ROUNDS 400

struct observed {
    enum resource_type type;
    char name[64];
    char version[3][17]; /* one a view; "" when absent */
};

static struct observed observed[NAMES_MAX];
static size_t observed_count;
static const struct view views[3] = {
    {{"", 0}, {"", 0}},
    {{"a", 1}, {"n1", 2}},
    {{"b", 1}, {"n2", 2}},
};

static void observe_name(const char *name)
{
    for (unsigned type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        struct observed *o = &observed[observed_count++];

        ck_assert_uint_le(observed_count, NAMES_MAX);
        o->type = (enum resource_type)type;
        snprintf(o->name, sizeof o->name, "%s", name);
    }
}

static void observe_all(void)
{
    static const char *const names[] = {
        "10.96.0.1:80",   "10.96.0.2:80",
        "10.96.0.1:81",   "[fd00::1]:80",
        "[fd00::2]:80",   "10.1.0.1:8080",
        "10.1.0.2:8080",  "10.1.0.3:8080",
        "[fd01::1]:8080", "[fd01::2]:8080",
        "a/x:80",         "a/x:80/IPv6",
        "a/x:80/IPv4",    "a/x:81",
        "a/y:80",         "a/y:80/IPv6",
        "b/x:80",         "b/x:80/IPv6",
        "x:80",           "x.a:80",
        "y.a.svc:80",     "x.b.svc.cluster.local:80",
    };

    observed_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        observe_name(names[i]);
    }
}

static void look(const struct observed *o, size_t v, char version[17])
{
    struct resource *res = resources_lookup(the_resources, o->type, str_from(o->name), &views[v]);

    snprintf(version, 17, "%s", res == NULL ? "" : res->version);
    resource_unref(&res);
}

static struct service *random_service(struct rng *rng)
{
    static const char *const namespaces[] = {"a", "a", "b"}, *const names[] = {"x", "y", "x"};
    static const char *const ips[] = {"10.96.0.1", "10.96.0.2", "fd00::1", "fd00::2"};
    uint64_t who = rng_below(rng, 3);
    struct service *s = service(namespaces[who], names[who], ips[rng_below(rng, 4)], 80);

    if (rng_below(rng, 2) == 0) {
        add_ip(s, ips[rng_below(rng, 4)], rng_below(rng, 2) == 0 ? ADDRESS_EXTERNAL : ADDRESS_CLUSTER_IP);
    }
    if (rng_below(rng, 4) == 0) {
        ck_assert(service_add_port(s, STR(""), 81, rng_below(rng, 2) == 0 ? STR("mysql") : STR("")));
    }
    s->type = rng_below(rng, 4) == 0 ? SERVICE_HEADLESS : rng_below(rng, 6) == 0 ? SERVICE_EXTERNAL : SERVICE_CLUSTER_IP;
    s->has_client_affinity = rng_below(rng, 6) == 0;
    s->is_local_only = rng_below(rng, 4) == 0;
    s->publishes_not_ready = rng_below(rng, 6) == 0;
    return s;
}

static struct slice *random_slice(struct rng *rng)
{
    static const char *const pods[] = {"10.1.0.1", "10.1.0.2", "10.1.0.3", "fd01::1", "fd01::2"};
    static const char *const namespaces[] = {"a", "b"}, *const names[] = {"s1", "s2"}, *const services[] = {"x", "y"};
    struct slice *s = slice(namespaces[rng_below(rng, 2)], names[rng_below(rng, 2)], services[rng_below(rng, 2)], 8080);

    for (uint64_t n = rng_below(rng, 4); n > 0; n--) {
        struct slice_endpoint_args e = endpoint(pods[rng_below(rng, 5)]);

        e.is_ready = rng_below(rng, 3) != 0;
        e.is_terminating = !e.is_ready && rng_below(rng, 2) == 0;
        e.node = rng_below(rng, 2) == 0 ? STR("n1") : STR("n2");
        e.zone = rng_below(rng, 3) == 0 ? STR("z") : STR("");
        add(s, e);
    }
    return s;
}

static void change_something(struct rng *rng)
{
    static const char *const namespaces[] = {"a", "b"}, *const services[] = {"x", "y"}, *const slices[] = {"s1", "s2"};

    switch (rng_below(rng, 6)) {
    case 0:
        model_remove_service(the_model, str_from(namespaces[rng_below(rng, 2)]), str_from(services[rng_below(rng, 2)]));
        break;
    case 1:
        model_remove_slice(the_model, str_from(namespaces[rng_below(rng, 2)]), str_from(slices[rng_below(rng, 2)]));
        break;
    case 2:
    case 3:
        put_service(random_service(rng));
        break;
    default:
        put_slice(random_slice(rng));
        break;
    }
}

START_TEST(whatever_answers_differently_was_told)
{
    struct rng rng;
    unsigned differences = 0;

    rng_init(&rng, 7);
    observe_all();
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint64_t n = rng_below(&rng, 3); n < 3; n++) {
            change_something(&rng);
        }
        apply_and_tell();
        for (size_t i = 0; i < observed_count; i++) {
            for (size_t v = 0; v < ARRAY_LEN(views); v++) {
                char version[17];

                look(&observed[i], v, version);
                if (strcmp(version, observed[i].version[v]) != 0) {
                    ck_assert_msg(is_told(observed[i].type, observed[i].name), "round %u: %s %s changed untold", round,
                                  resource_type_label(observed[i].type), observed[i].name);
                    memcpy(observed[i].version[v], version, sizeof version);
                    differences++;
                }
            }
        }
    }
    ck_assert_uint_gt(differences, ROUNDS); /* the worlds did differ */
}
END_TEST

/* A resources object that never saw the other worlds answers the same: nothing stale is kept. */
START_TEST(answers_do_not_depend_on_the_way_to_the_world)
{
    struct rng rng;

    rng_init(&rng, 11);
    observe_all();
    for (unsigned round = 0; round < ROUNDS; round++) {
        change_something(&rng);
        apply();
        struct resources *fresh = resources_new(STR("cluster.local")), *old = the_resources;
        struct world *w = model_commit(the_model);

        resources_apply(fresh, w, NULL, NULL);
        for (size_t i = 0; i < observed_count; i++) {
            char version[17], expected[17];

            look(&observed[i], round % 3, version);
            the_resources = fresh;
            look(&observed[i], round % 3, expected);
            the_resources = old;
            ck_assert_msg(strcmp(version, expected) == 0, "round %u: %s is stale", round, observed[i].name);
        }
        world_unref(&w);
        resources_free(fresh);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {nothing_is_told_when_nothing_changed,    service_that_moves_tells_the_old_and_the_new_address,
                                  new_pod_tells_the_endpoints_and_the_pod, new_pod_leaves_the_rest_alone,
                                  other_services_are_left_alone,           each_name_is_told_once,
                                  whatever_answers_differently_was_told,   answers_do_not_depend_on_the_way_to_the_world};
    TCase *loops = tcase_create("loops");
    TCase *plain = unit_case("changes", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_set_timeout(plain, 50);
    tcase_add_checked_fixture(loops, setup, teardown);
    tcase_add_loop_test(loops, service_that_appears_tells_all_its_names, 0, ARRAY_LEN(all_of_checkout));
    tcase_add_loop_test(loops, service_that_vanishes_tells_all_its_names, 0, ARRAY_LEN(all_of_checkout));
    return unit_run("changes", plain, loops, (TCase *)NULL);
}
