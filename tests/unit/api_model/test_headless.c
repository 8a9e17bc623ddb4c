/* SPDX-License-Identifier: Apache-2.0 */

/* What a pod's own address answers: headless Services, and ClusterIP ones whose address somebody replaced before us. */

#include "fixture.h"
#include "unit.h"

#define POD "10.1.0.1:8080"

static void put_db(struct service *s)
{
    struct slice *pods = slice("shop", "db-a", "db", 8080);

    ready(pods, "10.1.0.1");
    ready(pods, "10.1.0.2");
    put_service(s);
    put_slice(pods);
    apply();
}

START_TEST(pod_of_a_headless_service_has_a_listener)
{
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(listener_text(POD), "http");
}
END_TEST

static const char *const domains[] = {
    "db.shop",      "db.shop.svc",      "db.shop.svc.cluster.local",      /* alone */
    "db.shop:8080", "db.shop.svc:8080", "db.shop.svc.cluster.local:8080", /* with the port that was dialled */
    "db.shop:5432", "db.shop.svc:5432", "db.shop.svc.cluster.local:5432", /* with the Service's */
};

START_TEST(authority_that_names_the_service_is_balanced)
{
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(route_cluster(POD, domains[_i]), "shop/db:5432");
}
END_TEST

START_TEST(any_other_authority_keeps_the_pod)
{
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(route_cluster(POD, "*"), POD);
    ck_assert_str_eq(endpoints_text(POD), "*1: 10.1.0.1:8080");
}
END_TEST

START_TEST(pod_alone_is_a_cluster)
{
    put_db(headless("shop", "db", 5432));
    ck_assert(exists(RESOURCE_CLUSTER, POD));
}
END_TEST

START_TEST(headless_service_balances_over_all_its_pods)
{
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(endpoints_text("shop/db:5432"), "*2: 10.1.0.1:8080 10.1.0.2:8080");
}
END_TEST

START_TEST(pod_of_a_cluster_ip_service_is_balanced_by_name_too)
{
    put_db(service("shop", "db", "10.96.0.10", 5432));
    ck_assert_str_eq(route_cluster(POD, "db.shop:5432"), "shop/db:5432");
    ck_assert_str_eq(route_cluster(POD, "*"), POD);
}
END_TEST

START_TEST(short_name_means_the_clients_own_namespace)
{
    put_db(headless("shop", "db", 5432));
    the_view.namespace = STR("shop");
    ck_assert_str_eq(route_cluster(POD, "db"), "shop/db:5432");
    the_view.namespace = STR("other");
    ck_assert_str_eq(route_cluster(POD, "db"), "no such domain");
}
END_TEST

START_TEST(short_name_counts_for_a_client_of_unknown_namespace_when_it_is_unique)
{
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(route_cluster(POD, "db"), "shop/db:5432");
}
END_TEST

/* Another Service of the same name, in another namespace, with the same pod: its slice was written by hand. */
static void put_namesake(void)
{
    struct slice *pods = slice("bank", "db-a", "db", 8080);

    ready(pods, "10.1.0.1");
    put_service(headless("bank", "db", 5432));
    put_slice(pods);
}

START_TEST(short_name_is_nobodys_for_a_client_of_unknown_namespace_when_two_share_it)
{
    put_namesake();
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(route_cluster(POD, "db"), "no such domain");
}
END_TEST

START_TEST(pod_of_two_services_is_balanced_over_the_one_that_is_named)
{
    put_namesake();
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(route_cluster(POD, "db.shop"), "shop/db:5432");
    ck_assert_str_eq(route_cluster(POD, "db.bank"), "bank/db:5432");
}
END_TEST

START_TEST(two_ports_with_one_target_do_not_share_a_domain)
{
    struct service *s = headless("shop", "db", 5432);

    /* Clients refuse a RouteConfiguration in which a domain appears twice: the lower port has those that fit both. */
    ck_assert(service_add_port(s, STR(""), 8080, STR("")));
    put_db(s);
    ck_assert_str_eq(route_cluster(POD, "db.shop"), "shop/db:5432");
    ck_assert_str_eq(route_cluster(POD, "db.shop:8080"), "shop/db:5432");
}
END_TEST

START_TEST(pod_of_a_service_that_wants_raw_tcp_is_absent)
{
    struct service *s = headless("shop", "db", 5432);

    s->has_client_affinity = true;
    put_db(s);
    ck_assert(!exists(RESOURCE_LISTENER, POD));
}
END_TEST

START_TEST(pod_that_is_not_ready_is_kept_when_it_is_dialled_itself)
{
    struct slice *pods = slice("shop", "db-b", "db", 8080);

    not_ready(pods, "10.1.0.9");
    put_slice(pods);
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(endpoints_text("10.1.0.9:8080"), "*1: 10.1.0.9:8080");
}
END_TEST

START_TEST(pod_at_another_port_is_absent)
{
    put_db(headless("shop", "db", 5432));
    ck_assert(!exists(RESOURCE_LISTENER, "10.1.0.1:5432"));
}
END_TEST

START_TEST(headless_service_claims_no_address_of_its_own)
{
    struct service *s = headless("shop", "db", 5432);

    add_ip(s, "192.0.2.7", ADDRESS_EXTERNAL);
    put_db(s);
    ck_assert(!exists(RESOURCE_LISTENER, "192.0.2.7:5432"));
}
END_TEST

START_TEST(headless_service_resolves_by_host_name)
{
    put_db(headless("shop", "db", 5432));
    ck_assert_str_eq(route_cluster("db.shop:5432", "*"), "shop/db:5432");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {pod_of_a_headless_service_has_a_listener,
                                  any_other_authority_keeps_the_pod,
                                  pod_alone_is_a_cluster,
                                  headless_service_balances_over_all_its_pods,
                                  pod_of_a_cluster_ip_service_is_balanced_by_name_too,
                                  short_name_means_the_clients_own_namespace,
                                  short_name_counts_for_a_client_of_unknown_namespace_when_it_is_unique,
                                  short_name_is_nobodys_for_a_client_of_unknown_namespace_when_two_share_it,
                                  pod_of_two_services_is_balanced_over_the_one_that_is_named,
                                  two_ports_with_one_target_do_not_share_a_domain,
                                  pod_of_a_service_that_wants_raw_tcp_is_absent,
                                  pod_that_is_not_ready_is_kept_when_it_is_dialled_itself,
                                  pod_at_another_port_is_absent,
                                  headless_service_claims_no_address_of_its_own,
                                  headless_service_resolves_by_host_name};
    TCase *loops = tcase_create("loops");

    tcase_add_checked_fixture(loops, fixture_setup, fixture_teardown);
    tcase_add_loop_test(loops, authority_that_names_the_service_is_balanced, 0, ARRAY_LEN(domains));
    return unit_run("headless", unit_case("headless", fixture_setup, fixture_teardown, tests, ARRAY_LEN(tests)), loops,
                    (TCase *)NULL);
}
