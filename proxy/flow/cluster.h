/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker's clusters and their endpoints: the living side of what snapshots describe. Reconciling keeps every endpoint that is still
 * there, with its EWMA, ejection, in-flight count and connections; one that left gets no new request and lives until its last stream.
 * If it is listed again before that, it comes back as itself. Identity is (cluster, address, pod uid).
 *
 *     snapshot_backend ──reconcile──▶ cluster ─┬─ tier 0 ─┬─ endpoint (stats, pool)
 *                                              │          └─ endpoint …
 *                                              └─ tier 1 …   picked from when nothing of tier 0 can be
 *
 * Owner:   the worker owns the table; connections and exchanges hold references to clusters and endpoints.
 * Threads: the worker's.
 * Limits:  clusters nobody refers to end after the retention time. The control plane bounds their number (DIRECTORY_MAX).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/str.h"
#include "flow/app_load.h"
#include "flow/load_registry.h"
#include "flow/metrics.h"
#include "h2/client_pool.h"
#include "policy/balancer.h"
#include "policy/endpoint_set.h"
#include "policy/retry.h"
#include "xds/snapshot.h"

#define CLUSTER_TRIED_MAX 16
#define GRPC_STATUS_COUNT 17 /* 0–16 of grpc/doc/statuscodes.md */

struct worker;
struct cluster_table;

/* Series of one Service in one direction. */
struct service_metrics {
    enum direction direction;
    const char *service; /* link */
    struct metric_shard *shard;
    struct metric *first_byte;
    struct metric *duration;
    struct metric *in_flight;
    struct metric *by_grpc_status[GRPC_STATUS_COUNT + 1]; /* of HTTP 200; the last is "no grpc-status". NULL until first used */
};

void service_metrics_init(struct service_metrics *m, struct metric_shard *shard, enum direction d, const char *service);
void service_metrics_deinit(struct service_metrics *m);

/* A request has arrived. */
void service_metrics_started(struct service_metrics *m);

/* Counts a finished request. `grpc_status` −1: none was seen. `http_status` 0: no response. */
void service_metrics_finished(struct service_metrics *m, int grpc_status, unsigned http_status, struct usec duration);

/* Counts a request that the proxy answered or reset itself. */
void service_metrics_failed(struct service_metrics *m, enum close_reason reason);

/* What METRIC_ENDPOINTS counts. */
enum endpoint_state { ENDPOINT_READY, ENDPOINT_EJECTED, ENDPOINT_BACKING_OFF, ENDPOINT_DRAINING, ENDPOINT_STATE_COUNT };

/* Per-endpoint series (has_endpoint_metrics). */
struct endpoint_series {
    struct metric *ok;
    struct metric *failed;
    struct metric *in_flight;
    struct metric *latency;
    struct metric *ejected;
};

struct cluster {
    struct hash_node by_name;
    struct list node;      /* on the table's list of all */
    struct list idle_node; /* on the table's list of clusters without users */
    struct cluster_table *table;
    char *name;
    uint32_t users; /* references held by connections and exchanges */
    struct usec idle_since;
    struct endpoint_set tiers[SNAPSHOT_PRIORITIES];
    struct list endpoints;        /* present and leaving */
    struct hash_table by_address; /* the same */
    struct retry_budget retries;
    struct service_metrics metrics;
    struct metric *states[ENDPOINT_STATE_COUNT]; /* refreshed at scrape */
    uint64_t reconciled;                         /* version of the backend it was last reconciled with; 0: never */
    bool is_listed;                              /* in the table, or being taken apart */
};

struct endpoint {
    struct endpoint_stats stats;
    struct cluster *cluster;
    struct list node;
    struct hash_node by_address;
    struct addr addr;
    char text[ADDR_TEXT_SIZE];
    char *uid;
    char *name;
    struct load *load;
    struct client_pool *pool;
    struct endpoint_set *tier;     /* link: the cluster's, by its priority; the set it is in while present */
    struct app_load app;           /* in use if this is the pod itself */
    bool is_app_known;             /* whether it is; asked when it is first picked */
    uint32_t users;                /* exchanges */
    bool is_present;               /* in the latest snapshot */
    bool is_kept;                  /* mark of one reconciliation */
    struct endpoint_series series; /* all NULL unless switched on */
};

struct cluster_table *cluster_table_new(struct worker *w, struct load_registry *loads);

/* Lets all endpoints go, at shutdown: no references may be left. Their sessions end in this turn; then the table may be freed. */
void cluster_table_retire_all(struct cluster_table *t);
bool cluster_table_is_empty(const struct cluster_table *t); /* no endpoint is left of retired clusters either */
void cluster_table_free(struct cluster_table *t);

/* The cluster of that name with the backend's endpoints; one reference more. */
struct cluster *cluster_table_reconcile(struct cluster_table *t, const struct snapshot_backend *backend);

/* The stand-in cluster whose only endpoint is `original`; one reference more. */
struct cluster *cluster_table_original(struct cluster_table *t, const struct addr *original);

struct cluster *cluster_ref(struct cluster *c);
void cluster_unref(struct cluster **c); /* nulls; accepts NULL inside */

/* Picks by policy/balancer; counts it as in flight and takes a reference. NULL: no endpoint left. */
struct endpoint *cluster_pick(struct cluster *c, struct endpoint *const *tried, size_t tried_count);

/* The attempt is over: not in flight any more, reference given back. */
void endpoint_release(struct endpoint **e, bool was_streaming);

/* The body of the attempt's response has begun. */
void endpoint_streaming(struct endpoint *e);

/* What the attempt showed. */
void endpoint_first_byte(struct endpoint *e, struct usec latency);
void endpoint_outcome(struct endpoint *e, bool is_ok);

/* The client gave up after waiting this long for response headers: counts as latency if it is above the average. */
void endpoint_waited(struct endpoint *e, struct usec waited);

/* A request was sent away by GOAWAY twice: the endpoint is passed over for a while, as if it had refused a connection. Without that, an
 * endpoint that sends every connection away would be dialled for every request. */
void endpoint_sent_away(struct endpoint *e);

/* Counts a request that is delivered again. */
void cluster_count_retry(struct cluster *c, enum close_reason reason);

/* Once a second: ends clusters that nobody has used for the retention time. */
void cluster_table_expire(struct cluster_table *t, struct usec now);

/* Brings gauges up to date before a scrape. */
void cluster_table_refresh_metrics(struct cluster_table *t);

/* Endpoints that may be picked: all that are present. */
size_t cluster_endpoint_count(const struct cluster *c);

/* What the balancer thinks, as lines for people. */
void cluster_table_print(struct cluster_table *t, struct text *out);
