/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Aggregated Discovery Service (xDS v3) over plain HTTP/2: takes connections, knows the methods, ends in order.
 *
 *     listener ─▶ h2 session ─┬─ …/DeltaAggregatedResources ──▶ delta_stream   (our proxies)
 *                             └─ …/StreamAggregatedResources ─▶ sotw_stream    (gRPC's own xDS clients)
 *
 * Owner:   the program.
 * Threads: the loop's.
 * Errors:  negative errno from ads_server_open; what a proxy does wrong ends its stream or its connection only.
 * Limits:  ads_server_options; 16 streams a connection; a connection without a stream ends after 30 s; a silent peer with a stream is
 *          asked after 20 s and given up 20 s later.
 */

#include <stdint.h>

#include "base/addr.h"
#include "base/container.h"
#include "base/usec.h"
#include "net/loop.h"

#include "api/metrics.h"
#include "api/model/resources.h"

struct ads_server;
struct world;

struct ads_server_options {
    struct addr listen; /* 0.0.0.0 takes [::] along */
    uint64_t max_connections;
    uint64_t max_streams;
    uint64_t max_subscriptions; /* of one stream */
    struct usec stream_max_age; /* 0: never */
};

int ads_server_open(struct loop *l, const struct ads_server_options *options, struct resources *r, struct api_metrics *m,
                    struct ads_server **ret_server) MUST_CHECK;

/* All connections are cut; needs one more turn of the loop, or loop_free, to give the memory back. Accepts NULL inside. */
void ads_server_close(struct ads_server **s);

struct addr ads_server_addr(const struct ads_server *s);

/* As ads_hub_print. */
void ads_server_print(struct ads_server *s, struct str client, struct text *out);

/* Answers come from this world from now on; what changed is pushed. */
void ads_server_apply(struct ads_server *s, struct world *w);

/*
 * Stops accepting, ends the streams with UNAVAILABLE and says GOAWAY; `on_drained(ctx)` is called from the loop when the last
 * connection is gone.
 */
void ads_server_drain(struct ads_server *s, void (*on_drained)(void *ctx), void *ctx);
