/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What endpoint.c and cluster.c know of each other; nobody else includes this.
 *
 * Owner:   the worker owns the table, the table its clusters, a cluster its endpoints.
 * Threads: the worker's.
 */

#include "flow/cluster.h"

struct cluster_table {
    struct worker *worker; /* owner */
    struct load_registry *loads;
    struct hash_table by_name;
    struct list all;      /* listed and retired */
    size_t cluster_count; /* listed and retired */
    struct list idle;     /* clusters without users, the longest idle first */
};

/* A new endpoint of `c`, in its set. */
struct endpoint *endpoint_new(struct cluster *c, const struct snapshot_endpoint *from);

/* Its tier, weight and draining state are as the snapshot says; if it was leaving, it is present again. */
void endpoint_update(struct endpoint *e, const struct snapshot_endpoint *from);

/* It is not in the snapshot any more: nothing new goes there; it is freed after its last stream. May free it, and its cluster. */
void endpoint_leave(struct endpoint *e);
void endpoint_free_if_unused(struct endpoint *e);
void cluster_free_if_unused(struct cluster *c);

enum endpoint_state endpoint_state(const struct balancer_view *view);
