/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A message tree is built in an arena, packed once and dropped. What real clients insist on: an HTTP filter chain that ends in the
 * Router, a match in every route, a locality message with a weight, RoundRobin behind every other balancing policy.
 */

#include "api/model/encode.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#include "api/proto/arena.h"
#include "api/proto/xds.pb-c.h"

#define TYPE_PREFIX "type.googleapis.com/"
#define METADATA_KEY "outrigger.dev"

/* Of five random endpoints the least busy: what our own proxy does; gRPC accepts 2 to 10. */
#define LEAST_REQUEST_CHOICES 5

static void *make(struct arena *a, const ProtobufCMessageDescriptor *type)
{
    void *message = arena_alloc(a, type->sizeof_message);

    protobuf_c_message_init(type, message);
    return message;
}

/* protobuf-c wants text that it could change. */
static char *copy_text(struct arena *a, const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(arena_alloc(a, size), text, size);
}

/* An array of `count` pointers to messages. */
static void *make_array(struct arena *a, size_t count)
{
    return memset(arena_alloc(a, count * sizeof(void *)), 0, count * sizeof(void *));
}

static struct encoded pack(const ProtobufCMessage *message)
{
    struct encoded out = {.len = protobuf_c_message_get_packed_size(message)};

    out.bytes = mem_alloc(out.len);
    protobuf_c_message_pack(message, out.bytes);
    return out;
}

static Google__Protobuf__Any *make_any(struct arena *a, const char *type_url, const ProtobufCMessage *message)
{
    Google__Protobuf__Any *any = make(a, &google__protobuf__any__descriptor);

    any->type_url = copy_text(a, type_url);
    any->value.len = protobuf_c_message_get_packed_size(message);
    any->value.data = arena_alloc(a, any->value.len);
    protobuf_c_message_pack(message, any->value.data);
    return any;
}

static Google__Protobuf__UInt32Value *make_u32(struct arena *a, uint32_t value)
{
    Google__Protobuf__UInt32Value *wrapper = make(a, &google__protobuf__uint32_value__descriptor);

    wrapper->value = value;
    return wrapper;
}

/* "Ask on the stream you are on." */
static Envoy__Config__Core__V3__ConfigSource *make_ads_source(struct arena *a)
{
    Envoy__Config__Core__V3__ConfigSource *source = make(a, &envoy__config__core__v3__config_source__descriptor);

    source->config_source_specifier_case = ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS;
    source->ads = make(a, &envoy__config__core__v3__aggregated_config_source__descriptor);
    source->resource_api_version = ENVOY__CONFIG__CORE__V3__API_VERSION__V3;
    return source;
}

/* --- Listener --- */

static Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter *make_router_filter(struct arena *a)
{
    Envoy__Extensions__Filters__Http__Router__V3__Router router;
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter *filter =
        make(a, &envoy__extensions__filters__network__http_connection_manager__v3__http_filter__descriptor);

    envoy__extensions__filters__http__router__v3__router__init(&router);
    filter->name = copy_text(a, "envoy.filters.http.router");
    filter->config_type_case =
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter->typed_config = make_any(a, TYPE_PREFIX "envoy.extensions.filters.http.router.v3.Router", &router.base);
    return filter;
}

static Google__Protobuf__Any *make_connection_manager(struct arena *a, const char *route_name)
{
    Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager hcm;

    envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__init(&hcm);
    hcm.stat_prefix = copy_text(a, route_name);
    hcm.route_specifier_case =
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_RDS;
    hcm.rds = make(a, &envoy__extensions__filters__network__http_connection_manager__v3__rds__descriptor);
    hcm.rds->config_source = make_ads_source(a);
    hcm.rds->route_config_name = copy_text(a, route_name);
    hcm.n_http_filters = 1;
    hcm.http_filters = make_array(a, 1);
    hcm.http_filters[0] = make_router_filter(a);
    return make_any(a, TYPE_PREFIX "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    &hcm.base);
}

struct encoded encode_http_listener(const char *name)
{
    Envoy__Config__Listener__V3__Listener listener;
    struct arena a;
    struct encoded out;

    envoy__config__listener__v3__listener__init(&listener);
    arena_init(&a, SIZE_MAX);
    listener.name = copy_text(&a, name);
    listener.api_listener = make(&a, &envoy__config__listener__v3__api_listener__descriptor);
    listener.api_listener->api_listener = make_connection_manager(&a, name);
    out = pack(&listener.base);
    arena_deinit(&a);
    return out;
}

static Envoy__Config__Listener__V3__FilterChain *make_tcp_chain(struct arena *a, const char *cluster)
{
    Envoy__Extensions__Filters__Network__TcpProxy__V3__TcpProxy tcp;
    Envoy__Config__Listener__V3__FilterChain *chain = make(a, &envoy__config__listener__v3__filter_chain__descriptor);
    Envoy__Config__Listener__V3__Filter *filter = make(a, &envoy__config__listener__v3__filter__descriptor);

    envoy__extensions__filters__network__tcp_proxy__v3__tcp_proxy__init(&tcp);
    tcp.stat_prefix = copy_text(a, cluster);
    tcp.cluster_specifier_case = ENVOY__EXTENSIONS__FILTERS__NETWORK__TCP_PROXY__V3__TCP_PROXY__CLUSTER_SPECIFIER_CLUSTER;
    tcp.cluster = copy_text(a, cluster);
    filter->name = copy_text(a, "envoy.filters.network.tcp_proxy");
    filter->config_type_case = ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG;
    filter->typed_config = make_any(a, TYPE_PREFIX "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", &tcp.base);
    chain->n_filters = 1;
    chain->filters = make_array(a, 1);
    chain->filters[0] = filter;
    return chain;
}

struct encoded encode_tcp_listener(const char *name, const char *cluster)
{
    Envoy__Config__Listener__V3__Listener listener;
    struct arena a;
    struct encoded out;

    envoy__config__listener__v3__listener__init(&listener);
    arena_init(&a, SIZE_MAX);
    listener.name = copy_text(&a, name);
    listener.n_filter_chains = 1;
    listener.filter_chains = make_array(&a, 1);
    listener.filter_chains[0] = make_tcp_chain(&a, cluster);
    out = pack(&listener.base);
    arena_deinit(&a);
    return out;
}

/* --- RouteConfiguration --- */

/* Every request, to one cluster. */
static Envoy__Config__Route__V3__Route *make_route(struct arena *a, const char *cluster)
{
    Envoy__Config__Route__V3__Route *route = make(a, &envoy__config__route__v3__route__descriptor);

    route->match = make(a, &envoy__config__route__v3__route_match__descriptor);
    route->match->path_specifier_case = ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX;
    route->match->prefix = copy_text(a, "");
    route->action_case = ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE;
    route->route = make(a, &envoy__config__route__v3__route_action__descriptor);
    route->route->cluster_specifier_case = ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER;
    route->route->cluster = copy_text(a, cluster);
    return route;
}

static Envoy__Config__Route__V3__VirtualHost *make_virtual_host(struct arena *a, const struct encode_virtual_host *from)
{
    Envoy__Config__Route__V3__VirtualHost *host = make(a, &envoy__config__route__v3__virtual_host__descriptor);

    host->name = copy_text(a, from->cluster);
    host->n_domains = from->domain_count;
    host->domains = make_array(a, from->domain_count);
    for (size_t i = 0; i < from->domain_count; i++) {
        host->domains[i] = copy_text(a, from->domains[i]);
    }
    host->n_routes = 1;
    host->routes = make_array(a, 1);
    host->routes[0] = make_route(a, from->cluster);
    return host;
}

struct encoded encode_route(const char *name, const struct encode_virtual_host *hosts, size_t host_count)
{
    Envoy__Config__Route__V3__RouteConfiguration route;
    struct arena a;
    struct encoded out;

    envoy__config__route__v3__route_configuration__init(&route);
    arena_init(&a, SIZE_MAX);
    route.name = copy_text(&a, name);
    route.n_virtual_hosts = host_count;
    route.virtual_hosts = make_array(&a, host_count);
    for (size_t i = 0; i < host_count; i++) {
        route.virtual_hosts[i] = make_virtual_host(&a, &hosts[i]);
    }
    out = pack(&route.base);
    arena_deinit(&a);
    return out;
}

/* --- Cluster --- */

static Envoy__Config__Cluster__V3__LoadBalancingPolicy__Policy *make_policy(struct arena *a, const char *name,
                                                                            Google__Protobuf__Any *config)
{
    Envoy__Config__Cluster__V3__LoadBalancingPolicy__Policy *policy =
        make(a, &envoy__config__cluster__v3__load_balancing_policy__policy__descriptor);

    policy->typed_extension_config = make(a, &envoy__config__core__v3__typed_extension_config__descriptor);
    policy->typed_extension_config->name = copy_text(a, name);
    policy->typed_extension_config->typed_config = config;
    return policy;
}

/* Clients take the first policy they know; LeastRequest is not known to all, RoundRobin is. */
static Envoy__Config__Cluster__V3__LoadBalancingPolicy *make_policies(struct arena *a)
{
    Envoy__Extensions__LoadBalancingPolicies__LeastRequest__V3__LeastRequest least;
    Envoy__Extensions__LoadBalancingPolicies__RoundRobin__V3__RoundRobin robin;
    Envoy__Config__Cluster__V3__LoadBalancingPolicy *list =
        make(a, &envoy__config__cluster__v3__load_balancing_policy__descriptor);

    envoy__extensions__load_balancing_policies__least_request__v3__least_request__init(&least);
    envoy__extensions__load_balancing_policies__round_robin__v3__round_robin__init(&robin);
    least.choice_count = make_u32(a, LEAST_REQUEST_CHOICES);
    list->n_policies = 2;
    list->policies = make_array(a, 2);
    list->policies[0] = make_policy(
        a, "envoy.load_balancing_policies.least_request",
        make_any(a, TYPE_PREFIX "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest", &least.base));
    list->policies[1] =
        make_policy(a, "envoy.load_balancing_policies.round_robin",
                    make_any(a, TYPE_PREFIX "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin", &robin.base));
    return list;
}

struct encoded encode_cluster(const char *name)
{
    Envoy__Config__Cluster__V3__Cluster cluster;
    struct arena a;
    struct encoded out;

    envoy__config__cluster__v3__cluster__init(&cluster);
    arena_init(&a, SIZE_MAX);
    cluster.name = copy_text(&a, name);
    cluster.cluster_discovery_type_case = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE;
    cluster.type = ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS;
    cluster.eds_cluster_config = make(&a, &envoy__config__cluster__v3__cluster__eds_cluster_config__descriptor);
    cluster.eds_cluster_config->eds_config = make_ads_source(&a);
    cluster.eds_cluster_config->service_name = copy_text(&a, name);
    cluster.lb_policy =
        ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__ROUND_ROBIN; /* LEAST_REQUEST here makes C-core refuse it */
    cluster.load_balancing_policy = make_policies(&a);
    out = pack(&cluster.base);
    arena_deinit(&a);
    return out;
}

/* --- ClusterLoadAssignment --- */

static Envoy__Config__Core__V3__Address *make_address(struct arena *a, const struct addr *from)
{
    char ip[ADDR_TEXT_SIZE];
    Envoy__Config__Core__V3__Address *address = make(a, &envoy__config__core__v3__address__descriptor);
    Envoy__Config__Core__V3__SocketAddress *socket = make(a, &envoy__config__core__v3__socket_address__descriptor);

    socket->address = copy_text(a, addr_format_ip(from, ip));
    socket->port_specifier_case = ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE;
    socket->port_value = from->port;
    address->address_case = ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS;
    address->socket_address = socket;
    return address;
}

static void add_field(struct arena *a, Google__Protobuf__Struct *to, const char *key, const char *text)
{
    Google__Protobuf__Struct__FieldsEntry *entry;

    if (text[0] == '\0') {
        return;
    }
    entry = make(a, &google__protobuf__struct__fields_entry__descriptor);
    entry->key = copy_text(a, key);
    entry->value = make(a, &google__protobuf__value__descriptor);
    entry->value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    entry->value->string_value = copy_text(a, text);
    to->fields[to->n_fields++] = entry;
}

/* filter_metadata["outrigger.dev"] = {pod, uid, node}, what is known of them; NULL if nothing is. */
static Envoy__Config__Core__V3__Metadata *make_metadata(struct arena *a, const struct backend_endpoint *from)
{
    Envoy__Config__Core__V3__Metadata *metadata = make(a, &envoy__config__core__v3__metadata__descriptor);
    Envoy__Config__Core__V3__Metadata__FilterMetadataEntry *entry =
        make(a, &envoy__config__core__v3__metadata__filter_metadata_entry__descriptor);

    entry->key = copy_text(a, METADATA_KEY);
    entry->value = make(a, &google__protobuf__struct__descriptor);
    entry->value->fields = make_array(a, 3);
    add_field(a, entry->value, "pod", from->pod);
    add_field(a, entry->value, "uid", from->uid);
    add_field(a, entry->value, "node", from->node);
    metadata->n_filter_metadata = 1;
    metadata->filter_metadata = make_array(a, 1);
    metadata->filter_metadata[0] = entry;
    return entry->value->n_fields == 0 ? NULL : metadata;
}

static Envoy__Config__Endpoint__V3__LbEndpoint *make_endpoint(struct arena *a, const struct eligible *from)
{
    Envoy__Config__Endpoint__V3__LbEndpoint *e = make(a, &envoy__config__endpoint__v3__lb_endpoint__descriptor);

    e->host_identifier_case = ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT;
    e->endpoint = make(a, &envoy__config__endpoint__v3__endpoint__descriptor);
    e->endpoint->address = make_address(a, &from->endpoint->addr);
    e->health_status =
        from->is_draining ? ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING : ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__HEALTHY;
    e->metadata = make_metadata(a, from->endpoint);
    return e;
}

/* The endpoints of one zone. Its weight is their number, so that all endpoints weigh the same whatever their zone. */
static Envoy__Config__Endpoint__V3__LocalityLbEndpoints *make_locality(struct arena *a, const struct eligible *endpoints,
                                                                       size_t count)
{
    Envoy__Config__Endpoint__V3__LocalityLbEndpoints *l =
        make(a, &envoy__config__endpoint__v3__locality_lb_endpoints__descriptor);
    uint32_t healthy = 0;

    l->locality = make(a, &envoy__config__core__v3__locality__descriptor);
    l->locality->zone = copy_text(a, endpoints[0].endpoint->zone);
    l->n_lb_endpoints = count;
    l->lb_endpoints = make_array(a, count);
    for (size_t i = 0; i < count; i++) {
        l->lb_endpoints[i] = make_endpoint(a, &endpoints[i]);
        healthy += endpoints[i].is_draining ? 0 : 1;
    }
    l->load_balancing_weight = make_u32(a, healthy == 0 ? 1 : healthy);
    return l;
}

static size_t zone_length(const struct eligible *endpoints, size_t count)
{
    size_t len = 1;

    while (len < count && strcmp(endpoints[len].endpoint->zone, endpoints[0].endpoint->zone) == 0) {
        len++;
    }
    return len;
}

struct encoded encode_endpoints(const char *name, const struct eligible *endpoints, size_t count)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment cla;
    struct arena a;
    struct encoded out;

    envoy__config__endpoint__v3__cluster_load_assignment__init(&cla);
    arena_init(&a, SIZE_MAX);
    cla.cluster_name = copy_text(&a, name);
    cla.endpoints = make_array(&a, count); /* at most one locality an endpoint */
    for (size_t done = 0, len = 0; done < count; done += len) {
        len = zone_length(endpoints + done, count - done);
        cla.endpoints[cla.n_endpoints++] = make_locality(&a, endpoints + done, len);
    }
    out = pack(&cla.base);
    arena_deinit(&a);
    return out;
}
