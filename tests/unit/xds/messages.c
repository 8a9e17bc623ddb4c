/* SPDX-License-Identifier: Apache-2.0 */

#include "messages.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "api/proto/arena.h"
#include "api/proto/xds.pb-c.h"
#include "base/addr.h"
#include "base/mem.h"

#define PREFIX "type.googleapis.com/"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager hcm_message;

static struct arena arena; /* of the message being made */

static void *make(const ProtobufCMessageDescriptor *type)
{
    void *m = arena_alloc(&arena, type->sizeof_message);

    protobuf_c_message_init(type, m);
    return m;
}

static char *text(const char *from)
{
    size_t size = strlen(from) + 1;

    return memcpy(arena_alloc(&arena, size), from, size);
}

static void *array(size_t count)
{
    return memset(arena_alloc(&arena, count * sizeof(void *)), 0, count * sizeof(void *));
}

static void begin(void)
{
    arena_init(&arena, SIZE_MAX);
}

static struct bytes end(const void *message)
{
    struct bytes out = {.len = protobuf_c_message_get_packed_size(message)};

    out.p = mem_alloc(out.len + 1);
    protobuf_c_message_pack(message, out.p);
    arena_deinit(&arena);
    return out;
}

static Google__Protobuf__Any *any_of(const void *message)
{
    const ProtobufCMessage *base = message;
    Google__Protobuf__Any *any = make(&google__protobuf__any__descriptor);
    char url[256];

    snprintf(url, sizeof url, PREFIX "%s", base->descriptor->name);
    any->type_url = text(url);
    any->value.len = protobuf_c_message_get_packed_size(message);
    any->value.data = arena_alloc(&arena, any->value.len);
    protobuf_c_message_pack(message, any->value.data);
    return any;
}

/* --- routes --- */

static Envoy__Config__Route__V3__RouteConfiguration *one_route(Envoy__Config__Route__V3__RouteAction *action)
{
    Envoy__Config__Route__V3__RouteConfiguration *m = make(&envoy__config__route__v3__route_configuration__descriptor);
    Envoy__Config__Route__V3__VirtualHost *host = make(&envoy__config__route__v3__virtual_host__descriptor);
    Envoy__Config__Route__V3__Route *route = make(&envoy__config__route__v3__route__descriptor);

    route->match = make(&envoy__config__route__v3__route_match__descriptor);
    route->match->path_specifier_case = ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX;
    route->match->prefix = text("");
    route->action_case = ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE;
    route->route = action;
    host->n_domains = 1;
    host->domains = array(1);
    host->domains[0] = text("*");
    host->n_routes = 1;
    host->routes = array(1);
    host->routes[0] = route;
    m->n_virtual_hosts = 1;
    m->virtual_hosts = array(1);
    m->virtual_hosts[0] = host;
    return m;
}

static Envoy__Config__Route__V3__RouteAction *to_cluster(const char *cluster)
{
    Envoy__Config__Route__V3__RouteAction *action = make(&envoy__config__route__v3__route_action__descriptor);

    action->cluster_specifier_case = ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER;
    action->cluster = text(cluster);
    return action;
}

struct bytes route_to(const char *cluster)
{
    begin();
    return end(one_route(to_cluster(cluster)));
}

struct bytes weighted_route(const char *const *clusters, const uint32_t *weights, size_t count)
{
    Envoy__Config__Route__V3__RouteAction *action;
    Envoy__Config__Route__V3__WeightedCluster *list;

    begin();
    action = make(&envoy__config__route__v3__route_action__descriptor);
    list = make(&envoy__config__route__v3__weighted_cluster__descriptor);
    list->n_clusters = count;
    list->clusters = array(count);
    for (size_t i = 0; i < count; i++) {
        list->clusters[i] = make(&envoy__config__route__v3__weighted_cluster__cluster_weight__descriptor);
        list->clusters[i]->name = text(clusters[i]);
        list->clusters[i]->weight = make(&google__protobuf__uint32_value__descriptor);
        list->clusters[i]->weight->value = weights[i];
    }
    action->cluster_specifier_case = ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS;
    action->weighted_clusters = list;
    return end(one_route(action));
}

/* --- listeners --- */

static struct bytes api_listener(const hcm_message *hcm)
{
    Envoy__Config__Listener__V3__Listener *m = make(&envoy__config__listener__v3__listener__descriptor);

    m->api_listener = make(&envoy__config__listener__v3__api_listener__descriptor);
    m->api_listener->api_listener = any_of(hcm);
    return end(m);
}

struct bytes http_listener(const char *route_name)
{
    hcm_message *hcm;

    begin();
    hcm = make(&envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor);
    hcm->stat_prefix = text("label");
    hcm->route_specifier_case =
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_RDS;
    hcm->rds = make(&envoy__extensions__filters__network__http_connection_manager__v3__rds__descriptor);
    hcm->rds->route_config_name = text(route_name);
    return api_listener(hcm);
}

struct bytes inline_listener(const char *cluster)
{
    hcm_message *hcm;

    begin();
    hcm = make(&envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor);
    hcm->route_specifier_case =
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_ROUTE_CONFIG;
    hcm->route_config = one_route(to_cluster(cluster));
    return api_listener(hcm);
}

struct bytes tcp_listener(const char *cluster)
{
    Envoy__Config__Listener__V3__Listener *m;
    Envoy__Config__Listener__V3__FilterChain *chain;
    Envoy__Config__Listener__V3__Filter *filter;
    Envoy__Extensions__Filters__Network__TcpProxy__V3__TcpProxy *proxy;

    begin();
    m = make(&envoy__config__listener__v3__listener__descriptor);
    chain = make(&envoy__config__listener__v3__filter_chain__descriptor);
    filter = make(&envoy__config__listener__v3__filter__descriptor);
    proxy = make(&envoy__extensions__filters__network__tcp_proxy__v3__tcp_proxy__descriptor);
    proxy->cluster_specifier_case = ENVOY__EXTENSIONS__FILTERS__NETWORK__TCP_PROXY__V3__TCP_PROXY__CLUSTER_SPECIFIER_CLUSTER;
    proxy->cluster = text(cluster);
    filter->config_type_case = ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter->typed_config = any_of(proxy);
    chain->n_filters = 1;
    chain->filters = array(1);
    chain->filters[0] = filter;
    m->n_filter_chains = 1;
    m->filter_chains = array(1);
    m->filter_chains[0] = chain;
    return end(m);
}

/* --- clusters, endpoints --- */

struct bytes eds_cluster(const char *endpoints_name)
{
    Envoy__Config__Cluster__V3__Cluster *m;

    begin();
    m = make(&envoy__config__cluster__v3__cluster__descriptor);
    m->cluster_discovery_type_case = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE;
    m->type = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS;
    m->eds_cluster_config = make(&envoy__config__cluster__v3__cluster__eds_cluster_config__descriptor);
    m->eds_cluster_config->service_name = text(endpoints_name);
    return end(m);
}

static Envoy__Config__Endpoint__V3__LbEndpoint *endpoint_at(const char *address)
{
    Envoy__Config__Endpoint__V3__LbEndpoint *m = make(&envoy__config__endpoint__v3__lb_endpoint__descriptor);
    Envoy__Config__Core__V3__SocketAddress *socket = make(&envoy__config__core__v3__socket_address__descriptor);
    char ip[ADDR_TEXT_SIZE];
    struct addr addr = {0};
    bool is_draining = address[0] == '!';
    bool is_parsed = addr_parse(str_from(address + is_draining), &addr);

    assert(is_parsed);
    (void)is_parsed;
    socket->address = text(addr_format_ip(&addr, ip));
    socket->port_specifier_case = ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE;
    socket->port_value = addr.port;
    m->host_identifier_case = ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT;
    m->endpoint = make(&envoy__config__endpoint__v3__endpoint__descriptor);
    m->endpoint->address = make(&envoy__config__core__v3__address__descriptor);
    m->endpoint->address->address_case = ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS;
    m->endpoint->address->socket_address = socket;
    m->health_status =
        is_draining ? ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING : ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__HEALTHY;
    return m;
}

struct bytes endpoints_at(const char *const *addresses, size_t count)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *m;
    Envoy__Config__Endpoint__V3__LocalityLbEndpoints *locality;

    begin();
    m = make(&envoy__config__endpoint__v3__cluster_load_assignment__descriptor);
    locality = make(&envoy__config__endpoint__v3__locality_lb_endpoints__descriptor);
    locality->load_balancing_weight = make(&google__protobuf__uint32_value__descriptor);
    locality->load_balancing_weight->value = 1;
    locality->n_lb_endpoints = count;
    locality->lb_endpoints = array(count);
    for (size_t i = 0; i < count; i++) {
        locality->lb_endpoints[i] = endpoint_at(addresses[i]);
    }
    m->n_endpoints = 1;
    m->endpoints = array(1);
    m->endpoints[0] = locality;
    return end(m);
}
