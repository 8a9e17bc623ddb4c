/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which resource leads to which: Listener → Route → Clusters → Endpoints. Holds a subscription for each resource that some root
 * (a Listener that somebody dials) leads to, and drops it when none does any more. A resource that changes links its new children
 * before it lets go of the old ones, so that what both name is not asked for again.
 *
 * Owner:   discovery. A root is embedded in whoever wants the answer.
 * Threads: the control loop's.
 * Errors:  a resource that cannot be used leaves its node as it was.
 * Limits:  the caller bounds its roots; a Route names at most CONFIG_CLUSTERS_MAX clusters; all that is held together, the GRAPH_*_MAX
 *          below: a resource that would pass one of them is refused, and its last good version stays.
 */

#include "base/list.h"
#include "xds/ads_client.h"
#include "xds/build.h"

#define GRAPH_LINKS_MAX 200000u                    /* from a resource to one that it names */
#define GRAPH_ENDPOINTS_MAX 250000u                /* each costs every worker that uses it about a kilobyte */
#define GRAPH_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of resources as they came; decoded they take up to three times as much */

struct graph;
struct graph_node;

struct graph_root {
    struct graph_node *node; /* the Listener; NULL unless held */
    struct list changed;     /* for the caller: linked or not is its own business */
    /* Something that this root leads to has changed. Called while a response is being taken: note it, act later. */
    void (*on_changed)(struct graph_root *r);
};

struct graph *graph_new(struct loop *l, const struct discovery_options *options);
void graph_start(struct graph *g);
void graph_free(struct graph *g); /* no root may be held */

/* `name` must not be held by another root. */
void graph_hold(struct graph *g, struct graph_root *r, struct str name, void (*on_changed)(struct graph_root *r));
void graph_release(struct graph *g, struct graph_root *r);

/*
 * What the root leads to now, as a new snapshot (one reference); NULL while that is not known completely. A Route that has vanished
 * while its Listener stays counts as not known; a Cluster or its Endpoints that have vanished count as no endpoints.
 */
struct snapshot *graph_resolve(const struct graph_root *r, const struct addr *addr);

struct discovery_status graph_status(const struct graph *g);
