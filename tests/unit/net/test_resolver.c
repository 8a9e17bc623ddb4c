/* SPDX-License-Identifier: Apache-2.0 */

/* The only name server is one of our own on loopback, on the same loop; no query leaves the machine. */

#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "net/resolver.h"
#include "net/socket.h"

struct answer {
    bool is_done;
    unsigned reports;
    size_t count;
    struct addr addresses[RESOLVER_MAX_ADDRESSES];
    const char *error;
    struct resolver_query *query;
};

static struct resolver *resolver;
static int server_fd;
static struct evdns_server_port *server;
static unsigned questions;
static bool has_question;
static char resolv_conf[64];
static char hosts[64];

static void answer_question(struct evdns_server_request *request, const struct evdns_server_question *question)
{
    const char *name = question->name;

    if (strcasecmp(name, "both.test") == 0 && question->type == EVDNS_TYPE_A) {
        static const uint8_t a[8] = {192, 0, 2, 1, 192, 0, 2, 2};

        evdns_server_request_add_a_reply(request, name, 2, a, 60);
    } else if (strcasecmp(name, "both.test") == 0 && question->type == EVDNS_TYPE_AAAA) {
        static const uint8_t aaaa[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

        evdns_server_request_add_aaaa_reply(request, name, 1, aaaa, 60);
    }
}

static void on_question(struct evdns_server_request *request, void *ctx)
{
    (void)ctx;
    questions++;
    has_question = true;
    const char *name = request->questions[0]->name;

    if (strcasecmp(name, "silent.test") == 0) {
        evdns_server_request_drop(request);
        return;
    }
    answer_question(request, request->questions[0]);
    bool is_known = strcasecmp(name, "both.test") == 0 || strcasecmp(name, "empty.test") == 0;

    evdns_server_request_respond(request, is_known ? 0 : DNS_ERR_NOTEXIST);
}

/* A temporary file; its name goes to `name`. */
static void write_file(char name[static 64], const char *text)
{
    snprintf(name, 64, "/tmp/test-resolver-XXXXXX");
    int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void setup(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct addr at = {0};
    char text[128];

    loop_setup();
    server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server_fd, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(socket_local_addr(server_fd, &at), 0);
    server = evdns_add_server_port_with_base(loop_base(loop), server_fd, 0, on_question, NULL);
    snprintf(text, sizeof text, "nameserver 127.0.0.1:%u\nsearch test\noptions timeout:1 attempts:1\n", (unsigned)at.port);
    write_file(resolv_conf, text);
    write_file(hosts, "127.0.0.1 localhost\n192.0.2.77 named-in-hosts\n");
    resolver = resolver_new_from(loop, resolv_conf, hosts);
    questions = 0;
    has_question = false;
}

static void teardown(void)
{
    resolver_free(resolver);
    evdns_close_server_port(server);
    unlink(resolv_conf);
    unlink(hosts);
    loop_teardown();
}

static void on_done(void *ctx, const struct addr *addresses, size_t count, const char *error)
{
    struct answer *a = ctx;

    a->is_done = true;
    a->reports++;
    a->count = count;
    a->error = error;
    memcpy(a->addresses, addresses, count * sizeof *addresses);
    resolver_cancel(&a->query); /* harmless from here */
}

static struct answer resolve(const char *host_port)
{
    static struct answer a;

    a = (struct answer){0};
    a.query = resolver_start(resolver, host_port, on_done, &a);
    ck_assert_msg(!a.is_done, "reported from within");
    turn_until(&a.is_done);
    ck_assert_uint_eq(a.reports, 1);
    ck_assert((a.count == 0) == (a.error != NULL));
    return a;
}

static void ck_assert_address(const struct answer *a, size_t i, const char *expected)
{
    char text[ADDR_TEXT_SIZE];

    ck_assert_uint_lt(i, a->count);
    ck_assert_str_eq(addr_format(&a->addresses[i], text), expected);
}

START_TEST(literal_is_its_own_answer)
{
    static const char *const literals[] = {"192.0.2.9:50051", "[2001:db8::9]:443", "127.0.0.1:1"};

    for (size_t i = 0; i < ARRAY_LEN(literals); i++) {
        struct answer a = resolve(literals[i]);

        ck_assert_uint_eq(a.count, 1);
        ck_assert_address(&a, 0, literals[i]);
    }
    ck_assert_uint_eq(questions, 0);
}
END_TEST

START_TEST(names_in_the_hosts_file_need_no_server)
{
    struct answer a = resolve("localhost:15150");

    ck_assert_address(&a, 0, "127.0.0.1:15150");
    a = resolve("named-in-hosts:80");
    ck_assert_uint_eq(a.count, 1);
    ck_assert_address(&a, 0, "192.0.2.77:80");
    ck_assert_uint_eq(questions, 0);
}
END_TEST

START_TEST(system_s_own_files_know_localhost)
{
    struct resolver *other = resolver_new(loop);
    struct resolver *ours = resolver;

    resolver = other;
    struct answer a = resolve("localhost:7");

    resolver = ours;
    resolver_free(other);
    ck_assert_uint_ge(a.count, 1);
    ck_assert(addr_is_loopback(&a.addresses[0]));
    ck_assert_uint_eq(a.addresses[0].port, 7);
}
END_TEST

static void ck_assert_both(const struct answer *a)
{
    ck_assert_uint_eq(a->count, 3);
    ck_assert_address(a, 0, "192.0.2.1:50051");
    ck_assert_address(a, 1, "192.0.2.2:50051");
    ck_assert_address(a, 2, "[2001:db8::1]:50051");
}

START_TEST(name_has_the_addresses_of_both_families)
{
    struct answer a = resolve("both.test:50051");

    ck_assert_both(&a);
    ck_assert_uint_eq(questions, 2);
}
END_TEST

START_TEST(search_list_completes_a_name)
{
    struct answer a = resolve("both:50051");

    ck_assert_both(&a);
}
END_TEST

START_TEST(unknown_name_and_name_without_addresses_are_errors)
{
    struct answer a = resolve("absent.test:50051");

    ck_assert_ptr_nonnull(a.error);
    a = resolve("empty.test:50051");
    ck_assert_ptr_nonnull(a.error);
    ck_assert_uint_gt(questions, 0);
}
END_TEST

START_TEST(malformed_names_are_errors_without_a_question)
{
    static const char *const wrong[] = {"",           ":",        "name",   "name:", ":80",    "name:0",
                                        "name:65536", "name:80x", "a:b:80", "[::1]", "::1:80", "[::1:80"};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct answer a = resolve(wrong[i]);

        ck_assert_msg(a.error != NULL, "%s", wrong[i]);
    }
    ck_assert_uint_eq(questions, 0);
}
END_TEST

START_TEST(name_longer_than_dns_allows_is_an_error)
{
    char name[300];

    memset(name, 'a', sizeof name);
    snprintf(name + 254, sizeof name - 254, ":80");
    struct answer a = resolve(name);

    ck_assert_ptr_nonnull(a.error);
    memset(name, 'a', 253); /* the longest name, but one label of it may have 63 bytes */
    snprintf(name + 253, sizeof name - 253, ":80");
    a = resolve(name);
    ck_assert_ptr_nonnull(a.error);
}
END_TEST

START_TEST(server_that_does_not_answer_is_an_error)
{
    struct answer a = resolve("silent.test:80");

    ck_assert_ptr_nonnull(a.error);
}
END_TEST

START_TEST(cancelled_query_reports_nothing)
{
    struct answer asked = {0};
    struct answer literal = {0};

    asked.query = resolver_start(resolver, "silent.test:80", on_done, &asked);
    literal.query = resolver_start(resolver, "127.0.0.1:80", on_done, &literal);
    resolver_cancel(&literal.query);
    ck_assert_ptr_null(literal.query);
    turn_until(&has_question);
    resolver_cancel(&asked.query);
    resolver_cancel(&asked.query);
    struct answer a = resolve("both.test:50051"); /* the resolver goes on */

    ck_assert_both(&a);
    ck_assert_uint_eq(asked.reports + literal.reports, 0);
}
END_TEST

START_TEST(query_whose_answer_is_on_the_way_can_be_cancelled)
{
    struct answer a = {0};

    a.query = resolver_start(resolver, "both.test:80", on_done, &a);
    while (questions < 2) {
        loop_turn(loop, true);
    }
    resolver_cancel(&a.query);
    for (int i = 0; i < 20; i++) {
        loop_turn(loop, false);
    }

    ck_assert_uint_eq(a.reports, 0);
}
END_TEST

START_TEST(resolver_and_loop_can_go_right_after_queries_were_cancelled)
{
    struct loop *other_loop = loop_new(2);
    struct resolver *other = resolver_new_from(other_loop, resolv_conf, hosts);
    struct answer a = {0};
    struct answer b = {0};

    a.query = resolver_start(other, "silent.test:80", on_done, &a);
    b.query = resolver_start(other, "both.test:80", on_done, &b);
    resolver_cancel(&a.query);
    resolver_cancel(&b.query);
    resolver_free(other);
    loop_free(other_loop);

    ck_assert_uint_eq(a.reports + b.reports, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("resolver");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, literal_is_its_own_answer);
    tcase_add_test(tcase, names_in_the_hosts_file_need_no_server);
    tcase_add_test(tcase, system_s_own_files_know_localhost);
    tcase_add_test(tcase, name_has_the_addresses_of_both_families);
    tcase_add_test(tcase, search_list_completes_a_name);
    tcase_add_test(tcase, unknown_name_and_name_without_addresses_are_errors);
    tcase_add_test(tcase, malformed_names_are_errors_without_a_question);
    tcase_add_test(tcase, name_longer_than_dns_allows_is_an_error);
    tcase_add_test(tcase, server_that_does_not_answer_is_an_error);
    tcase_add_test(tcase, cancelled_query_reports_nothing);
    tcase_add_test(tcase, query_whose_answer_is_on_the_way_can_be_cancelled);
    tcase_add_test(tcase, resolver_and_loop_can_go_right_after_queries_were_cancelled);
    return run_tcase(tcase);
}
