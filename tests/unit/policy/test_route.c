/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/route.h"
#include "unit.h"

static struct rng rng;
static struct route_builder *builder;
static struct route_table *table;

static void setup(void)
{
    rng_init(&rng, 1);
    builder = route_builder_new();
    table = NULL;
}

static void teardown(void)
{
    route_builder_free(builder);
    route_table_free(table);
}

static void host(const char *domain)
{
    ck_assert_int_eq(route_builder_host(builder), 0);
    ck_assert_int_eq(route_builder_domain(builder, str_from(domain)), 0);
}

static void route(enum route_match match, const char *path)
{
    ck_assert_int_eq(route_builder_route(builder, match, str_from(path)), 0);
}

static void backend(uint32_t index, uint32_t weight)
{
    ck_assert_int_eq(route_builder_backend(builder, index, weight), 0);
}

/* A host that sends everything to one backend. */
static void host_to(const char *domain, uint32_t index)
{
    host(domain);
    route(ROUTE_PREFIX, "");
    backend(index, 1);
}

static void finish(void)
{
    table = route_builder_finish(builder);
    builder = NULL;
}

static int64_t select_path(const char *authority, const char *path)
{
    return route_select(table, str_from(authority), str_from(path), &rng);
}

static int64_t select_host(const char *authority)
{
    return select_path(authority, "/shop.Cart/Add");
}

/* --- hosts --- */

START_TEST(an_empty_table_routes_nothing)
{
    finish();

    ck_assert_int_eq(select_host("cart"), -1);
}
END_TEST

START_TEST(an_unknown_authority_is_routed_nowhere)
{
    host_to("cart", 0);
    finish();

    ck_assert_int_eq(select_host("carts"), -1);
    ck_assert_int_eq(select_host("car"), -1);
    ck_assert_int_eq(select_host(""), -1);
}
END_TEST

START_TEST(a_host_has_many_domains)
{
    static const char *const names[] = {"cart", "cart:50051", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local"};

    ck_assert_int_eq(route_builder_host(builder), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        ck_assert_int_eq(route_builder_domain(builder, str_from(names[i])), 0);
    }
    route(ROUTE_PREFIX, "");
    backend(7, 1);
    finish();

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        ck_assert_int_eq(select_host(names[i]), 7);
    }
}
END_TEST

START_TEST(case_does_not_matter)
{
    host_to("Cart.Shop", 0);
    host_to("*.Example.COM", 1);
    host_to("WWW.*", 2);
    finish();

    ck_assert_int_eq(select_host("cART.sHOP"), 0);
    ck_assert_int_eq(select_host("a.eXAMPLE.com"), 1);
    ck_assert_int_eq(select_host("www.org"), 2);
}
END_TEST

START_TEST(exact_beats_suffix_beats_prefix_beats_any)
{
    host_to("*", 3);
    host_to("cart.*", 2);
    host_to("*.shop", 1);
    host_to("cart.shop", 0);
    finish();

    ck_assert_int_eq(select_host("cart.shop"), 0);
    ck_assert_int_eq(select_host("x.shop"), 1);
    ck_assert_int_eq(select_host("cart.x.shop"), 1);
    ck_assert_int_eq(select_host("cart.x"), 2);
    ck_assert_int_eq(select_host("x"), 3);
}
END_TEST

START_TEST(the_longest_suffix_wins)
{
    host_to("*.local", 0);
    host_to("*.svc.cluster.local", 1);
    host_to("*.cluster.local", 2);
    finish();

    ck_assert_int_eq(select_host("a.svc.cluster.local"), 1);
    ck_assert_int_eq(select_host("a.cluster.local"), 2);
    ck_assert_int_eq(select_host("a.local"), 0);
}
END_TEST

START_TEST(the_longest_prefix_wins)
{
    host_to("cart*", 0);
    host_to("cart-v2*", 1);
    finish();

    ck_assert_int_eq(select_host("cart-v2.shop"), 1);
    ck_assert_int_eq(select_host("cart-v1.shop"), 0);
}
END_TEST

START_TEST(a_star_stands_for_at_least_one_byte)
{
    host_to("*.shop", 0);
    host_to("cart.*", 1);
    finish();

    ck_assert_int_eq(select_host(".shop"), -1);
    ck_assert_int_eq(select_host("cart."), -1);
    ck_assert_int_eq(select_host("a.shop"), 0);
    ck_assert_int_eq(select_host("cart.a"), 1);
}
END_TEST

START_TEST(any_matches_the_empty_authority_too)
{
    host_to("*", 0);
    finish();

    ck_assert_int_eq(select_host(""), 0);
}
END_TEST

START_TEST(an_authority_is_tried_with_its_port_first)
{
    host_to("cart", 0);
    host_to("cart:50051", 1);
    finish();

    ck_assert_int_eq(select_host("cart:50051"), 1);
    ck_assert_int_eq(select_host("cart:50052"), 0);
    ck_assert_int_eq(select_host("cart"), 0);
}
END_TEST

START_TEST(an_exact_domain_without_port_beats_a_wildcard_with_it)
{
    host_to("cart.*", 0);
    host_to("*", 1);
    host_to("cart.shop", 2);
    finish();

    ck_assert_int_eq(select_host("cart.shop:50051"), 2);
}
END_TEST

START_TEST(a_suffix_matches_an_authority_with_a_port)
{
    host_to("*.shop", 0);
    finish();

    ck_assert_int_eq(select_host("cart.shop:50051"), 0);
}
END_TEST

START_TEST(a_final_dot_is_no_other_name)
{
    host_to("cart.shop.svc.cluster.local", 0);
    finish();

    ck_assert_int_eq(select_host("cart.shop.svc.cluster.local."), 0);
    ck_assert_int_eq(select_host("cart.shop.svc.cluster.local.:50051"), 0);
}
END_TEST

START_TEST(addresses_are_authorities_too)
{
    host_to("10.96.0.10", 0);
    host_to("[fd00::a]", 1);
    host_to("fd00::b:1", 2);
    finish();

    ck_assert_int_eq(select_host("10.96.0.10:50051"), 0);
    ck_assert_int_eq(select_host("[fd00::a]:50051"), 1);
    ck_assert_int_eq(select_host("[fd00::a]"), 1);
    ck_assert_int_eq(select_host("fd00::b:1"), 2);
}
END_TEST

START_TEST(odd_authorities_are_routed_nowhere)
{
    static const char *const odd[] = {":", ":80", "cart:", "cart:x", "cart::80", "[", "]:1", ".", ":.", ".:1"};

    host_to("cart", 0);
    finish();

    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        ck_assert_int_eq(select_host(odd[i]), -1);
    }
}
END_TEST

START_TEST(a_thousand_hosts_are_each_found)
{
    char name[32];

    for (uint32_t i = 0; i < ROUTE_HOSTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "s%u.shop", i * 7919 % 100003);
        host_to(name, i);
    }
    finish();

    for (uint32_t i = 0; i < ROUTE_HOSTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "S%u.shop:1", i * 7919 % 100003);
        ck_assert_int_eq(select_host(name), i);
    }
}
END_TEST

/* --- routes --- */

START_TEST(the_first_route_that_matches_wins)
{
    host("cart");
    route(ROUTE_EXACT, "/shop.Cart/Add");
    backend(0, 1);
    route(ROUTE_PREFIX, "/shop.Cart/");
    backend(1, 1);
    route(ROUTE_PREFIX, "");
    backend(2, 1);
    route(ROUTE_EXACT, "/never");
    backend(3, 1);
    finish();

    ck_assert_int_eq(select_path("cart", "/shop.Cart/Add"), 0);
    ck_assert_int_eq(select_path("cart", "/shop.Cart/AddAll"), 1);
    ck_assert_int_eq(select_path("cart", "/shop.Cart/"), 1);
    ck_assert_int_eq(select_path("cart", "/shop.Cart"), 2);
    ck_assert_int_eq(select_path("cart", "/never"), 2);
    ck_assert_int_eq(select_path("cart", ""), 2);
}
END_TEST

START_TEST(the_case_of_a_path_matters)
{
    host("cart");
    route(ROUTE_PREFIX, "/shop");
    backend(0, 1);
    finish();

    ck_assert_int_eq(select_path("cart", "/Shop"), -1);
}
END_TEST

START_TEST(the_query_is_no_part_of_the_path)
{
    host("cart");
    route(ROUTE_EXACT, "/add");
    backend(0, 1);
    finish();

    ck_assert_int_eq(select_path("cart", "/add?x=1"), 0);
    ck_assert_int_eq(select_path("cart", "/sub?/add"), -1);
}
END_TEST

START_TEST(a_host_whose_routes_do_not_match_is_not_passed_over)
{
    host_to("*", 1);
    host("cart");
    route(ROUTE_EXACT, "/add");
    backend(0, 1);
    finish();

    ck_assert_int_eq(select_path("cart", "/sub"), -1);
}
END_TEST

START_TEST(routes_of_hosts_do_not_mix)
{
    host("a");
    route(ROUTE_EXACT, "/x");
    backend(0, 1);
    host("b");
    route(ROUTE_EXACT, "/y");
    backend(1, 1);
    finish();

    ck_assert_int_eq(select_path("a", "/x"), 0);
    ck_assert_int_eq(select_path("a", "/y"), -1);
    ck_assert_int_eq(select_path("b", "/x"), -1);
    ck_assert_int_eq(select_path("b", "/y"), 1);
}
END_TEST

/* --- backends --- */

START_TEST(backends_share_by_weight)
{
    unsigned counts[3] = {0};

    host("cart");
    route(ROUTE_PREFIX, "");
    backend(0, 10);
    backend(1, 0);
    backend(2, 90);
    finish();
    for (unsigned i = 0; i < 10000; i++) {
        counts[select_host("cart")]++;
    }

    ck_assert_uint_ge(counts[0], 850);
    ck_assert_uint_le(counts[0], 1150);
    ck_assert_uint_eq(counts[1], 0);
}
END_TEST

START_TEST(a_route_without_weight_leads_nowhere)
{
    host("cart");
    route(ROUTE_EXACT, "/none");
    route(ROUTE_PREFIX, "");
    backend(0, 0);
    finish();

    ck_assert_int_eq(select_path("cart", "/none"), -1);
    ck_assert_int_eq(select_path("cart", "/some"), -1);
}
END_TEST

START_TEST(the_largest_weights_are_no_overflow)
{
    host("cart");
    route(ROUTE_PREFIX, "");
    backend(0, UINT32_MAX - 1);
    backend(1, 1);

    ck_assert_int_eq(route_builder_backend(builder, 2, 1), -EINVAL);
    finish();
    ck_assert_int_ge(select_host("cart"), 0);
}
END_TEST

START_TEST(a_backend_index_may_use_all_its_bits)
{
    host_to("cart", UINT32_MAX);
    finish();

    ck_assert_int_eq(select_host("cart"), UINT32_MAX);
}
END_TEST

/* --- limits --- */

START_TEST(a_domain_with_a_star_inside_is_refused)
{
    static const char *const bad[] = {"", "a*b", "**", "*a*", "a.*.b"};

    host("cart");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(route_builder_domain(builder, str_from(bad[i])), -EINVAL);
    }
}
END_TEST

START_TEST(a_domain_belongs_to_one_host)
{
    host("cart");
    ck_assert_int_eq(route_builder_host(builder), 0);

    ck_assert_int_eq(route_builder_domain(builder, STR("CART")), -EEXIST);
    ck_assert_int_eq(route_builder_domain(builder, STR("*cart")), 0);
    ck_assert_int_eq(route_builder_domain(builder, STR("*Cart")), -EEXIST);
    ck_assert_int_eq(route_builder_domain(builder, STR("*")), 0);
    ck_assert_int_eq(route_builder_domain(builder, STR("*")), -EEXIST);
}
END_TEST

START_TEST(every_table_is_bounded)
{
    static char text[ROUTE_TEXT_MAX + 1];

    memset(text, 'a', sizeof text);
    host("cart");
    ck_assert_int_eq(route_builder_domain(builder, (struct str){text, sizeof text}), -E2BIG);
    ck_assert_int_eq(route_builder_route(builder, ROUTE_PREFIX, (struct str){text, sizeof text}), -E2BIG);
    for (uint32_t i = 1; i < ROUTE_HOSTS_MAX; i++) {
        ck_assert_int_eq(route_builder_host(builder), 0);
    }
    ck_assert_int_eq(route_builder_host(builder), -E2BIG);
    for (uint32_t i = 0; i < ROUTE_ROUTES_MAX; i++) {
        route(ROUTE_PREFIX, "/");
    }
    ck_assert_int_eq(route_builder_route(builder, ROUTE_PREFIX, STR("/")), -E2BIG);
    for (uint32_t i = 0; i < ROUTE_BACKENDS_MAX; i++) {
        backend(i, 1);
    }
    ck_assert_int_eq(route_builder_backend(builder, 0, 1), -E2BIG);
}
END_TEST

START_TEST(domains_are_bounded)
{
    char name[32];

    host("cart");
    for (uint32_t i = 1; i < ROUTE_DOMAINS_MAX; i++) {
        (void)snprintf(name, sizeof name, "s%u", i);
        ck_assert_int_eq(route_builder_domain(builder, str_from(name)), 0);
    }

    ck_assert_int_eq(route_builder_domain(builder, STR("one-more")), -E2BIG);
}
END_TEST

START_TEST(a_builder_can_be_given_up)
{
    host_to("cart", 0);

    route_builder_free(builder);
    builder = NULL;
}
END_TEST

START_TEST(freeing_nothing_is_harmless)
{
    route_builder_free(NULL);
    route_table_free(NULL);
}
END_TEST

UNIT_MAIN("route", setup, teardown, an_empty_table_routes_nothing, an_unknown_authority_is_routed_nowhere,
          a_host_has_many_domains, case_does_not_matter, exact_beats_suffix_beats_prefix_beats_any, the_longest_suffix_wins,
          the_longest_prefix_wins, a_star_stands_for_at_least_one_byte, any_matches_the_empty_authority_too,
          an_authority_is_tried_with_its_port_first, an_exact_domain_without_port_beats_a_wildcard_with_it,
          a_suffix_matches_an_authority_with_a_port, a_final_dot_is_no_other_name, addresses_are_authorities_too,
          odd_authorities_are_routed_nowhere, a_thousand_hosts_are_each_found, the_first_route_that_matches_wins,
          the_case_of_a_path_matters, the_query_is_no_part_of_the_path, a_host_whose_routes_do_not_match_is_not_passed_over,
          routes_of_hosts_do_not_mix, backends_share_by_weight, a_route_without_weight_leads_nowhere,
          the_largest_weights_are_no_overflow, a_backend_index_may_use_all_its_bits, a_domain_with_a_star_inside_is_refused,
          a_domain_belongs_to_one_host, every_table_is_bounded, domains_are_bounded, a_builder_can_be_given_up,
          freeing_nothing_is_harmless)
