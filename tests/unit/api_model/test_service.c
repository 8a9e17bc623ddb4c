/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"
#include "unit.h"

static const struct {
    const char *app_protocol;
    bool is_http;
} protocols[] = {
    {"", true},      {"http", true},   {"http2", true},
    {"h2c", true},   {"grpc", true},   {"kubernetes.io/h2c", true},
    {"tcp", false},  {"https", false}, {"kubernetes.io/ws", false},
    {"GRPC", false}, {"mysql", false}, {"http2 ", false},
};

START_TEST(service_balances_only_what_can_be_http2)
{
    struct service *s = service("shop", "checkout", NULL, 80);

    ck_assert(service_add_port(s, STR("x"), 81, str_from(protocols[_i].app_protocol)));

    ck_assert_msg(service_port_is_http(s, &s->ports[1]) == protocols[_i].is_http, "appProtocol \"%s\"",
                  protocols[_i].app_protocol);
    service_unref(&s);
}
END_TEST

START_TEST(service_with_client_affinity_stays_raw_tcp)
{
    struct service *s = service("shop", "checkout", NULL, 80);

    s->has_client_affinity = true;

    ck_assert(!service_port_is_http(s, &s->ports[0]));
    service_unref(&s);
}
END_TEST

START_TEST(service_keeps_an_address_once_with_its_first_kind)
{
    struct service *s = service("shop", "checkout", "10.96.0.10", 80);

    add_ip(s, "10.96.0.10", ADDRESS_EXTERNAL);

    ck_assert_uint_eq(s->address_count, 1);
    ck_assert_int_eq(s->addresses[0].kind, ADDRESS_CLUSTER_IP);
    service_unref(&s);
}
END_TEST

START_TEST(service_refuses_a_port_past_the_limit)
{
    struct service *s = service_new(STR("shop"), STR("checkout"));

    for (uint16_t port = 1; port <= SERVICE_PORTS_MAX; port++) {
        ck_assert(service_add_port(s, STR(""), port, STR("")));
    }

    ck_assert(!service_add_port(s, STR(""), 1000, STR("")));
    ck_assert_uint_eq(s->port_count, SERVICE_PORTS_MAX);
    service_unref(&s);
}
END_TEST

START_TEST(slice_refuses_an_endpoint_past_the_limit)
{
    struct slice *s = slice("shop", "a", "checkout", 80);
    struct slice_endpoint_args e = endpoint("10.1.0.1");

    for (size_t i = 0; i < SLICE_ENDPOINTS_MAX; i++) {
        ck_assert(slice_add_endpoint(s, &e));
    }

    ck_assert(!slice_add_endpoint(s, &e));
    slice_unref(&s);
}
END_TEST

/* Each makes a Service differ from an equal one in one thing. */
static void change_port(struct service *s)
{
    s->ports[0].number++;
}

static void change_port_count(struct service *s)
{
    ck_assert(service_add_port(s, STR("b"), 81, STR("")));
}

static void change_address(struct service *s)
{
    add_ip(s, "10.96.0.11", ADDRESS_EXTERNAL);
}

static void change_affinity(struct service *s)
{
    s->has_client_affinity = true;
}

static void change_policy(struct service *s)
{
    s->is_local_only = true;
}

static void change_type(struct service *s)
{
    s->type = SERVICE_HEADLESS;
}

static void change_publishing(struct service *s)
{
    s->publishes_not_ready = true;
}

static void change_family(struct service *s)
{
    s->primary_family = ADDR_V6;
}

static void (*const service_changes[])(struct service *) = {change_port,   change_port_count, change_address,    change_affinity,
                                                            change_policy, change_type,       change_publishing, change_family};

START_TEST(service_eq_sees_each_difference)
{
    struct service *a = service("shop", "checkout", "10.96.0.10", 80), *b = service("shop", "checkout", "10.96.0.10", 80);

    ck_assert(service_eq(a, b));
    service_changes[_i](b);

    ck_assert(!service_eq(a, b));
    service_unref(&a);
    service_unref(&b);
}
END_TEST

START_TEST(slice_eq_sees_a_condition)
{
    struct slice *a = slice("shop", "a", "checkout", 80), *b = slice("shop", "a", "checkout", 80);

    ready(a, "10.1.0.1");
    not_ready(b, "10.1.0.1");

    ck_assert(!slice_eq(a, b));
    slice_unref(&a);
    slice_unref(&b);
}
END_TEST

START_TEST(slice_eq_sees_equality)
{
    struct slice *a = slice("shop", "a", "checkout", 80), *b = slice("shop", "a", "checkout", 80);

    in_zone(a, "10.1.0.1", "z");
    in_zone(b, "10.1.0.1", "z");

    ck_assert(slice_eq(a, b));
    slice_unref(&a);
    slice_unref(&b);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {service_with_client_affinity_stays_raw_tcp,
                                  service_keeps_an_address_once_with_its_first_kind,
                                  service_refuses_a_port_past_the_limit,
                                  slice_refuses_an_endpoint_past_the_limit,
                                  slice_eq_sees_a_condition,
                                  slice_eq_sees_equality};
    TCase *loops = tcase_create("loops");

    tcase_add_loop_test(loops, service_balances_only_what_can_be_http2, 0, ARRAY_LEN(protocols));
    tcase_add_loop_test(loops, service_eq_sees_each_difference, 0, ARRAY_LEN(service_changes));
    return unit_run("service", unit_case("service", NULL, NULL, tests, ARRAY_LEN(tests)), loops, (TCase *)NULL);
}
