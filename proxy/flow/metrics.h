/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The data path's metric families (rows in metrics.def) and the series that every connection needs, looked up once.
 *
 * Owner:   one `struct flow_metrics` a worker, embedded in it.
 * Threads: the worker's; the scrape reads through base/metric.
 */

#include "base/close_reason.h"
#include "base/metric.h"
#include "h2/host.h"
#include "policy/detect.h"

enum flow_family {
#define X(name, kind, metric, labels, help) name,
#include "flow/metrics.def"
#undef X
    FLOW_FAMILY_COUNT
};

/* The program appends its own families after these, so that one engine serves all. */
extern const struct metric_family flow_families[FLOW_FAMILY_COUNT];

enum direction { OUTBOUND, INBOUND, DIRECTION_COUNT };

const char *direction_label(enum direction d);

struct direction_metrics {
    struct metric *http2_connections;
    struct metric *tcp_connections;
    struct metric *refused_connections; /* protocol "none": closed before it was known */
    struct metric *active;
    struct metric *to_server_bytes;
    struct metric *to_client_bytes;
    struct metric *detections[DETECT_LABEL_COUNT];
    struct metric *closes[CLOSE_REASON_COUNT];   /* NULL until first used */
    struct metric *refusals[CLOSE_REASON_COUNT]; /* NULL until first used */
};

struct flow_metrics {
    struct metric_shard *shard;
    struct metric *buffered;
    struct metric *withheld;
    struct metric *buffer_refusals;
    struct metric *buffer_evictions;
    struct direction_metrics direction[DIRECTION_COUNT];
};

void flow_metrics_init(struct flow_metrics *m, struct metric_shard *shard);
void flow_metrics_deinit(struct flow_metrics *m);

/* Brings those of the byte budget up to date. */
void flow_metrics_buffers(struct flow_metrics *m, const struct h2_host *host);

/* Counts the end of a connection. */
void flow_metrics_closed(struct flow_metrics *m, enum direction d, enum close_reason reason);

/* Counts a stream that was refused for what its client sent. */
void flow_metrics_refused(struct flow_metrics *m, enum direction d, enum close_reason reason);
