/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#include "api/proto/xds.pb-c.h"

struct model *the_model;
struct resources *the_resources;
struct view the_view;

static char answer_text[4096];

void fixture_setup(void)
{
    the_model = model_new();
    the_resources = resources_new(STR("cluster.local"));
    the_view = (struct view){0};
    apply();
}

void fixture_teardown(void)
{
    resources_free(the_resources);
    model_free(the_model);
}

static struct addr ip_from(const char *text)
{
    struct addr ip;

    ck_assert(addr_parse_ip(str_from(text), &ip));
    return ip;
}

void add_ip(struct service *s, const char *ip, enum service_address_kind kind)
{
    struct addr addr = ip_from(ip);

    ck_assert(service_add_address(s, &addr, kind));
}

struct service *service(const char *namespace, const char *name, const char *ip, uint16_t port)
{
    struct service *s = service_new(str_from(namespace), str_from(name));

    ck_assert(service_add_port(s, STR(""), port, STR("")));
    if (ip != NULL) {
        add_ip(s, ip, ADDRESS_CLUSTER_IP);
        s->primary_family = (enum addr_family)s->addresses[0].ip.family;
    }
    return s;
}

struct service *headless(const char *namespace, const char *name, uint16_t port)
{
    struct service *s = service(namespace, name, NULL, port);

    s->type = SERVICE_HEADLESS;
    return s;
}

struct slice *slice(const char *namespace, const char *name, const char *of, uint16_t port)
{
    struct slice *s = slice_new(str_from(namespace), str_from(name), str_from(of));

    if (port != 0) {
        ck_assert(slice_add_port(s, STR(""), port));
    }
    return s;
}

struct slice_endpoint_args endpoint(const char *ip)
{
    return (struct slice_endpoint_args){.ip = ip_from(ip), .is_ready = true, .is_serving = true};
}

void add(struct slice *s, struct slice_endpoint_args e)
{
    ck_assert(slice_add_endpoint(s, &e));
}

void ready(struct slice *s, const char *ip)
{
    add(s, endpoint(ip));
}

void not_ready(struct slice *s, const char *ip)
{
    struct slice_endpoint_args e = endpoint(ip);

    e.is_ready = false;
    e.is_serving = false;
    add(s, e);
}

void terminating(struct slice *s, const char *ip)
{
    struct slice_endpoint_args e = endpoint(ip);

    e.is_ready = false;
    e.is_terminating = true;
    add(s, e);
}

void in_zone(struct slice *s, const char *ip, const char *zone)
{
    struct slice_endpoint_args e = endpoint(ip);

    e.zone = str_from(zone);
    add(s, e);
}

void on_node(struct slice *s, const char *ip, const char *node)
{
    struct slice_endpoint_args e = endpoint(ip);

    e.node = str_from(node);
    add(s, e);
}

void put_service(struct service *s)
{
    ck_assert(model_put_service(the_model, s));
}

void put_slice(struct slice *s)
{
    ck_assert(model_put_slice(the_model, s));
}

void apply(void)
{
    struct world *w = model_commit(the_model);

    resources_apply(the_resources, w, NULL, NULL);
    world_unref(&w);
}

void put_checkout(void)
{
    struct slice *s = slice("shop", "checkout-a", "checkout", 8080);

    ready(s, "10.1.0.1");
    ready(s, "10.1.0.2");
    put_service(service("shop", "checkout", "10.96.0.10", 50051));
    put_slice(s);
    apply();
}

bool exists(enum resource_type type, const char *name)
{
    struct resource *res = resources_lookup(the_resources, type, str_from(name), &the_view);
    bool is_there = res != NULL;

    resource_unref(&res);
    return is_there;
}

/* The decoded message, or NULL when there is no such resource; and it carries its name. */
static void *decode(enum resource_type type, const char *name, const ProtobufCMessageDescriptor *descriptor)
{
    struct resource *res = resources_lookup(the_resources, type, str_from(name), &the_view);
    void *message;

    if (res == NULL) {
        return NULL;
    }
    ck_assert(str_eq(res->name, str_from(name)));
    message = protobuf_c_message_unpack(descriptor, NULL, res->bytes.len, (const uint8_t *)res->bytes.p);
    ck_assert_ptr_nonnull(message);
    resource_unref(&res);
    return message;
}

const char *listener_text(const char *name)
{
    Envoy__Config__Listener__V3__Listener *l =
        decode(RESOURCE_LISTENER, name, &envoy__config__listener__v3__listener__descriptor);

    if (l == NULL) {
        return "absent";
    }
    ck_assert_str_eq(l->name, name);
    if (l->api_listener != NULL) {
        ck_assert_uint_eq(l->n_filter_chains, 0);
        snprintf(answer_text, sizeof answer_text, "http");
    } else {
        Google__Protobuf__Any *any = l->filter_chains[0]->filters[0]->typed_config;
        Envoy__Extensions__Filters__Network__TcpProxy__V3__TcpProxy *tcp =
            envoy__extensions__filters__network__tcp_proxy__v3__tcp_proxy__unpack(NULL, any->value.len, any->value.data);

        snprintf(answer_text, sizeof answer_text, "tcp:%s", tcp->cluster);
        envoy__extensions__filters__network__tcp_proxy__v3__tcp_proxy__free_unpacked(tcp, NULL);
    }
    envoy__config__listener__v3__listener__free_unpacked(l, NULL);
    return answer_text;
}

static size_t count_domain(const Envoy__Config__Route__V3__RouteConfiguration *route, const char *domain)
{
    size_t count = 0;

    for (size_t h = 0; h < route->n_virtual_hosts; h++) {
        for (size_t d = 0; d < route->virtual_hosts[h]->n_domains; d++) {
            count += strcmp(route->virtual_hosts[h]->domains[d], domain) == 0 ? 1 : 0;
        }
    }
    return count;
}

/* Clients refuse a RouteConfiguration in which a domain appears twice. */
static void assert_domains_are_unique(const Envoy__Config__Route__V3__RouteConfiguration *route)
{
    for (size_t h = 0; h < route->n_virtual_hosts; h++) {
        for (size_t d = 0; d < route->virtual_hosts[h]->n_domains; d++) {
            ck_assert_uint_eq(count_domain(route, route->virtual_hosts[h]->domains[d]), 1);
        }
    }
}

static const char *find_domain(const Envoy__Config__Route__V3__RouteConfiguration *route, const char *domain)
{
    for (size_t h = 0; h < route->n_virtual_hosts; h++) {
        for (size_t d = 0; d < route->virtual_hosts[h]->n_domains; d++) {
            if (strcmp(route->virtual_hosts[h]->domains[d], domain) == 0) {
                return route->virtual_hosts[h]->routes[0]->route->cluster;
            }
        }
    }
    return "no such domain";
}

const char *route_cluster(const char *name, const char *domain)
{
    Envoy__Config__Route__V3__RouteConfiguration *route =
        decode(RESOURCE_ROUTE, name, &envoy__config__route__v3__route_configuration__descriptor);

    if (route == NULL) {
        return "absent";
    }
    assert_domains_are_unique(route);
    snprintf(answer_text, sizeof answer_text, "%s", find_domain(route, domain));
    envoy__config__route__v3__route_configuration__free_unpacked(route, NULL);
    return answer_text;
}

static void write_endpoint(struct text *out, const Envoy__Config__Endpoint__V3__LbEndpoint *e)
{
    const Envoy__Config__Core__V3__SocketAddress *address = e->endpoint->address->socket_address;

    text_printf(out, " %s:%u", address->address, address->port_value);
    if (e->health_status == ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING) {
        text_printf(out, " draining");
    } else {
        ck_assert_int_eq(e->health_status, ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__HEALTHY);
    }
}

const char *endpoints_text(const char *name)
{
    Envoy__Config__Endpoint__V3__ClusterLoadAssignment *cla =
        decode(RESOURCE_ENDPOINTS, name, &envoy__config__endpoint__v3__cluster_load_assignment__descriptor);
    struct text out;

    if (cla == NULL) {
        return "absent";
    }
    text_init(&out, sizeof answer_text - 1);
    for (size_t z = 0; z < cla->n_endpoints; z++) {
        const Envoy__Config__Endpoint__V3__LocalityLbEndpoints *zone = cla->endpoints[z];

        text_printf(&out, "%s%s*%u:", z == 0 ? "" : "; ", zone->locality->zone, zone->load_balancing_weight->value);
        for (size_t e = 0; e < zone->n_lb_endpoints; e++) {
            write_endpoint(&out, zone->lb_endpoints[e]);
        }
    }
    memcpy(answer_text, out.p, out.len + 1);
    text_deinit(&out);
    envoy__config__endpoint__v3__cluster_load_assignment__free_unpacked(cla, NULL);
    return answer_text;
}
