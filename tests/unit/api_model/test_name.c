/* SPDX-License-Identifier: Apache-2.0 */

#include "base/mem.h"

#include "api/model/name.h"
#include "unit.h"

#define DOMAIN STR("cluster.local")

static struct name parsed;

static bool parse(const char *text)
{
    return name_parse(str_from(text), DOMAIN, &parsed);
}

START_TEST(name_reads_an_ipv4_address)
{
    ck_assert(parse("10.96.0.10:50051"));
    ck_assert_int_eq(parsed.kind, NAME_ADDRESS);
    ck_assert_int_eq(parsed.addr.family, ADDR_V4);
    ck_assert_uint_eq(parsed.port, 50051);
}
END_TEST

START_TEST(name_reads_an_ipv6_address)
{
    ck_assert(parse("[fd00::a]:50051"));
    ck_assert_int_eq(parsed.kind, NAME_ADDRESS);
    ck_assert_int_eq(parsed.addr.family, ADDR_V6);
}
END_TEST

START_TEST(name_reads_a_cluster)
{
    ck_assert(parse("shop/checkout:50051"));
    ck_assert_int_eq(parsed.kind, NAME_CLUSTER);
    ck_assert(str_eq(parsed.namespace, STR("shop")));
    ck_assert(str_eq(parsed.service, STR("checkout")));
    ck_assert_uint_eq(parsed.port, 50051);
    ck_assert_int_eq(parsed.family, ADDR_NONE);
}
END_TEST

START_TEST(name_reads_a_cluster_of_the_second_family)
{
    ck_assert(parse("shop/checkout:50051/IPv6"));
    ck_assert_int_eq(parsed.family, ADDR_V6);
    ck_assert_uint_eq(parsed.port, 50051);
}
END_TEST

START_TEST(name_reads_a_bare_service_without_a_namespace)
{
    ck_assert(parse("checkout:50051"));
    ck_assert_int_eq(parsed.kind, NAME_HOST);
    ck_assert(str_eq(parsed.service, STR("checkout")));
    ck_assert_uint_eq(parsed.namespace.len, 0);
}
END_TEST

static const char *const hosts[] = {"checkout.shop:50051", "checkout.shop.svc:50051", "checkout.shop.svc.cluster.local:50051"};

START_TEST(name_reads_a_host_with_a_namespace)
{
    ck_assert(parse(hosts[_i]));
    ck_assert_int_eq(parsed.kind, NAME_HOST);
    ck_assert(str_eq(parsed.service, STR("checkout")));
    ck_assert(str_eq(parsed.namespace, STR("shop")));
    ck_assert_uint_eq(parsed.port, 50051);
}
END_TEST

static const char *const nobodys[] = {
    "",
    ":50051",
    "checkout",
    "checkout:",
    "checkout:0",
    "checkout:050051",
    "checkout:65536",
    "checkout:+80",
    ".shop:80",
    "checkout.:80",
    "checkout..svc:80",
    "checkout.shop.svc.:80",
    "checkout.shop.pod:80",
    "checkout.shop.svc.other.local:80",
    "checkout.shop.svc.cluster.local.:80",
    "10.96.0.10",
    "10.96.0.10:0",
    "10.96.0.10:080",
    "[FD00::A]:80",
    "[fd00:0::a]:80",
    "[::ffff:10.96.0.10]:80",
    "shop/checkout",
    "/checkout:80",
    "shop/:80",
    "shop/a/b:80",
    "shop/checkout:80/IPv5",
    "shop/checkout/IPv6:80",
};

START_TEST(name_refuses_what_is_not_canonical)
{
    ck_assert_msg(!parse(nobodys[_i]), "accepted %s", nobodys[_i]);
}
END_TEST

START_TEST(name_refuses_what_is_too_long)
{
    char *text = mem_alloc(NAME_MAX_LEN + 16);

    for (size_t i = 0; i <= NAME_MAX_LEN; i++) {
        text[i] = 'a';
    }
    text[NAME_MAX_LEN - 1] = ':';
    text[NAME_MAX_LEN] = '1';

    ck_assert(!parse(text));
    mem_free(text);
}
END_TEST

START_TEST(name_writes_clusters_as_it_reads_them)
{
    struct text out;

    text_init(&out, NAME_MAX_LEN);
    name_write_cluster(&out, "shop", "checkout", 50051, ADDR_V4);

    ck_assert_str_eq(out.p, "shop/checkout:50051/IPv4");
    text_deinit(&out);
}
END_TEST

static const char *const host_texts[] = {"checkout", "checkout.shop", "checkout.shop.svc", "checkout.shop.svc.cluster.local"};

START_TEST(name_writes_each_host_form)
{
    struct text out;

    text_init(&out, NAME_MAX_LEN);
    name_write_host(&out, (enum name_host_form)_i, "checkout", "shop", DOMAIN);

    ck_assert_str_eq(out.p, host_texts[_i]);
    text_deinit(&out);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {name_reads_an_ipv4_address,
                                  name_reads_an_ipv6_address,
                                  name_reads_a_cluster,
                                  name_reads_a_cluster_of_the_second_family,
                                  name_reads_a_bare_service_without_a_namespace,
                                  name_refuses_what_is_too_long,
                                  name_writes_clusters_as_it_reads_them};
    TCase *loops = tcase_create("loops");

    tcase_add_loop_test(loops, name_reads_a_host_with_a_namespace, 0, ARRAY_LEN(hosts));
    tcase_add_loop_test(loops, name_refuses_what_is_not_canonical, 0, ARRAY_LEN(nobodys));
    tcase_add_loop_test(loops, name_writes_each_host_form, 0, NAME_HOST_FORMS);
    return unit_run("name", unit_case("name", NULL, NULL, tests, ARRAY_LEN(tests)), loops, (TCase *)NULL);
}
