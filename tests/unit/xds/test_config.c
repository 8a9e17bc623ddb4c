/* SPDX-License-Identifier: Apache-2.0 */

#include "../unit.h"

#include <string.h>

#include "api/proto/xds.pb-c.h"
#include "base/mem.h"
#include "messages.h"
#include "policy/route.h"
#include "xds/config.h"

static struct text reason;
static struct config *config;

static void setup(void)
{
    text_init(&reason, 1024);
    config = NULL;
}

static void teardown(void)
{
    config_unref(&config);
    text_deinit(&reason);
}

static struct config *decode(enum xds_type type, struct bytes bytes)
{
    config = config_decode(type, bytes.p, bytes.len, &reason);
    mem_free(bytes.p);
    return config;
}

static struct bytes pack(const void *message)
{
    struct bytes out = {.len = protobuf_c_message_get_packed_size(message)};

    out.p = mem_alloc(out.len + 1);
    protobuf_c_message_pack(message, out.p);
    return out;
}

/* Decodes, changes the message `m`, encodes. */
#define CHANGED(type, prefix, source, ...)                      \
    __extension__({                                             \
        struct bytes before = (source);                         \
        type *m = prefix##__unpack(NULL, before.len, before.p); \
        struct bytes after;                                     \
                                                                \
        ck_assert_ptr_nonnull(m);                               \
        __VA_ARGS__;                                            \
        after = pack(m);                                        \
        prefix##__free_unpacked(m, NULL);                       \
        mem_free(before.p);                                     \
        after;                                                  \
    })

#define ROUTE_CHANGED(...)                                                                                                      \
    CHANGED(Envoy__Config__Route__V3__RouteConfiguration, envoy__config__route__v3__route_configuration, route_to("shop/a:80"), \
            __VA_ARGS__)
#define CLUSTER_CHANGED(...) \
    CHANGED(Envoy__Config__Cluster__V3__Cluster, envoy__config__cluster__v3__cluster, eds_cluster("shop/a:80"), __VA_ARGS__)
#define ENDPOINTS_CHANGED(...)                                                                                        \
    CHANGED(Envoy__Config__Endpoint__V3__ClusterLoadAssignment, envoy__config__endpoint__v3__cluster_load_assignment, \
            endpoints_at((const char *[]){"10.0.0.1:80", "10.0.0.2:80"}, 2), __VA_ARGS__)

static void expect_refusal(enum xds_type type, struct bytes bytes, const char *why)
{
    ck_assert_ptr_null(decode(type, bytes));
    ck_assert_msg(strstr(reason.p, why) != NULL, "\"%s\" does not say \"%s\"", reason.p, why);
}

/* --- Listeners --- */

START_TEST(an_api_listener_is_http_and_names_its_route)
{
    ck_assert_ptr_nonnull(decode(XDS_LISTENER, http_listener("r")));

    ck_assert_int_eq(config->kind, DESTINATION_HTTP);
    ck_assert_str_eq(config->route_name, "r");
    ck_assert_ptr_null(config->route);
}
END_TEST

START_TEST(an_inline_route_comes_with_its_listener)
{
    ck_assert_ptr_nonnull(decode(XDS_LISTENER, inline_listener("shop/a:80")));

    ck_assert_ptr_null(config->route_name);
    ck_assert_str_eq(config->route->clusters[0], "shop/a:80");
}
END_TEST

START_TEST(a_tcp_proxy_chain_is_raw_tcp)
{
    ck_assert_ptr_nonnull(decode(XDS_LISTENER, tcp_listener("shop/db:5432")));

    ck_assert_int_eq(config->kind, DESTINATION_TCP);
    ck_assert_str_eq(config->label, "shop/db:5432");
}
END_TEST

START_TEST(a_listener_without_a_known_filter_is_refused)
{
    Envoy__Config__Listener__V3__Listener m;

    envoy__config__listener__v3__listener__init(&m);
    expect_refusal(XDS_LISTENER, pack(&m), "neither an api_listener");
}
END_TEST

START_TEST(a_filter_that_is_not_understood_is_refused_unless_optional)
{
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter filter;
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter *filters[] = {&filter};
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager hcm;
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__Rds rds;
    Envoy__Config__Listener__V3__Listener m;
    Envoy__Config__Listener__V3__ApiListener api;
    Google__Protobuf__Any any;
    char url[] = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    char name[] = "rbac";
    struct bytes packed;

    envoy__extensions__filters__network__http_connection_manager__v3__http_filter__init(&filter);
    envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__init(&hcm);
    envoy__extensions__filters__network__http_connection_manager__v3__rds__init(&rds);
    envoy__config__listener__v3__listener__init(&m);
    envoy__config__listener__v3__api_listener__init(&api);
    google__protobuf__any__init(&any);
    filter.name = name;
    hcm.n_http_filters = 1;
    hcm.http_filters = filters;
    hcm.route_specifier_case =
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_RDS;
    hcm.rds = &rds;
    rds.route_config_name = name;
    any.type_url = url;
    api.api_listener = &any;
    m.api_listener = &api;
    packed = pack(&hcm);
    any.value = (ProtobufCBinaryData){.data = packed.p, .len = packed.len};
    expect_refusal(XDS_LISTENER, pack(&m), "\"rbac\" is not supported");
    mem_free(packed.p);

    filter.is_optional = true;
    packed = pack(&hcm);
    any.value = (ProtobufCBinaryData){.data = packed.p, .len = packed.len};
    ck_assert_ptr_nonnull(decode(XDS_LISTENER, pack(&m)));
    mem_free(packed.p);
}
END_TEST

/* --- Routes --- */

START_TEST(clusters_of_a_route_are_named_once)
{
    static const char *const clusters[] = {"a", "b", "a"};
    static const uint32_t weights[] = {1, 2, 3};

    ck_assert_ptr_nonnull(decode(XDS_ROUTE, weighted_route(clusters, weights, 3)));

    ck_assert_uint_eq(config->cluster_count, 2);
    ck_assert_str_eq(config->clusters[0], "a");
    ck_assert_str_eq(config->clusters[1], "b");
}
END_TEST

START_TEST(weights_decide_between_clusters)
{
    static const char *const clusters[] = {"a", "b"};
    static const uint32_t weights[] = {0, 5};
    struct rng rng;

    rng_init(&rng, 1);
    ck_assert_ptr_nonnull(decode(XDS_ROUTE, weighted_route(clusters, weights, 2)));

    ck_assert_int_eq(route_select(config->table, STR("host"), STR("/x"), &rng), 1);
}
END_TEST

START_TEST(weighted_clusters_without_weight_are_refused)
{
    static const char *const clusters[] = {"a"};
    static const uint32_t weights[] = {0};

    expect_refusal(XDS_ROUTE, weighted_route(clusters, weights, 1), "no weight");
}
END_TEST

START_TEST(a_route_without_match_is_refused)
{
    expect_refusal(XDS_ROUTE, ROUTE_CHANGED({
                       envoy__config__route__v3__route_match__free_unpacked(m->virtual_hosts[0]->routes[0]->match, NULL);
                       m->virtual_hosts[0]->routes[0]->match = NULL;
                   }),
                   "has no match");
}
END_TEST

START_TEST(a_condition_that_cannot_be_checked_is_refused)
{
    struct bytes on_header = ROUTE_CHANGED({
        Envoy__Config__Route__V3__RouteMatch *match = m->virtual_hosts[0]->routes[0]->match;

        match->n_headers = 1;
        match->headers = mem_alloc(sizeof *match->headers);
        match->headers[0] = mem_alloc(sizeof *match->headers[0]);
        envoy__config__route__v3__header_matcher__init(match->headers[0]);
    });

    expect_refusal(XDS_ROUTE, on_header, "matches on headers");
}
END_TEST

/* --- Clusters --- */

START_TEST(a_cluster_names_its_endpoints)
{
    ck_assert_ptr_nonnull(decode(XDS_CLUSTER, eds_cluster("shop/a:80")));
    ck_assert_str_eq(config->endpoints_name, "shop/a:80");
}
END_TEST

START_TEST(a_cluster_that_is_not_eds_is_refused)
{
    expect_refusal(XDS_CLUSTER, CLUSTER_CHANGED(m->type = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__STRICT_DNS),
                   "not of type EDS");
}
END_TEST

START_TEST(a_cluster_that_wants_tls_is_refused)
{
    struct bytes wants_tls = CLUSTER_CHANGED({
        m->transport_socket = mem_alloc(sizeof *m->transport_socket);
        envoy__config__core__v3__transport_socket__init(m->transport_socket);
    });

    expect_refusal(XDS_CLUSTER, wants_tls, "transport socket");
}
END_TEST

/* --- Endpoints --- */

START_TEST(endpoints_are_addresses_with_weight_one)
{
    ck_assert_ptr_nonnull(decode(XDS_ENDPOINTS, endpoints_at((const char *[]){"10.0.0.1:80", "![fd00::1]:443"}, 2)));

    ck_assert_uint_eq(config->endpoint_count, 2);
    ck_assert_uint_eq(config->endpoints[0].addr.port, 80);
    ck_assert_uint_eq(config->endpoints[0].weight, 1);
    ck_assert(!config->endpoints[0].is_draining);
    ck_assert_uint_eq(config->endpoints[1].addr.family, ADDR_V6);
    ck_assert(config->endpoints[1].is_draining);
    ck_assert_str_eq(config->endpoints[1].uid, "");
}
END_TEST

START_TEST(no_endpoints_are_fine)
{
    ck_assert_ptr_nonnull(decode(XDS_ENDPOINTS, endpoints_at(NULL, 0)));
    ck_assert_uint_eq(config->endpoint_count, 0);
}
END_TEST

START_TEST(own_weights_are_kept_in_proportion)
{
    ck_assert_ptr_nonnull(decode(XDS_ENDPOINTS, ENDPOINTS_CHANGED({
                                     m->endpoints[0]->load_balancing_weight->value = 4;
                                     for (size_t i = 0; i < 2; i++) {
                                         Google__Protobuf__UInt32Value *weight = mem_alloc(sizeof *weight);

                                         google__protobuf__uint32_value__init(weight);
                                         weight->value = i == 0 ? 1 : 3;
                                         m->endpoints[0]->lb_endpoints[i]->load_balancing_weight = weight;
                                     }
                                 })));

    ck_assert_uint_eq(config->endpoints[0].weight, 1);
    ck_assert_uint_eq(config->endpoints[1].weight, 3);
}
END_TEST

START_TEST(a_locality_without_weight_gets_nothing)
{
    ck_assert_ptr_nonnull(decode(XDS_ENDPOINTS, ENDPOINTS_CHANGED(m->endpoints[0]->load_balancing_weight->value = 0)));
    ck_assert_uint_eq(config->endpoint_count, 0);
}
END_TEST

/* The second locality is a copy of the first, with other addresses. */
static void add_locality(Envoy__Config__Endpoint__V3__ClusterLoadAssignment *m, uint32_t priority)
{
    struct bytes more = endpoints_at((const char *[]){"10.0.1.1:80", "10.0.1.2:80"}, 2);
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *other =
        envoy__config__endpoint__v3__cluster_load_assignment__unpack(NULL, more.len, more.p);

    m->endpoints = mem_realloc_array(m->endpoints, 2, sizeof(void *));
    m->endpoints[1] = other->endpoints[0];
    m->endpoints[1]->priority = priority;
    m->n_endpoints = 2;
    mem_free(more.p);
    other->n_endpoints = 0;
    envoy__config__endpoint__v3__cluster_load_assignment__free_unpacked(other, NULL);
}

START_TEST(priorities_are_numbered_without_gaps)
{
    ck_assert_ptr_nonnull(decode(XDS_ENDPOINTS, ENDPOINTS_CHANGED({
                                     m->endpoints[0]->priority = 900;
                                     add_locality(m, 7);
                                 })));

    ck_assert_uint_eq(config->endpoint_count, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(config->endpoints[i].priority, i < 2 ? 0 : 1);
        ck_assert_uint_eq(config->endpoints[i].addr.bytes[2], i < 2 ? 1 : 0);
    }
}
END_TEST

START_TEST(a_priority_without_a_usable_endpoint_is_no_priority)
{
    ck_assert_ptr_nonnull(decode(XDS_ENDPOINTS, ENDPOINTS_CHANGED({
                                     add_locality(m, 1);
                                     for (size_t i = 0; i < 2; i++) {
                                         m->endpoints[0]->lb_endpoints[i]->health_status =
                                             ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNHEALTHY;
                                     }
                                 })));

    ck_assert_uint_eq(config->endpoint_count, 2);
    ck_assert_uint_eq(config->endpoints[0].priority, 0);
}
END_TEST

START_TEST(an_unhealthy_endpoint_is_left_out)
{
    ck_assert_ptr_nonnull(decode(XDS_ENDPOINTS, ENDPOINTS_CHANGED(m->endpoints[0]->lb_endpoints[0]->health_status =
                                                                      ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNHEALTHY)));
    ck_assert_uint_eq(config->endpoint_count, 1);
}
END_TEST

START_TEST(an_address_that_comes_twice_is_refused)
{
    expect_refusal(XDS_ENDPOINTS, endpoints_at((const char *[]){"10.0.0.1:80", "10.0.0.1:80"}, 2), "10.0.0.1:80 comes twice");
}
END_TEST

START_TEST(a_host_name_is_refused)
{
    expect_refusal(XDS_ENDPOINTS, ENDPOINTS_CHANGED({
                       char *host = m->endpoints[0]->lb_endpoints[0]->endpoint->address->socket_address->address;

                       host[0] = 'x';
                   }),
                   "no IP address");
}
END_TEST

START_TEST(bytes_that_are_no_message_are_refused)
{
    for (unsigned type = 0; type < XDS_TYPE_COUNT; type++) {
        static const uint8_t bytes[] = {0xff, 0xff, 0xff};

        ck_assert_ptr_null(config_decode((enum xds_type)type, bytes, sizeof bytes, &reason));
        ck_assert_ptr_nonnull(strstr(reason.p, "malformed"));
    }
}
END_TEST

UNIT_MAIN("config", setup, teardown, an_api_listener_is_http_and_names_its_route, an_inline_route_comes_with_its_listener,
          a_tcp_proxy_chain_is_raw_tcp, a_listener_without_a_known_filter_is_refused,
          a_filter_that_is_not_understood_is_refused_unless_optional, clusters_of_a_route_are_named_once,
          weights_decide_between_clusters, weighted_clusters_without_weight_are_refused, a_route_without_match_is_refused,
          a_condition_that_cannot_be_checked_is_refused, a_cluster_names_its_endpoints, a_cluster_that_is_not_eds_is_refused,
          a_cluster_that_wants_tls_is_refused, endpoints_are_addresses_with_weight_one, no_endpoints_are_fine,
          own_weights_are_kept_in_proportion, a_locality_without_weight_gets_nothing, priorities_are_numbered_without_gaps,
          a_priority_without_a_usable_endpoint_is_no_priority, an_unhealthy_endpoint_is_left_out,
          an_address_that_comes_twice_is_refused, a_host_name_is_refused, bytes_that_are_no_message_are_refused)
