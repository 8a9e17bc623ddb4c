/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The pure heart of the api: a world (model.h) becomes xDS resources, one at a time, when somebody asks for their name.
 *
 *     world ── resources_apply ─▶ struct resources ── resources_lookup(type, name, view) ─▶ struct resource {version, bytes}
 *                    └─ tells the names whose answer may have changed
 *
 * The names:
 *   Listener, Route   "10.96.0.10:50051", "[fd00::a]:50051"      a ClusterIP, load-balancer or external IP
 *                     "10.244.1.7:50051"                         a pod's IP and target port, when a Service's slices hold it
 *                     "checkout.shop:50051", "checkout.shop.svc:50051", "checkout.shop.svc.cluster.local:50051",
 *                     "checkout:50051" (asked from its own namespace)
 *   Cluster, Endpoints "shop/checkout:50051"                     namespace/service:port, the Service's label in metrics too
 *                     "shop/checkout:50051/IPv6"                 the second family of a dual-stack Service
 *                     "10.244.1.7:50051"                         one pod alone
 * A Listener's child is the Route of the same name, a Route's children are Clusters, a Cluster's child is the Endpoints of the same
 * name.
 *
 * Owner:   the program; resources are reference-counted and immutable.
 * Threads: the api's loop thread.
 * Errors:  none; a name that is not known is NULL: once `resources_is_synced`, that is a definite negative.
 * Limits:  RESOURCES_CACHE_MAX encoded resources are kept; past that the cache starts afresh. References stay valid.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define RESOURCES_CACHE_MAX 50000

struct world;
struct resources;

enum resource_type { RESOURCE_LISTENER, RESOURCE_ROUTE, RESOURCE_CLUSTER, RESOURCE_ENDPOINTS, RESOURCE_TYPE_COUNT };

/* Who asks: Node.metadata {namespace, node}. Empty where the client did not say. */
struct view {
    struct str namespace;
    struct str node;
};

struct resource {
    unsigned refs;
    enum resource_type type;
    struct str name;
    char version[17];   /* hex of a hash over the bytes: equal bytes have equal versions, across restarts and replicas */
    struct str bytes;   /* the encoded message; with resource_type_url it makes a google.protobuf.Any */
    size_t child_count; /* what a client will ask next; of the next type in enum order */
    struct str *children;
};

/* "type.googleapis.com/envoy.config.listener.v3.Listener" and so on. Static. */
const char *resource_type_url(enum resource_type type);

/* False for a type URL that is none of ours. */
bool resource_type_from_url(struct str url, enum resource_type *ret_type) MUST_CHECK;

/* "listener", "route", "cluster", "endpoints": for metrics and logs. Static. */
const char *resource_type_label(enum resource_type type);

/* `cluster_domain`: "cluster.local". Empty of all names and not synced until the first apply. */
struct resources *resources_new(struct str cluster_domain);
void resources_free(struct resources *r);

/*
 * Answers come from this world from now on. Then `on_changed` is called for each name whose answer may differ from before (appeared,
 * vanished, changed), each at most once; compare versions to know. It may call resources_lookup, but not resources_apply.
 * `on_changed` may be NULL.
 */
typedef void (*resource_changed_fn)(enum resource_type type, struct str name, void *ctx);
void resources_apply(struct resources *r, struct world *w, resource_changed_fn on_changed, void *ctx);

/* True after the first apply: only then may a missing name be reported as missing. */
bool resources_is_synced(const struct resources *r);

/* A reference for the caller, or NULL when there is no such resource in this view. */
struct resource *resources_lookup(struct resources *r, enum resource_type type, struct str name, const struct view *view);

struct resource *resource_ref(struct resource *res);
void resource_unref(struct resource **res); /* accepts a NULL inside */
