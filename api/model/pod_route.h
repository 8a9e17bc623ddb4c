/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The routes of a pod's own address. Whoever dialled it named, in :authority, either a Service that the pod belongs to (a headless
 * one, or one whose address a socket-level balancer had already replaced): then each request goes to that Service. Or something else,
 * such as the pod itself: then the pod is kept.
 *
 *     virtual host "shop/db:5432"       domains db.shop, db.shop:5432, db.shop.svc, …   → cluster shop/db:5432
 *     virtual host "10.244.1.7:5432"    domain *                                        → the pod alone
 *
 * Owner:   embedded; owns its texts.
 * Threads: any; pure.
 * Errors:  none.
 * Limits:  POD_ROUTE_SERVICES_MAX Services a pod; those past it are not told apart by name.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#include "api/model/claims.h"
#include "api/model/encode.h"

#define POD_ROUTE_SERVICES_MAX 64

struct pod_route {
    size_t host_count;
    struct encode_virtual_host hosts[POD_ROUTE_SERVICES_MAX + 1];
};

/* `namespace` of the asking pod: there a bare "db" means its own "db". Empty when unknown. */
void pod_route_init(struct pod_route *r, const struct claimed_address *address, struct str namespace, struct str cluster_domain);
void pod_route_deinit(struct pod_route *r);

/* The cluster of a Service port for clients that dialled an address of this family. Free with mem_free. */
char *cluster_name(const struct backend *b, const struct backend_port *port, enum addr_family family);
