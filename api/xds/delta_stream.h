/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One delta ADS stream (DeltaAggregatedResources): requests in, responses out, at most 256 KiB ahead of what the proxy reads.
 *
 * The rules (xDS delta): the first request of a type may bring initial_resource_versions, and an equal version is not sent again; a
 * name that does not exist is reported in removed_resources at once, and again only after it had existed; subscribing again sends
 * again; nothing is told before the store is synced. A NACK is counted and logged; what it refused is sent again when it changes or is
 * subscribed again. The name "*" and a request that names nothing subscribe to nothing: everything is on demand. A resource type that
 * is none of ours has no resources: all its names are removed.
 *
 * Owner:   the hub's list; ends with its call.
 * Threads: the loop's.
 * Errors:  a message that is malformed or breaks a limit ends the stream with INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
 * Limits:  delta_limits; DELTA_REQUEST_BYTES a request; DELTA_PENDING_MAX bytes that the proxy does not read.
 */

#include <stdint.h>

#include "base/list.h"
#include "h2/grpc_call.h"

#include "api/metrics.h"
#include "api/model/resources.h"
#include "api/xds/topics.h"

#define DELTA_REQUEST_BYTES ((size_t)4 * 1024 * 1024)
#define DELTA_PENDING_MAX ((size_t)8 * 1024 * 1024)

struct delta_stream;

struct delta_limits {
    uint64_t subscriptions; /* of one stream, over all types */
    struct usec max_age;    /* about; jittered by a fifth so that streams do not end together. 0: never */
};

/* What all streams of a server share. */
struct delta_hub {
    struct loop *loop;
    struct resources *resources;
    struct api_metrics *metrics;
    struct delta_limits limits;
    struct topics topics;
    struct list streams;
    uint64_t stream_count;
};

void delta_hub_init(struct delta_hub *h, struct loop *l, struct resources *r, struct api_metrics *m, struct delta_limits limits);
void delta_hub_deinit(struct delta_hub *h); /* its streams have ended */

/* The topics that changed are marked; all streams go on. The first time, everything held back is told. */
void delta_hub_apply(struct delta_hub *h, struct world *w);

/* Ends all streams without a word, at once. */
void delta_hub_cut(struct delta_hub *h);

/* Ends all streams with this status. */
void delta_hub_finish(struct delta_hub *h, enum grpc_status status, struct str message);

/* Serves a request for the method. `peer` is for logs (copied). Takes `headers`. */
void delta_stream_accept(struct delta_hub *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end,
                         const char *peer);
