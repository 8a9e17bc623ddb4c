/* SPDX-License-Identifier: Apache-2.0 */

/* Versions, views, references, the cache. */

#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "unit.h"

#define CLUSTER "shop/checkout:50051"

static struct resource *lookup(enum resource_type type, const char *name)
{
    return resources_lookup(the_resources, type, str_from(name), &the_view);
}

START_TEST(resources_are_not_synced_before_the_first_apply)
{
    struct resources *r = resources_new(STR("cluster.local"));

    ck_assert(!resources_is_synced(r));
    ck_assert_ptr_null(resources_lookup(r, RESOURCE_LISTENER, STR("10.96.0.10:50051"), &the_view));
    resources_free(r);
}
END_TEST

START_TEST(resources_are_synced_with_an_empty_world)
{
    ck_assert(resources_is_synced(the_resources));
}
END_TEST

START_TEST(second_lookup_is_the_same_object)
{
    put_checkout();
    struct resource *a = lookup(RESOURCE_CLUSTER, CLUSTER), *b = lookup(RESOURCE_CLUSTER, CLUSTER);

    ck_assert_ptr_eq(a, b);
    resource_unref(&a);
    resource_unref(&b);
}
END_TEST

START_TEST(views_share_what_does_not_depend_on_them)
{
    put_checkout();
    struct resource *a = lookup(RESOURCE_ENDPOINTS, CLUSTER);

    the_view = (struct view){.namespace = STR("shop"), .node = STR("n1")};
    struct resource *b = lookup(RESOURCE_ENDPOINTS, CLUSTER);

    ck_assert_ptr_eq(a, b);
    resource_unref(&a);
    resource_unref(&b);
}
END_TEST

START_TEST(resource_outlives_the_world_it_came_from)
{
    put_checkout();
    struct resource *a = lookup(RESOURCE_ENDPOINTS, CLUSTER);
    char version[17];

    memcpy(version, a->version, sizeof version);
    model_remove_service(the_model, STR("shop"), STR("checkout"));
    apply();

    ck_assert_str_eq(a->version, version);
    ck_assert(!exists(RESOURCE_ENDPOINTS, CLUSTER));
    resource_unref(&a);
}
END_TEST

START_TEST(version_follows_the_content)
{
    put_checkout();
    struct resource *before = lookup(RESOURCE_ENDPOINTS, CLUSTER);
    struct slice *s = slice("shop", "checkout-a", "checkout", 8080);

    ready(s, "10.1.0.1");
    put_slice(s);
    apply();
    struct resource *after = lookup(RESOURCE_ENDPOINTS, CLUSTER);

    ck_assert_str_ne(before->version, after->version);
    resource_unref(&before);
    resource_unref(&after);
}
END_TEST

START_TEST(version_is_the_same_in_every_process)
{
    put_checkout();
    struct resource *res = lookup(RESOURCE_CLUSTER, CLUSTER);

    /* FNV-1a of the bytes, worked out here independently: a proxy names it to another replica of the api. */
    uint64_t hash = 0xcbf29ce484222325;
    char expected[17];

    for (size_t i = 0; i < res->bytes.len; i++) {
        hash = (hash ^ (unsigned char)res->bytes.p[i]) * 0x100000001b3;
    }
    snprintf(expected, sizeof expected, "%016llx", (unsigned long long)hash);
    ck_assert_str_eq(res->version, expected);
    resource_unref(&res);
}
END_TEST

/* The version of the endpoints when slices "a" and "b" arrive in this order. */
static void put_in_order(const char *first, const char *second, char version[17])
{
    const char *const names[] = {first, second};

    for (size_t i = 0; i < 2; i++) {
        struct slice *s = slice("shop", names[i], "checkout", 8080);

        ready(s, names[i][0] == 'a' ? "10.1.0.2" : "10.1.0.1");
        model_remove_slice(the_model, STR("shop"), str_from(names[i]));
        put_slice(s);
    }
    apply();
    struct resource *res = lookup(RESOURCE_ENDPOINTS, CLUSTER);

    memcpy(version, res->version, sizeof res->version);
    resource_unref(&res);
}

START_TEST(version_does_not_depend_on_the_order_of_slices)
{
    char one[17], other[17];

    put_service(service("shop", "checkout", NULL, 50051));
    put_in_order("a", "b", one);
    put_in_order("b", "a", other);
    ck_assert_str_eq(one, other);
}
END_TEST

START_TEST(listener_s_child_is_its_route)
{
    put_checkout();
    struct resource *res = lookup(RESOURCE_LISTENER, "10.96.0.10:50051");

    ck_assert_uint_eq(res->child_count, 1);
    ck_assert(str_eq(res->children[0], STR("10.96.0.10:50051")));
    resource_unref(&res);
}
END_TEST

START_TEST(route_s_children_are_its_clusters)
{
    put_checkout();
    struct resource *res = lookup(RESOURCE_ROUTE, "10.1.0.1:8080");

    ck_assert_uint_eq(res->child_count, 2);
    ck_assert(str_eq(res->children[0], STR(CLUSTER)));
    ck_assert(str_eq(res->children[1], STR("10.1.0.1:8080")));
    resource_unref(&res);
}
END_TEST

START_TEST(cluster_s_child_is_its_endpoints)
{
    put_checkout();
    struct resource *res = lookup(RESOURCE_CLUSTER, CLUSTER);

    ck_assert_uint_eq(res->child_count, 1);
    ck_assert(str_eq(res->children[0], STR(CLUSTER)));
    resource_unref(&res);
}
END_TEST

START_TEST(tcp_listener_has_no_child)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    s->has_client_affinity = true;
    put_service(s);
    apply();
    struct resource *res = lookup(RESOURCE_LISTENER, "10.96.0.10:50051");

    ck_assert_uint_eq(res->child_count, 0);
    resource_unref(&res);
}
END_TEST

START_TEST(type_urls_are_the_official_ones)
{
    ck_assert_str_eq(resource_type_url(RESOURCE_LISTENER), "type.googleapis.com/envoy.config.listener.v3.Listener");
    ck_assert_str_eq(resource_type_url(RESOURCE_ROUTE), "type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
    ck_assert_str_eq(resource_type_url(RESOURCE_CLUSTER), "type.googleapis.com/envoy.config.cluster.v3.Cluster");
    ck_assert_str_eq(resource_type_url(RESOURCE_ENDPOINTS), "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
}
END_TEST

START_TEST(type_urls_are_read_back)
{
    for (unsigned type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        enum resource_type read;

        ck_assert(resource_type_from_url(str_from(resource_type_url((enum resource_type)type)), &read));
        ck_assert_uint_eq(read, type);
    }
}
END_TEST

START_TEST(foreign_type_url_is_refused)
{
    enum resource_type type;

    ck_assert(!resource_type_from_url(STR("type.googleapis.com/envoy.config.listener.v3.Listener2"), &type));
    ck_assert(!resource_type_from_url(STR(""), &type));
}
END_TEST

START_TEST(cache_past_its_limit_starts_afresh)
{
    struct service *s = service("shop", "checkout", NULL, 50051);
    struct resource *kept;

    s->is_local_only = true; /* each node its own answer */
    put_service(s);
    apply();
    the_view.node = STR("first");
    kept = lookup(RESOURCE_ENDPOINTS, CLUSTER);
    /* A thousand nodes of each of fifty Services. */
    for (unsigned i = 0; i < RESOURCES_CACHE_MAX; i++) {
        char node[16];

        if (i % 1000 == 0) {
            char name[32];

            snprintf(name, sizeof name, "s%u", i);
            struct service *other = service("shop", name, NULL, 1);

            other->is_local_only = true;
            put_service(other);
            apply();
        }
        snprintf(node, sizeof node, "n%u", i % 1000);
        the_view.node = str_from(node);
        char cluster[32];

        snprintf(cluster, sizeof cluster, "shop/s%u:1", i / 1000 * 1000);
        ck_assert(exists(RESOURCE_ENDPOINTS, cluster));
    }
    the_view.node = STR("first");
    struct resource *again = lookup(RESOURCE_ENDPOINTS, CLUSTER);

    ck_assert_ptr_ne(again, kept);
    ck_assert_str_eq(again->version, kept->version);
    resource_unref(&again);
    resource_unref(&kept);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {resources_are_not_synced_before_the_first_apply,
                                  resources_are_synced_with_an_empty_world,
                                  second_lookup_is_the_same_object,
                                  views_share_what_does_not_depend_on_them,
                                  resource_outlives_the_world_it_came_from,
                                  version_follows_the_content,
                                  version_is_the_same_in_every_process,
                                  version_does_not_depend_on_the_order_of_slices,
                                  listener_s_child_is_its_route,
                                  route_s_children_are_its_clusters,
                                  cluster_s_child_is_its_endpoints,
                                  tcp_listener_has_no_child,
                                  type_urls_are_the_official_ones,
                                  type_urls_are_read_back,
                                  foreign_type_url_is_refused,
                                  cache_past_its_limit_starts_afresh};
    TCase *tcase = unit_case("resources", fixture_setup, fixture_teardown, tests, ARRAY_LEN(tests));

    tcase_set_timeout(tcase, 50);
    return unit_run("resources", tcase, (TCase *)NULL);
}
