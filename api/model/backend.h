/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A Service joined with its endpoints by kube-proxy's rules: a Service port and a slice port belong together when their names are
 * equal; all slices count; an address that several slices name is one endpoint, with the best conditions anybody reports of it.
 *
 * Owner:   reference-counted, immutable.
 * Threads: the api's loop thread.
 * Errors:  none.
 * Limits:  BACKEND_ENDPOINTS_MAX endpoints of one Service port; the rest is left out and counted in `left_out`.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

#include "api/model/service.h"

#define BACKEND_ENDPOINTS_MAX 10000

/* One pod behind one Service port. The strings belong to the slices that the backend holds. */
struct backend_endpoint {
    struct addr addr; /* pod IP and target port */
    bool is_ready;
    bool is_serving;
    bool is_terminating;
    const char *pod;
    const char *uid;
    const char *node;
    const char *zone;
};

struct backend_port {
    const struct service_port *port;
    bool is_http;
    size_t count;
    struct backend_endpoint *endpoints; /* sorted by zone and address, no address twice, both families */
    size_t left_out;
};

/* A Service with its endpoints. */
struct backend {
    unsigned refs;
    struct service *service;
    size_t slice_count;
    struct slice **slices;      /* keep the endpoints' strings alive */
    struct backend_port *ports; /* service->port_count of them, in the Service's order */
};

/* References the Service and the slices. */
struct backend *backend_new(struct service *service, struct slice *const *slices, size_t slice_count);
struct backend *backend_ref(struct backend *b);
void backend_unref(struct backend **b);

/* By namespace, then name. */
int backend_compare(const struct backend *a, const struct backend *b);

/* The order within a port: by zone, then address. */
int backend_endpoint_compare(const struct backend_endpoint *a, const struct backend_endpoint *b);
bool backend_endpoint_eq(const struct backend_endpoint *a, const struct backend_endpoint *b);

/* The TCP port of this number, or NULL. */
const struct backend_port *backend_find_port(const struct backend *b, uint64_t number);

/* True when any endpoint of the port, whatever its state, is of this family. */
bool backend_port_has_family(const struct backend_port *port, enum addr_family family);

/* The family that the Service's plain cluster name stands for. */
enum addr_family backend_port_primary_family(const struct backend *b, const struct backend_port *port);
