/* SPDX-License-Identifier: Apache-2.0 */

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "unit.h"

static struct addr parse(const char *text)
{
    struct addr a = {0};

    ck_assert_msg(addr_parse(str_from(text), &a), "%s", text);
    return a;
}

static struct addr parse_ip(const char *text)
{
    struct addr a = {0};

    ck_assert_msg(addr_parse_ip(str_from(text), &a), "%s", text);
    return a;
}

static struct addr parse_cidr(const char *text)
{
    struct addr a = {0};

    ck_assert_msg(addr_parse_cidr(str_from(text), &a), "%s", text);
    return a;
}

static const char *const round_trips[] = {"10.96.0.10:50051", "0.0.0.0:0", "255.255.255.255:65535",
                                          "[fd00::a]:50051",  "[::]:1",    "[2001:db8:1:2:3:4:5:6]:80"};

START_TEST(format_gives_what_parse_read)
{
    struct addr a = parse(round_trips[_i]);
    char out[ADDR_TEXT_SIZE];

    ck_assert_str_eq(addr_format(&a, out), round_trips[_i]);
}
END_TEST

static const char *const refused[] = {"",
                                      "10.0.0.1",
                                      "10.0.0.1:",
                                      "10.0.0.1:65536",
                                      "10.0.0.1:-1",
                                      "10.0.0.1:+1",
                                      "10.0.0.1: 1",
                                      "10.0.0.256:1",
                                      "10.0.1:1",
                                      ":80",
                                      "fd00::a:50051",
                                      "[fd00::a]",
                                      "[fd00::a]50051",
                                      "[fd00::a]:",
                                      "[fd00::a",
                                      "[10.0.0.1]:80",
                                      "[]:80",
                                      "[fe80::1%lo]:80",
                                      "localhost:80",
                                      "[0000:0000:0000:0000:0000:0000:0000:00000001]:80"};

START_TEST(parse_refuses_and_leaves_the_output_alone)
{
    struct addr a = {.family = ADDR_V4, .port = 7};

    ck_assert_msg(!addr_parse(str_from(refused[_i]), &a), "%s", refused[_i]);
    ck_assert_uint_eq(a.port, 7);
    ck_assert_uint_eq(a.family, ADDR_V4);
}
END_TEST

START_TEST(a_nul_inside_is_refused)
{
    struct addr a;

    ck_assert(!addr_parse_ip((struct str){"10.0.0.1\0.5", 11}, &a));
}
END_TEST

START_TEST(a_mapped_address_is_its_ipv4_form)
{
    struct addr mapped = parse("[::ffff:10.1.2.3]:80");
    struct addr plain = parse("10.1.2.3:80");

    ck_assert_uint_eq(mapped.family, ADDR_V4);
    ck_assert(addr_eq(&mapped, &plain));
    ck_assert_uint_eq(addr_hash(&mapped), addr_hash(&plain));
}
END_TEST

START_TEST(equality_of_ips_ignores_the_port)
{
    struct addr a = parse("10.0.0.1:1");
    struct addr b = parse("10.0.0.1:2");

    ck_assert(!addr_eq(&a, &b));
    ck_assert(addr_eq_ip(&a, &b));
    ck_assert_uint_ne(addr_hash(&a), addr_hash(&b));
}
END_TEST

START_TEST(families_with_the_same_bytes_differ)
{
    struct addr v4 = parse_ip("0.0.0.0");
    struct addr v6 = parse_ip("::");

    ck_assert(!addr_eq_ip(&v4, &v6));
    ck_assert(!addr_eq(&v4, &v6));
}
END_TEST

static const struct {
    const char *network;
    const char *ip;
    bool is_inside;
} networks[] = {
    {"10.96.0.0/12", "10.96.0.0", true},
    {"10.96.0.0/12", "10.111.255.255", true},
    {"10.96.0.0/12", "10.112.0.0", false},
    {"10.96.0.0/12", "10.95.255.255", false},
    {"0.0.0.0/0", "1.2.3.4", true},
    {"0.0.0.0/0", "::1", false},
    {"10.0.0.1", "10.0.0.1", true},
    {"10.0.0.1", "10.0.0.0", false},
    {"fd00::/8", "fdff::1", true},
    {"fd00::/8", "fe00::1", false},
    {"2001:db8::/33", "2001:db8:7fff::", true},
    {"2001:db8::/33", "2001:db8:8000::", false},
    {"::ffff:10.0.0.0/104", "10.9.9.9", true},
    {"::ffff:10.0.0.0/104", "11.0.0.0", false},
    {"::/0", "fe00::1", true},
};

START_TEST(a_network_holds_exactly_its_addresses)
{
    struct addr network = parse_cidr(networks[_i].network);
    struct addr ip = parse_ip(networks[_i].ip);

    ck_assert_msg(addr_in_network(&ip, &network) == networks[_i].is_inside, "%s in %s", networks[_i].ip, networks[_i].network);
}
END_TEST

START_TEST(a_network_has_no_host_bits)
{
    struct addr with = parse_cidr("10.1.2.3/8");
    struct addr without = parse_cidr("10.0.0.0/8");

    ck_assert(addr_eq(&with, &without));
}
END_TEST

START_TEST(wrong_networks_are_refused)
{
    static const char *const wrong[] = {"10.0.0.0/33",  "10.0.0.0/",          "10.0.0.0/a",   "fd00::/129", "/8", "",
                                        "10.0.0.0/8/8", "::ffff:10.0.0.0/95", "10.0.0.0:80/8"};
    struct addr a;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ck_assert_msg(!addr_parse_cidr(str_from(wrong[i]), &a), "%s", wrong[i]);
    }
}
END_TEST

START_TEST(loopback_and_any_are_recognised)
{
    struct addr loopback4 = parse_ip("127.255.0.1");
    struct addr loopback6 = parse_ip("::1");
    struct addr any4 = parse_ip("0.0.0.0");
    struct addr any6 = parse_ip("::");
    struct addr other = parse_ip("128.0.0.1");
    struct addr none = {0};

    ck_assert(addr_is_loopback(&loopback4) && addr_is_loopback(&loopback6));
    ck_assert(!addr_is_loopback(&other) && !addr_is_loopback(&any6));
    ck_assert(addr_is_any(&any4) && addr_is_any(&any6));
    ck_assert(!addr_is_any(&other) && !addr_is_any(&none));
}
END_TEST

START_TEST(sockaddrs_carry_the_address_there_and_back)
{
    struct sockaddr_storage storage;
    struct addr there = parse(round_trips[_i]);
    struct addr back = {0};
    uint32_t len = addr_to_sockaddr(&there, (struct sockaddr *)&storage);

    ck_assert_uint_eq(len, there.family == ADDR_V4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    ck_assert(addr_from_sockaddr((struct sockaddr *)&storage, &back));
    ck_assert(addr_eq(&there, &back));
}
END_TEST

START_TEST(other_families_of_sockaddr_are_refused)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    struct addr a;

    ck_assert(!addr_from_sockaddr((struct sockaddr *)&storage, &a));
}
END_TEST

START_TEST(no_address_prints_as_none)
{
    struct addr none = {0};
    char out[ADDR_TEXT_SIZE];

    ck_assert_str_eq(addr_format(&none, out), "none");
}
END_TEST

int main(void)
{
    const TTest *const facts[] = {a_nul_inside_is_refused,          a_mapped_address_is_its_ipv4_form,
                                  equality_of_ips_ignores_the_port, families_with_the_same_bytes_differ,
                                  a_network_has_no_host_bits,       wrong_networks_are_refused,
                                  loopback_and_any_are_recognised,  other_families_of_sockaddr_are_refused,
                                  no_address_prints_as_none};
    TCase *tables = tcase_create("tables");

    tcase_add_loop_test(tables, format_gives_what_parse_read, 0, ARRAY_LEN(round_trips));
    tcase_add_loop_test(tables, sockaddrs_carry_the_address_there_and_back, 0, ARRAY_LEN(round_trips));
    tcase_add_loop_test(tables, parse_refuses_and_leaves_the_output_alone, 0, ARRAY_LEN(refused));
    tcase_add_loop_test(tables, a_network_holds_exactly_its_addresses, 0, ARRAY_LEN(networks));
    return unit_run("addr", tables, unit_case("facts", NULL, NULL, facts, ARRAY_LEN(facts)), (TCase *)NULL);
}
