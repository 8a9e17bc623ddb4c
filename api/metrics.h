/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The api's metric families (rows in metrics.def) and the series that the hot paths need, looked up once.
 *
 * Owner:   the program; api/xds gets a link.
 * Threads: the loop's.
 */

#include "base/metric.h"
#include "base/str.h"

#include "api/model/resources.h"

enum api_family {
#define X(name, kind, metric, labels, help) name,
#include "api/metrics.def"
#undef X
    API_FAMILY_COUNT
};

extern const struct metric_family api_families[API_FAMILY_COUNT];

#define API_METRIC_PREFIX "outrigger_api_"

struct api_type_metrics {
    struct metric *subscriptions;
    struct metric *requests;
    struct metric *responses;
    struct metric *sent;
    struct metric *removed;
    struct metric *nacks;
};

struct api_metrics {
    struct metrics *engine;
    struct metric_shard *shard;
    struct metric *connections;
    struct metric *connections_refused;
    struct metric *streams;
    struct metric *pushes;
    struct metric *synced;
    struct metric *services;
    struct metric *slices;
    struct metric *open_fds;
    struct api_type_metrics type[RESOURCE_TYPE_COUNT];
};

void api_metrics_init(struct api_metrics *m);
void api_metrics_deinit(struct api_metrics *m);

/* Counts a discovery stream that ended with this gRPC status. */
void api_metrics_stream_ended(struct api_metrics *m, int grpc_status);

/* The whole page; brings the process's own gauges up to date first. */
void api_metrics_write(struct api_metrics *m, struct text *out);
