/* SPDX-License-Identifier: Apache-2.0 */

/* The EndpointSlice rules, one each, seen in the ClusterLoadAssignment. */

#include "fixture.h"
#include "unit.h"

#define CLUSTER "shop/checkout:50051"

static struct service *checkout;
static struct slice *a, *b;

static void setup(void)
{
    fixture_setup();
    checkout = service("shop", "checkout", "10.96.0.10", 50051);
    a = slice("shop", "checkout-a", "checkout", 8080);
    b = slice("shop", "checkout-b", "checkout", 8080);
}

static void finish(void)
{
    put_service(checkout);
    put_slice(a);
    put_slice(b);
    apply();
}

START_TEST(endpoints_have_the_pods_ip_and_the_target_port)
{
    ready(a, "10.1.0.1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(endpoints_of_all_slices_count)
{
    ready(a, "10.1.0.1");
    ready(b, "10.1.0.2");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*2: 10.1.0.1:8080 10.1.0.2:8080");
}
END_TEST

START_TEST(endpoint_in_two_slices_is_one)
{
    ready(a, "10.1.0.1");
    ready(b, "10.1.0.1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(endpoint_in_two_slices_is_ready_if_one_says_so)
{
    not_ready(a, "10.1.0.1");
    ready(b, "10.1.0.1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(endpoint_in_two_zones_is_one)
{
    in_zone(a, "10.1.0.1", "z1");
    in_zone(b, "10.1.0.1", "z2");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "z1*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(endpoint_that_is_not_ready_is_left_out)
{
    ready(a, "10.1.0.1");
    not_ready(a, "10.1.0.2");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(endpoint_that_is_not_ready_counts_when_the_service_publishes_it)
{
    checkout->publishes_not_ready = true;
    ready(a, "10.1.0.1");
    not_ready(a, "10.1.0.2");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*2: 10.1.0.1:8080 10.1.0.2:8080");
}
END_TEST

START_TEST(endpoint_that_terminates_and_serves_is_draining)
{
    ready(a, "10.1.0.1");
    terminating(a, "10.1.0.2");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080 10.1.0.2:8080 draining");
}
END_TEST

START_TEST(endpoint_that_terminates_and_does_not_serve_is_left_out)
{
    struct slice_endpoint_args gone = endpoint("10.1.0.2");

    gone.is_ready = gone.is_serving = false;
    gone.is_terminating = true;
    ready(a, "10.1.0.1");
    add(a, gone);
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(endpoints_that_terminate_serve_when_none_is_ready)
{
    not_ready(a, "10.1.0.1");
    terminating(a, "10.1.0.2");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.2:8080");
}
END_TEST

START_TEST(zone_that_only_drains_keeps_a_weight)
{
    struct slice_endpoint_args e = endpoint("10.1.0.2");

    e.is_ready = false;
    e.is_terminating = true;
    e.zone = STR("z2");
    in_zone(a, "10.1.0.1", "z1");
    add(a, e);
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "z1*1: 10.1.0.1:8080; z2*1: 10.1.0.2:8080 draining");
}
END_TEST

START_TEST(service_without_endpoints_has_an_empty_assignment)
{
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "");
}
END_TEST

START_TEST(zones_weigh_as_much_as_they_have_endpoints)
{
    in_zone(a, "10.1.0.3", "z1");
    in_zone(a, "10.1.0.1", "z2");
    in_zone(b, "10.1.0.2", "z1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "z1*2: 10.1.0.2:8080 10.1.0.3:8080; z2*1: 10.1.0.1:8080");
}
END_TEST

/* A Service with ports "grpc" 50051 and "admin" 9000. */
static void name_ports(void)
{
    service_unref(&checkout);
    checkout = service_new(STR("shop"), STR("checkout"));
    ck_assert(service_add_port(checkout, STR("grpc"), 50051, STR("")));
    ck_assert(service_add_port(checkout, STR("admin"), 9000, STR("")));
}

START_TEST(ports_join_by_name)
{
    name_ports();
    slice_unref(&a);
    a = slice("shop", "checkout-a", "checkout", 0);
    ck_assert(slice_add_port(a, STR("admin"), 9001));
    ck_assert(slice_add_port(a, STR("grpc"), 8080));
    ready(a, "10.1.0.1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
    ck_assert_str_eq(endpoints_text("shop/checkout:9000"), "*1: 10.1.0.1:9001");
}
END_TEST

START_TEST(named_target_port_may_differ_between_slices)
{
    name_ports();
    slice_unref(&a);
    slice_unref(&b);
    a = slice("shop", "checkout-a", "checkout", 0);
    b = slice("shop", "checkout-b", "checkout", 0);
    ck_assert(slice_add_port(a, STR("grpc"), 8080));
    ck_assert(slice_add_port(b, STR("grpc"), 8081));
    ready(a, "10.1.0.1");
    ready(b, "10.1.0.2");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*2: 10.1.0.1:8080 10.1.0.2:8081");
}
END_TEST

START_TEST(port_that_no_slice_names_has_no_endpoints)
{
    name_ports();
    ready(a, "10.1.0.1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "");
}
END_TEST

START_TEST(slice_port_without_a_number_is_nobodys_address)
{
    slice_unref(&a);
    a = slice("shop", "checkout-a", "checkout", 0);
    ck_assert(slice_add_port(a, STR(""), 0));
    ready(a, "10.1.0.1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "");
}
END_TEST

START_TEST(local_policy_picks_the_endpoints_of_the_callers_node)
{
    checkout->is_local_only = true;
    on_node(a, "10.1.0.1", "n1");
    on_node(a, "10.1.0.2", "n2");
    finish();
    the_view.node = STR("n2");
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.2:8080");
    the_view.node = STR("n1");
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(local_policy_has_nobody_on_a_node_without_endpoints)
{
    checkout->is_local_only = true;
    on_node(a, "10.1.0.1", "n1");
    finish();
    the_view.node = STR("n3");
    ck_assert_str_eq(endpoints_text(CLUSTER), "");
}
END_TEST

START_TEST(local_policy_falls_back_to_what_terminates_on_this_node)
{
    struct slice_endpoint_args e = endpoint("10.1.0.2");

    e.is_ready = false;
    e.is_terminating = true;
    e.node = STR("n2");
    checkout->is_local_only = true;
    on_node(a, "10.1.0.1", "n1");
    add(a, e);
    finish();
    the_view.node = STR("n2");
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.2:8080");
}
END_TEST

START_TEST(local_policy_does_not_bind_a_headless_service)
{
    checkout->is_local_only = true;
    checkout->type = SERVICE_HEADLESS;
    on_node(a, "10.1.0.1", "n1");
    finish();
    the_view.node = STR("n2");
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(cluster_stands_for_the_first_family)
{
    ready(a, "10.1.0.1");
    ready(b, "fd00::1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(second_family_has_a_cluster_of_its_own)
{
    ready(a, "10.1.0.1");
    ready(b, "fd00::1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER "/IPv6"), "*1: fd00::1:8080");
    ck_assert(exists(RESOURCE_CLUSTER, CLUSTER "/IPv6"));
}
END_TEST

START_TEST(first_family_has_no_second_name)
{
    ready(a, "10.1.0.1");
    ready(b, "fd00::1");
    finish();
    ck_assert(!exists(RESOURCE_CLUSTER, CLUSTER "/IPv4"));
}
END_TEST

START_TEST(cluster_takes_the_other_family_when_its_own_has_nobody)
{
    ready(b, "fd00::1");
    finish();
    ck_assert_str_eq(endpoints_text(CLUSTER), "*1: fd00::1:8080");
    ck_assert(!exists(RESOURCE_CLUSTER, CLUSTER "/IPv6"));
}
END_TEST

START_TEST(endpoints_past_the_limit_are_left_out_and_counted)
{
    const struct backend *backend;
    struct world *w;

    for (unsigned s = 0; s <= BACKEND_ENDPOINTS_MAX / SLICE_ENDPOINTS_MAX; s++) {
        char name[] = {'s', (char)('a' + s), '\0'};
        struct slice *many = slice("shop", name, "checkout", 8080);

        for (unsigned i = 0; i < SLICE_ENDPOINTS_MAX; i++) {
            struct slice_endpoint_args e = endpoint("10.0.0.0");

            e.ip.bytes[1] = (uint8_t)s;
            e.ip.bytes[2] = (uint8_t)(i >> 8);
            e.ip.bytes[3] = (uint8_t)i;
            add(many, e);
        }
        put_slice(many);
    }
    finish();
    w = model_commit(the_model);
    backend = world_find(w, STR("shop"), STR("checkout"));

    ck_assert_uint_eq(backend->ports[0].count, BACKEND_ENDPOINTS_MAX);
    ck_assert_uint_eq(backend->ports[0].left_out, SLICE_ENDPOINTS_MAX);
    world_unref(&w);
}
END_TEST

UNIT_MAIN("endpoints", setup, fixture_teardown, endpoints_have_the_pods_ip_and_the_target_port, endpoints_of_all_slices_count,
          endpoint_in_two_slices_is_one, endpoint_in_two_slices_is_ready_if_one_says_so, endpoint_in_two_zones_is_one,
          endpoint_that_is_not_ready_is_left_out, endpoint_that_is_not_ready_counts_when_the_service_publishes_it,
          endpoint_that_terminates_and_serves_is_draining, endpoint_that_terminates_and_does_not_serve_is_left_out,
          endpoints_that_terminate_serve_when_none_is_ready, zone_that_only_drains_keeps_a_weight,
          service_without_endpoints_has_an_empty_assignment, zones_weigh_as_much_as_they_have_endpoints, ports_join_by_name,
          named_target_port_may_differ_between_slices, port_that_no_slice_names_has_no_endpoints,
          slice_port_without_a_number_is_nobodys_address, local_policy_picks_the_endpoints_of_the_callers_node,
          local_policy_has_nobody_on_a_node_without_endpoints, local_policy_falls_back_to_what_terminates_on_this_node,
          local_policy_does_not_bind_a_headless_service, cluster_stands_for_the_first_family,
          second_family_has_a_cluster_of_its_own, first_family_has_no_second_name,
          cluster_takes_the_other_family_when_its_own_has_nobody, endpoints_past_the_limit_are_left_out_and_counted)
