/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One worker: a loop on its own thread, and everything the connections on it share.
 *
 * Owner:   the program.
 * Threads: worker_new, worker_start, worker_drain, worker_stop, worker_call are for the control thread; all else is the worker's.
 * Limits:  see the parts.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/metric.h"
#include "flow/body_copy.h"
#include "flow/cluster.h"
#include "flow/deadlines.h"
#include "flow/metrics.h"
#include "flow/options.h"
#include "h2/host.h"
#include "net/loop.h"
#include "net/splice.h"
#include "net/timer.h"
#include "policy/detect.h"
#include "policy/retry.h"
#include "policy/server_first.h"
#include "xds/directory.h"

struct worker {
    unsigned index;
    struct flow_options own_options;
    const struct flow_options *options; /* those, or the program's where no budget is shared */
    struct loop *loop;
    struct slab *slab; /* the loop's */
    struct h2_host h2;
    struct directory *directory;
    struct load_registry *loads; /* link: the program's */
    struct cluster_table *clusters;
    struct splice_pool *pipes;
    struct server_first *server_first;
    struct flow_metrics metrics;
    struct copy_budget copies;  /* this worker's share of retry_process_bytes */
    struct copy_budget headers; /* of outbound requests whose response has not begun */
    struct retry_policy retry_policy;
    struct detect_policy detect_policy;
    struct list connections; /* of struct connection */
    uint32_t connection_count;
    uint64_t last_connection_id;
    struct deadlines deadlines;
    struct timer janitor; /* once a second: idle clusters, expired memory */
    bool is_draining;
    struct worker_thread *thread; /* NULL until started */
};

/* `loads` is shared by all workers and outlives them. */
struct worker *worker_new(unsigned index, const struct flow_options *options, struct metric_shard *shard,
                          struct discovery *discovery, struct load_registry *loads, uint64_t rng_seed);

/* Frees what is left (connections are closed). The thread must have been stopped. */
void worker_free(struct worker *w);

int worker_start(struct worker *w) MUST_CHECK;

/* Runs `fn(w, arg)` on the worker's thread and waits for it, at most `limit`. False: it did not get to it in time, and will not. */
bool worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg, struct usec limit);

/* HTTP/2 connections get GOAWAY in two steps; raw ones go on. */
void worker_drain(struct worker *w);

/* Closes every connection, then ends and joins the thread. */
void worker_stop(struct worker *w);

/* Connections left; any thread. */
uint32_t worker_connections(struct worker *w);
