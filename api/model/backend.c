/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The join collects every (endpoint, port) pair of the slices, sorts by address so that doubles meet, keeps the best of each, and
 * sorts by zone for the localities.
 */

#include "api/model/backend.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int compare_addr(const struct addr *a, const struct addr *b)
{
    int by_ip;

    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    by_ip = memcmp(a->bytes, b->bytes, sizeof a->bytes);
    if (by_ip != 0) {
        return by_ip;
    }
    return a->port == b->port ? 0 : a->port < b->port ? -1 : 1;
}

/* Higher is better: ready, then serving, then neither; and what is not terminating before what is. */
static int rank(const struct backend_endpoint *e)
{
    return (e->is_ready ? 4 : 0) + (e->is_serving ? 2 : 0) + (e->is_terminating ? 0 : 1);
}

/* Equal addresses with the best first; equal ranks in an order that does not depend on how the slices came in. */
static int by_address(const void *left, const void *right)
{
    const struct backend_endpoint *a = left, *b = right;
    int order = compare_addr(&a->addr, &b->addr);

    if (order == 0) {
        order = rank(b) - rank(a);
    }
    if (order == 0) {
        order = strcmp(a->uid, b->uid);
    }
    return order != 0 ? order : strcmp(a->zone, b->zone);
}

int backend_endpoint_compare(const struct backend_endpoint *a, const struct backend_endpoint *b)
{
    int order = strcmp(a->zone, b->zone);

    return order != 0 ? order : compare_addr(&a->addr, &b->addr);
}

bool backend_endpoint_eq(const struct backend_endpoint *a, const struct backend_endpoint *b)
{
    return addr_eq(&a->addr, &b->addr) && a->is_ready == b->is_ready && a->is_serving == b->is_serving &&
           a->is_terminating == b->is_terminating && strcmp(a->pod, b->pod) == 0 && strcmp(a->uid, b->uid) == 0 &&
           strcmp(a->node, b->node) == 0 && strcmp(a->zone, b->zone) == 0;
}

static int by_zone(const void *left, const void *right)
{
    return backend_endpoint_compare(left, right);
}

static struct backend_endpoint make_endpoint(const struct slice_endpoint *from, uint16_t port)
{
    struct backend_endpoint e = {
        .addr = from->ip,
        .is_ready = from->is_ready,
        .is_serving = from->is_serving,
        .is_terminating = from->is_terminating,
        .pod = from->pod,
        .uid = from->uid,
        .node = from->node,
        .zone = from->zone,
    };

    e.addr.port = port;
    return e;
}

static bool ports_match(const struct slice_port *from, const struct service_port *port)
{
    return from->number != 0 && strcmp(from->name, port->name) == 0;
}

static size_t count_candidates(const struct backend *b, const struct service_port *port)
{
    size_t count = 0;

    for (size_t i = 0; i < b->slice_count; i++) {
        for (size_t p = 0; p < b->slices[i]->port_count; p++) {
            count += ports_match(&b->slices[i]->ports[p], port) ? b->slices[i]->endpoint_count : 0;
        }
    }
    return count;
}

static void collect_slice(struct backend_port *into, const struct slice *slice)
{
    for (size_t p = 0; p < slice->port_count; p++) {
        if (!ports_match(&slice->ports[p], into->port)) {
            continue;
        }
        for (size_t e = 0; e < slice->endpoint_count; e++) {
            into->endpoints[into->count++] = make_endpoint(&slice->endpoints[e], slice->ports[p].number);
        }
    }
}

/* The first of each address stays; past the limit they are only counted. */
static void drop_doubles(struct backend_port *port)
{
    size_t kept = 0;

    for (size_t i = 0; i < port->count; i++) {
        if (kept > 0 && addr_eq(&port->endpoints[kept - 1].addr, &port->endpoints[i].addr)) {
            continue;
        }
        if (kept == BACKEND_ENDPOINTS_MAX) {
            port->left_out++;
            continue;
        }
        port->endpoints[kept++] = port->endpoints[i];
    }
    port->count = kept;
}

static void join_port(const struct backend *b, struct backend_port *into, const struct service_port *port)
{
    into->port = port;
    into->is_http = service_port_is_http(b->service, port);
    into->endpoints = mem_alloc_array(count_candidates(b, port), sizeof *into->endpoints);
    for (size_t i = 0; i < b->slice_count; i++) {
        collect_slice(into, b->slices[i]);
    }
    if (into->count > 1) {
        qsort(into->endpoints, into->count, sizeof *into->endpoints, by_address);
        drop_doubles(into);
        qsort(into->endpoints, into->count, sizeof *into->endpoints, by_zone);
    }
}

struct backend *backend_new(struct service *service, struct slice *const *slices, size_t slice_count)
{
    struct backend *b = mem_alloc(sizeof *b);

    b->refs = 1;
    b->service = service_ref(service);
    b->slice_count = slice_count;
    b->slices = mem_alloc_array(slice_count, sizeof(struct slice *));
    for (size_t i = 0; i < slice_count; i++) {
        b->slices[i] = slice_ref(slices[i]);
    }
    b->ports = mem_alloc_array(service->port_count, sizeof *b->ports);
    for (size_t i = 0; i < service->port_count; i++) {
        join_port(b, &b->ports[i], &service->ports[i]);
    }
    return b;
}

struct backend *backend_ref(struct backend *b)
{
    b->refs++;
    return b;
}

void backend_unref(struct backend **b)
{
    struct backend *old = *b;

    *b = NULL;
    if (old == NULL || --old->refs > 0) {
        return;
    }
    for (size_t i = 0; i < old->service->port_count; i++) {
        mem_free(old->ports[i].endpoints);
    }
    for (size_t i = 0; i < old->slice_count; i++) {
        slice_unref(&old->slices[i]);
    }
    mem_free(old->ports);
    mem_free(old->slices);
    service_unref(&old->service);
    mem_free(old);
}

int backend_compare(const struct backend *a, const struct backend *b)
{
    int order = strcmp(a->service->namespace, b->service->namespace);

    return order != 0 ? order : strcmp(a->service->name, b->service->name);
}

const struct backend_port *backend_find_port(const struct backend *b, uint64_t number)
{
    for (size_t i = 0; i < b->service->port_count; i++) {
        if (b->ports[i].port->number == number) {
            return &b->ports[i];
        }
    }
    return NULL;
}

bool backend_port_has_family(const struct backend_port *port, enum addr_family family)
{
    for (size_t i = 0; i < port->count; i++) {
        if (port->endpoints[i].addr.family == family) {
            return true;
        }
    }
    return false;
}

enum addr_family backend_port_primary_family(const struct backend *b, const struct backend_port *port)
{
    if (b->service->primary_family != ADDR_NONE) {
        return b->service->primary_family;
    }
    return backend_port_has_family(port, ADDR_V4) ? ADDR_V4 : ADDR_V6;
}
