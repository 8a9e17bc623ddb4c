/* SPDX-License-Identifier: Apache-2.0 */

#include "api/model/service.h"

#include <string.h>

#include "base/mem.h"

static char *copy_str(struct str s)
{
    return mem_copy_string(s.p, s.len);
}

/* Room for one more in an array that doubles; `used` of `size`-byte elements are taken. */
static void *grow(void *array, size_t used, size_t size)
{
    bool is_full = (used & (used - 1)) == 0; /* 0, 1, 2, 4, 8 … */

    if (!is_full) {
        return array;
    }
    return mem_realloc_array(array, used == 0 ? 1 : used * 2, size);
}

struct service *service_new(struct str namespace, struct str name)
{
    struct service *s = mem_alloc(sizeof *s);

    s->refs = 1;
    s->namespace = copy_str(namespace);
    s->name = copy_str(name);
    return s;
}

struct service *service_ref(struct service *s)
{
    s->refs++;
    return s;
}

void service_unref(struct service **s)
{
    struct service *old = *s;

    *s = NULL;
    if (old == NULL || --old->refs > 0) {
        return;
    }
    for (size_t i = 0; i < old->port_count; i++) {
        mem_free(old->ports[i].name);
        mem_free(old->ports[i].app_protocol);
    }
    mem_free(old->ports);
    mem_free(old->addresses);
    mem_free(old->namespace);
    mem_free(old->name);
    mem_free(old);
}

bool service_add_port(struct service *s, struct str name, uint16_t number, struct str app_protocol)
{
    if (s->port_count == SERVICE_PORTS_MAX) {
        return false;
    }
    s->ports = grow(s->ports, s->port_count, sizeof *s->ports);
    s->ports[s->port_count++] =
        (struct service_port){.name = copy_str(name), .number = number, .app_protocol = copy_str(app_protocol)};
    return true;
}

bool service_add_address(struct service *s, const struct addr *ip, enum service_address_kind kind)
{
    for (size_t i = 0; i < s->address_count; i++) {
        if (addr_eq_ip(&s->addresses[i].ip, ip)) {
            return true;
        }
    }
    if (s->address_count == SERVICE_ADDRESSES_MAX) {
        return false;
    }
    s->addresses = grow(s->addresses, s->address_count, sizeof *s->addresses);
    s->addresses[s->address_count++] = (struct service_address){.ip = *ip, .kind = kind};
    return true;
}

bool service_port_is_http(const struct service *s, const struct service_port *port)
{
    static const char *const http[] = {"", "http", "http2", "h2c", "kubernetes.io/h2c", "grpc"};

    for (size_t i = 0; i < ARRAY_LEN(http); i++) {
        if (strcmp(port->app_protocol, http[i]) == 0) {
            return !s->has_client_affinity;
        }
    }
    return false;
}

static bool ports_eq(const struct service *a, const struct service *b)
{
    if (a->port_count != b->port_count) {
        return false;
    }
    for (size_t i = 0; i < a->port_count; i++) {
        const struct service_port *pa = &a->ports[i], *pb = &b->ports[i];

        if (pa->number != pb->number || strcmp(pa->name, pb->name) != 0 || strcmp(pa->app_protocol, pb->app_protocol) != 0) {
            return false;
        }
    }
    return true;
}

static bool addresses_eq(const struct service *a, const struct service *b)
{
    if (a->address_count != b->address_count) {
        return false;
    }
    for (size_t i = 0; i < a->address_count; i++) {
        if (a->addresses[i].kind != b->addresses[i].kind || !addr_eq(&a->addresses[i].ip, &b->addresses[i].ip)) {
            return false;
        }
    }
    return true;
}

bool service_eq(const struct service *a, const struct service *b)
{
    return strcmp(a->namespace, b->namespace) == 0 && strcmp(a->name, b->name) == 0 && a->type == b->type &&
           a->has_client_affinity == b->has_client_affinity && a->is_local_only == b->is_local_only &&
           a->publishes_not_ready == b->publishes_not_ready && a->primary_family == b->primary_family && ports_eq(a, b) &&
           addresses_eq(a, b);
}

struct slice *slice_new(struct str namespace, struct str name, struct str service)
{
    struct slice *s = mem_alloc(sizeof *s);

    s->refs = 1;
    s->namespace = copy_str(namespace);
    s->name = copy_str(name);
    s->service = copy_str(service);
    return s;
}

struct slice *slice_ref(struct slice *s)
{
    s->refs++;
    return s;
}

void slice_unref(struct slice **s)
{
    struct slice *old = *s;

    *s = NULL;
    if (old == NULL || --old->refs > 0) {
        return;
    }
    for (size_t i = 0; i < old->port_count; i++) {
        mem_free(old->ports[i].name);
    }
    for (size_t i = 0; i < old->endpoint_count; i++) {
        mem_free(old->endpoints[i].pod);
        mem_free(old->endpoints[i].uid);
        mem_free(old->endpoints[i].node);
        mem_free(old->endpoints[i].zone);
    }
    mem_free(old->ports);
    mem_free(old->endpoints);
    mem_free(old->namespace);
    mem_free(old->name);
    mem_free(old->service);
    mem_free(old);
}

bool slice_add_port(struct slice *s, struct str name, uint16_t number)
{
    if (s->port_count == SLICE_PORTS_MAX) {
        return false;
    }
    s->ports = grow(s->ports, s->port_count, sizeof *s->ports);
    s->ports[s->port_count++] = (struct slice_port){.name = copy_str(name), .number = number};
    return true;
}

bool slice_add_endpoint(struct slice *s, const struct slice_endpoint_args *args)
{
    if (s->endpoint_count == SLICE_ENDPOINTS_MAX) {
        return false;
    }
    s->endpoints = grow(s->endpoints, s->endpoint_count, sizeof *s->endpoints);
    s->endpoints[s->endpoint_count++] = (struct slice_endpoint){
        .ip = args->ip,
        .is_ready = args->is_ready,
        .is_serving = args->is_serving,
        .is_terminating = args->is_terminating,
        .pod = copy_str(args->pod),
        .uid = copy_str(args->uid),
        .node = copy_str(args->node),
        .zone = copy_str(args->zone),
    };
    return true;
}

static bool endpoint_eq(const struct slice_endpoint *a, const struct slice_endpoint *b)
{
    return addr_eq(&a->ip, &b->ip) && a->is_ready == b->is_ready && a->is_serving == b->is_serving &&
           a->is_terminating == b->is_terminating && strcmp(a->pod, b->pod) == 0 && strcmp(a->uid, b->uid) == 0 &&
           strcmp(a->node, b->node) == 0 && strcmp(a->zone, b->zone) == 0;
}

bool slice_eq(const struct slice *a, const struct slice *b)
{
    if (strcmp(a->namespace, b->namespace) != 0 || strcmp(a->name, b->name) != 0 || strcmp(a->service, b->service) != 0 ||
        a->port_count != b->port_count || a->endpoint_count != b->endpoint_count) {
        return false;
    }
    for (size_t i = 0; i < a->port_count; i++) {
        if (a->ports[i].number != b->ports[i].number || strcmp(a->ports[i].name, b->ports[i].name) != 0) {
            return false;
        }
    }
    for (size_t i = 0; i < a->endpoint_count; i++) {
        if (!endpoint_eq(&a->endpoints[i], &b->endpoints[i])) {
            return false;
        }
    }
    return true;
}
