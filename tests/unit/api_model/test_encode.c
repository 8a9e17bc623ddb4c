/* SPDX-License-Identifier: Apache-2.0 */

/* What real gRPC clients insist on, or would refuse. */

#include <string.h>

#include "base/mem.h"

#include "api/model/encode.h"
#include "api/proto/xds.pb-c.h"
#include "unit.h"

static struct encoded encoded;

static void teardown(void)
{
    mem_free(encoded.bytes);
}

static void *unpack(const ProtobufCMessageDescriptor *type)
{
    void *message = protobuf_c_message_unpack(type, NULL, encoded.len, encoded.bytes);

    ck_assert_ptr_nonnull(message);
    return message;
}

static void *unpack_any(const Google__Protobuf__Any *any, const char *type_url, const ProtobufCMessageDescriptor *type)
{
    void *message = protobuf_c_message_unpack(type, NULL, any->value.len, any->value.data);

    ck_assert_str_eq(any->type_url, type_url);
    ck_assert_ptr_nonnull(message);
    return message;
}

static Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager *make_manager(void)
{
    Envoy__Config__Listener__V3__Listener *l;
    void *manager;

    encoded = encode_http_listener("10.96.0.10:50051");
    l = unpack(&envoy__config__listener__v3__listener__descriptor);
    manager = unpack_any(l->api_listener->api_listener,
                         "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                         &envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor);
    envoy__config__listener__v3__listener__free_unpacked(l, NULL);
    return manager;
}

START_TEST(http_listener_s_last_filter_is_the_router)
{
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager *m = make_manager();

    ck_assert_uint_eq(m->n_http_filters, 1);
    ck_assert_str_eq(m->http_filters[0]->typed_config->type_url,
                     "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router");
    protobuf_c_message_free_unpacked(&m->base, NULL);
}
END_TEST

START_TEST(http_listener_asks_for_the_route_of_its_name_on_the_same_stream)
{
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager *m = make_manager();

    ck_assert_str_eq(m->rds->route_config_name, "10.96.0.10:50051");
    ck_assert_int_eq(m->rds->config_source->config_source_specifier_case,
                     ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS);
    protobuf_c_message_free_unpacked(&m->base, NULL);
}
END_TEST

START_TEST(route_matches_every_path)
{
    char any[] = "*", *domains[] = {any}, cluster[] = "shop/checkout:50051";
    struct encode_virtual_host host = {.cluster = cluster, .domain_count = 1, .domains = domains};
    Envoy__Config__Route__V3__RouteConfiguration *r;

    encoded = encode_route("10.96.0.10:50051", &host, 1);
    r = unpack(&envoy__config__route__v3__route_configuration__descriptor);

    ck_assert_int_eq(r->virtual_hosts[0]->routes[0]->match->path_specifier_case,
                     ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX);
    ck_assert_str_eq(r->virtual_hosts[0]->routes[0]->match->prefix, "");
    protobuf_c_message_free_unpacked(&r->base, NULL);
}
END_TEST

static Envoy__Config__Cluster__V3__Cluster *make_cluster(void)
{
    encoded = encode_cluster("shop/checkout:50051");
    return unpack(&envoy__config__cluster__v3__cluster__descriptor);
}

START_TEST(cluster_gets_its_endpoints_on_the_same_stream)
{
    Envoy__Config__Cluster__V3__Cluster *c = make_cluster();

    ck_assert_int_eq(c->type, ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS);
    ck_assert_int_eq(c->eds_cluster_config->eds_config->config_source_specifier_case,
                     ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS);
    ck_assert_str_eq(c->eds_cluster_config->service_name, "shop/checkout:50051");
    protobuf_c_message_free_unpacked(&c->base, NULL);
}
END_TEST

START_TEST(cluster_s_plain_policy_is_round_robin)
{
    Envoy__Config__Cluster__V3__Cluster *c = make_cluster();

    ck_assert_int_eq(c->lb_policy, ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__ROUND_ROBIN);
    protobuf_c_message_free_unpacked(&c->base, NULL);
}
END_TEST

START_TEST(cluster_s_last_policy_is_round_robin)
{
    Envoy__Config__Cluster__V3__Cluster *c = make_cluster();
    size_t count = c->load_balancing_policy->n_policies;

    ck_assert_uint_ge(count, 2);
    ck_assert_str_eq(c->load_balancing_policy->policies[count - 1]->typed_extension_config->typed_config->type_url,
                     "type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin");
    protobuf_c_message_free_unpacked(&c->base, NULL);
}
END_TEST

/* Endpoints of two zones, the second with what is known of its pod. */
static Envoy__Config__Endpoint__V3__ClusterLoadAssignment *make_assignment(void)
{
    static struct backend_endpoint plain = {.pod = "", .uid = "", .node = "", .zone = ""};
    static struct backend_endpoint known = {.pod = "checkout-1", .uid = "11-22", .node = "n1", .zone = "z1"};
    struct eligible endpoints[] = {{.endpoint = &plain}, {.endpoint = &known, .is_draining = true}};

    ck_assert(addr_parse(STR("10.1.0.1:8080"), &plain.addr));
    ck_assert(addr_parse(STR("[fd00::1]:8080"), &known.addr));
    encoded = encode_endpoints("shop/checkout:50051", endpoints, ARRAY_LEN(endpoints));
    return unpack(&envoy__config__endpoint__v3__cluster_load_assignment__descriptor);
}

START_TEST(locality_is_there_even_when_the_zone_is_unknown)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *a = make_assignment();

    ck_assert_uint_eq(a->n_endpoints, 2);
    ck_assert_ptr_nonnull(a->endpoints[0]->locality);
    ck_assert_str_eq(a->endpoints[1]->locality->zone, "z1");
    protobuf_c_message_free_unpacked(&a->base, NULL);
}
END_TEST

START_TEST(every_locality_has_priority_0_and_a_weight)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *a = make_assignment();

    for (size_t i = 0; i < a->n_endpoints; i++) {
        ck_assert_uint_eq(a->endpoints[i]->priority, 0);
        ck_assert_uint_ge(a->endpoints[i]->load_balancing_weight->value, 1);
    }
    protobuf_c_message_free_unpacked(&a->base, NULL);
}
END_TEST

START_TEST(address_is_an_ip_literal_without_brackets)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *a = make_assignment();

    ck_assert_str_eq(a->endpoints[1]->lb_endpoints[0]->endpoint->address->socket_address->address, "fd00::1");
    protobuf_c_message_free_unpacked(&a->base, NULL);
}
END_TEST

START_TEST(endpoint_of_a_pod_says_which)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *a = make_assignment();
    const Envoy__Config__Core__V3__Metadata__FilterMetadataEntry *entry =
        a->endpoints[1]->lb_endpoints[0]->metadata->filter_metadata[0];

    ck_assert_str_eq(entry->key, "outrigger.dev");
    ck_assert_uint_eq(entry->value->n_fields, 3);
    ck_assert_str_eq(entry->value->fields[0]->key, "pod");
    ck_assert_str_eq(entry->value->fields[0]->value->string_value, "checkout-1");
    ck_assert_str_eq(entry->value->fields[1]->key, "uid");
    ck_assert_str_eq(entry->value->fields[1]->value->string_value, "11-22");
    ck_assert_str_eq(entry->value->fields[2]->key, "node");
    ck_assert_str_eq(entry->value->fields[2]->value->string_value, "n1");
    protobuf_c_message_free_unpacked(&a->base, NULL);
}
END_TEST

START_TEST(endpoint_that_is_no_pod_carries_nothing)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *a = make_assignment();

    ck_assert_ptr_null(a->endpoints[0]->lb_endpoints[0]->metadata);
    protobuf_c_message_free_unpacked(&a->base, NULL);
}
END_TEST

UNIT_MAIN("encode", NULL, teardown, http_listener_s_last_filter_is_the_router,
          http_listener_asks_for_the_route_of_its_name_on_the_same_stream, route_matches_every_path,
          cluster_gets_its_endpoints_on_the_same_stream, cluster_s_plain_policy_is_round_robin,
          cluster_s_last_policy_is_round_robin, locality_is_there_even_when_the_zone_is_unknown,
          every_locality_has_priority_0_and_a_weight, address_is_an_ip_literal_without_brackets, endpoint_of_a_pod_says_which,
          endpoint_that_is_no_pod_carries_nothing)
