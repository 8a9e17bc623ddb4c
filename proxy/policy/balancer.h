/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which endpoint gets the next request, from what this client alone can see:
 *
 *     cost = e · (in_flight + 1)³ / success²         the least of five random endpoints is picked
 *
 * `e` is the average time to first byte, taken as the median m of all the Service's endpoints while it is within a quarter of it:
 * without that dead band, noise makes equal endpoints look unequal. What an endpoint did a while ago fades if it was not asked since.
 * An endpoint that was never measured counts as the median, so a new one takes its share at once and is not flooded.
 *
 * A request counts as in flight until the body of its response begins, and for a tenth from then on: a stream that stays open for days
 * says little about how busy its endpoint is.
 *
 * Weights: an endpoint of three times the weight of the lightest is as good as three of them: it is drawn three times as often, and the
 * queue it is judged by is that of one of the three, among which its requests in flight are spread. Equal weights have no effect.
 *
 *     failures in a row ─▶ ejected 5 s · 2ⁿ ─▶ trial ─ success ─▶ as before
 *                                    ▲────────── failure ┘
 *
 * At most half of the endpoints are ejected, and an ejected one is still better than none. A failed connect only makes requests pass
 * the endpoint over for a while; that may rule out all of them.
 *
 * Owner:   stateless; what is known lives in the endpoints' stats and their set.
 * Threads: the set's worker; in-flight counts are shared with the other workers.
 * Errors:  no endpoint is an ordinary outcome: NULL.
 * Limits:  a pick looks at about five endpoints, at most at 64 unless none of those can be used, then at the rest until one can.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/usec.h"
#include "policy/endpoint_set.h"

/* NULL: none is left that is not `tried`, draining or waiting for its next connect. Does not count the request: see balancer_started. */
struct endpoint_stats *balancer_pick(struct endpoint_set *set, struct usec now, struct rng *rng,
                                     struct endpoint_stats *const *tried, size_t tried_count);

/* The request counts as in flight from the pick on, while its connection is being made too, until it is over. */
void balancer_started(struct endpoint_stats *s);
void balancer_ended(struct endpoint_stats *s, bool was_streaming);

/* Its response's body has begun: from now on it counts for a tenth (load.h says why). */
void balancer_streaming(struct endpoint_stats *s);

/*
 * From HEADERS given to an established connection to the first byte of a response. Not for a response that is itself a failure (a
 * trailers-only error): failing fast is not being fast.
 */
void balancer_latency(struct endpoint_set *set, struct endpoint_stats *s, struct usec first_byte, struct usec now);

/* The outcome of a request that reached the endpoint. `s` may have left the set. */
void balancer_succeeded(struct endpoint_set *set, struct endpoint_stats *s, struct usec now);
void balancer_failed(struct endpoint_set *set, struct endpoint_stats *s, struct usec now, struct rng *rng);

/* The outcome of a connect, whoever asked for it. Failures of connects that were begun before the last one failed count once. */
void balancer_connect_failed(struct endpoint_stats *s, struct usec now, struct rng *rng);
void balancer_connected(struct endpoint_stats *s);

struct balancer_view {
    struct usec latency; /* average time to first byte, or the peers' median if never measured; 0 if nothing ever was */
    bool is_measured;
    double success;     /* (0, 1] */
    uint32_t in_flight; /* over all workers */
    bool is_ejected;
    struct usec ejected_until; /* 0 unless ejected */
    bool is_backing_off;
    struct usec connect_after; /* 0 unless backing off */
    bool is_draining;
    double cost; /* comparable within the set */
};

/* What the balancer thinks of one endpoint, for people and metrics. */
void balancer_view(const struct endpoint_stats *s, const struct endpoint_set *set, struct usec now,
                   struct balancer_view *ret_view);
