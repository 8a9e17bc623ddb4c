/* SPDX-License-Identifier: Apache-2.0 */

/* A Service's own addresses and wishes, seen in Listener and Route. */

#include "fixture.h"
#include "unit.h"

#define CLUSTER "shop/checkout:50051"

START_TEST(cluster_ip_is_balanced)
{
    put_checkout();
    ck_assert_str_eq(listener_text("10.96.0.10:50051"), "http");
    ck_assert_str_eq(route_cluster("10.96.0.10:50051", "*"), CLUSTER);
}
END_TEST

START_TEST(other_port_of_the_cluster_ip_is_absent)
{
    put_checkout();
    ck_assert(!exists(RESOURCE_LISTENER, "10.96.0.10:50052"));
}
END_TEST

START_TEST(unknown_address_is_absent)
{
    put_checkout();
    ck_assert(!exists(RESOURCE_LISTENER, "10.96.0.99:50051"));
    ck_assert(!exists(RESOURCE_ROUTE, "10.96.0.99:50051"));
}
END_TEST

START_TEST(each_port_has_its_own_cluster)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    ck_assert(service_add_port(s, STR("b"), 9000, STR("")));
    put_service(s);
    apply();
    ck_assert_str_eq(route_cluster("10.96.0.10:9000", "*"), "shop/checkout:9000");
}
END_TEST

static const enum service_address_kind wished[] = {ADDRESS_EXTERNAL, ADDRESS_LOAD_BALANCER};

START_TEST(wished_address_resolves_like_the_cluster_ip)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    add_ip(s, "192.0.2.7", wished[_i]);
    put_service(s);
    apply();
    ck_assert_str_eq(route_cluster("192.0.2.7:50051", "*"), CLUSTER);
}
END_TEST

START_TEST(cluster_ip_beats_another_services_external_ip)
{
    struct service *thief = service("ant", "thief", NULL, 50051);

    add_ip(thief, "10.96.0.10", ADDRESS_EXTERNAL);
    put_service(thief);
    put_checkout();
    ck_assert_str_eq(route_cluster("10.96.0.10:50051", "*"), CLUSTER);
}
END_TEST

START_TEST(address_goes_to_the_other_claimant_when_the_first_leaves)
{
    struct service *other = service("shop", "other", NULL, 50051);

    add_ip(other, "10.96.0.10", ADDRESS_EXTERNAL);
    put_service(other);
    put_checkout();
    model_remove_service(the_model, STR("shop"), STR("checkout"));
    apply();
    ck_assert_str_eq(route_cluster("10.96.0.10:50051", "*"), "shop/other:50051");
}
END_TEST

START_TEST(client_affinity_makes_a_tcp_listener)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    s->has_client_affinity = true;
    put_service(s);
    apply();
    ck_assert_str_eq(listener_text("10.96.0.10:50051"), "tcp:" CLUSTER);
    ck_assert(!exists(RESOURCE_ROUTE, "10.96.0.10:50051"));
}
END_TEST

START_TEST(foreign_app_protocol_makes_a_tcp_listener)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    ck_assert(service_add_port(s, STR("db"), 3306, STR("mysql")));
    put_service(s);
    apply();
    ck_assert_str_eq(listener_text("10.96.0.10:3306"), "tcp:shop/checkout:3306");
    ck_assert_str_eq(listener_text("10.96.0.10:50051"), "http");
}
END_TEST

static void put_local(void)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    s->is_local_only = true;
    put_service(s);
    apply();
}

START_TEST(local_policy_cannot_be_judged_for_a_client_of_unknown_node)
{
    put_local();
    ck_assert(!exists(RESOURCE_LISTENER, "10.96.0.10:50051"));
}
END_TEST

START_TEST(local_policy_is_kept_for_a_client_of_known_node)
{
    put_local();
    the_view.node = STR("n1");
    ck_assert_str_eq(listener_text("10.96.0.10:50051"), "http");
}
END_TEST

START_TEST(external_name_service_is_absent)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);

    s->type = SERVICE_EXTERNAL;
    put_service(s);
    apply();
    ck_assert(!exists(RESOURCE_LISTENER, "10.96.0.10:50051"));
    ck_assert(!exists(RESOURCE_LISTENER, "checkout.shop:50051"));
    ck_assert(!exists(RESOURCE_CLUSTER, CLUSTER));
}
END_TEST

START_TEST(service_without_endpoints_is_there_all_the_same)
{
    put_service(service("shop", "checkout", "10.96.0.10", 50051));
    apply();
    ck_assert_str_eq(listener_text("10.96.0.10:50051"), "http");
}
END_TEST

static const char *const hosts[] = {"checkout.shop:50051", "checkout.shop.svc:50051", "checkout.shop.svc.cluster.local:50051"};

START_TEST(host_name_resolves_for_grpc_clients)
{
    put_checkout();
    ck_assert_str_eq(listener_text(hosts[_i]), "http");
    ck_assert_str_eq(route_cluster(hosts[_i], "*"), CLUSTER);
}
END_TEST

START_TEST(bare_host_name_resolves_in_the_clients_own_namespace)
{
    put_checkout();
    the_view.namespace = STR("shop");
    ck_assert_str_eq(listener_text("checkout:50051"), "http");
    the_view.namespace = STR("other");
    ck_assert(!exists(RESOURCE_LISTENER, "checkout:50051"));
    the_view.namespace = STR("");
    ck_assert(!exists(RESOURCE_LISTENER, "checkout:50051"));
}
END_TEST

START_TEST(ipv6_cluster_ip_is_balanced)
{
    put_service(service("shop", "checkout", "fd00::a", 50051));
    apply();
    ck_assert_str_eq(route_cluster("[fd00::a]:50051", "*"), CLUSTER);
}
END_TEST

static void put_dual_stack(void)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 50051);
    struct slice *v6 = slice("shop", "checkout-6", "checkout", 8080);

    add_ip(s, "fd00::a", ADDRESS_CLUSTER_IP);
    ready(v6, "fd00:1::1");
    put_service(s);
    put_slice(v6);
}

START_TEST(second_familys_address_goes_to_its_own_endpoints)
{
    put_dual_stack();
    struct slice *v4 = slice("shop", "checkout-4", "checkout", 8080);

    ready(v4, "10.1.0.1");
    put_slice(v4);
    apply();
    ck_assert_str_eq(route_cluster("10.96.0.10:50051", "*"), CLUSTER);
    ck_assert_str_eq(route_cluster("[fd00::a]:50051", "*"), CLUSTER "/IPv6");
}
END_TEST

START_TEST(address_goes_to_the_other_familys_endpoints_when_its_own_has_none)
{
    put_dual_stack();
    apply();
    ck_assert_str_eq(route_cluster("10.96.0.10:50051", "*"), CLUSTER);
    ck_assert_str_eq(route_cluster("[fd00::a]:50051", "*"), CLUSTER);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {cluster_ip_is_balanced,
                                  other_port_of_the_cluster_ip_is_absent,
                                  unknown_address_is_absent,
                                  each_port_has_its_own_cluster,
                                  cluster_ip_beats_another_services_external_ip,
                                  address_goes_to_the_other_claimant_when_the_first_leaves,
                                  client_affinity_makes_a_tcp_listener,
                                  foreign_app_protocol_makes_a_tcp_listener,
                                  local_policy_cannot_be_judged_for_a_client_of_unknown_node,
                                  local_policy_is_kept_for_a_client_of_known_node,
                                  external_name_service_is_absent,
                                  service_without_endpoints_is_there_all_the_same,
                                  bare_host_name_resolves_in_the_clients_own_namespace,
                                  ipv6_cluster_ip_is_balanced,
                                  second_familys_address_goes_to_its_own_endpoints,
                                  address_goes_to_the_other_familys_endpoints_when_its_own_has_none};
    TCase *loops = tcase_create("loops");

    tcase_add_checked_fixture(loops, fixture_setup, fixture_teardown);
    tcase_add_loop_test(loops, wished_address_resolves_like_the_cluster_ip, 0, ARRAY_LEN(wished));
    tcase_add_loop_test(loops, host_name_resolves_for_grpc_clients, 0, ARRAY_LEN(hosts));
    return unit_run("listener", unit_case("listener", fixture_setup, fixture_teardown, tests, ARRAY_LEN(tests)), loops,
                    (TCase *)NULL);
}
