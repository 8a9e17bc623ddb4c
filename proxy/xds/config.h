/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One xDS resource, decoded and checked, reduced to what the proxy acts on. What it cannot honour it refuses (NACK), because doing
 * something else than what was configured is worse than keeping the last good version.
 *
 * Understood: Listeners with an api_listener, or with a filter chain of an HttpConnectionManager or a TcpProxy; Router as the only
 * HTTP filter that is not optional; prefix and path matches; single and weighted clusters; EDS clusters without TLS; endpoints that
 * are IP addresses. Ignored: timeouts, retry and balancing policies, circuit breakers, outlier detection.
 *
 * Owner:   reference-counted.
 * Threads: built on the control thread; immutable, and the count is atomic, so that snapshots may share it.
 * Errors:  NULL and a sentence.
 * Limits:  CONFIG_ENDPOINTS_MAX, CONFIG_CLUSTERS_MAX, those of policy/route.h, CONFIG_NAME_MAX; nesting GUARD_DEPTH_MAX, CONFIG_ARENA_BYTES while decoding.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "xds/snapshot.h"
#include "xds/xds_type.h"

#define CONFIG_ENDPOINTS_MAX 50000u
#define CONFIG_CLUSTERS_MAX 1024u /* of one Route */
#define CONFIG_NAME_MAX 1024u
#define CONFIG_ARENA_BYTES ((size_t)64 * 1024 * 1024)

struct config {
    _Atomic uint32_t refs;
    enum xds_type type;

    /* Listener */
    enum destination_kind kind;
    char *label;          /* for people: a cluster (TCP) or the stat prefix; may be "" */
    char *route_name;     /* HTTP: the Route to ask for; NULL if it came along: */
    struct config *route; /* inline Route, a reference */

    /* Route */
    struct route_table *table; /* indexes into clusters */
    size_t cluster_count;
    char **clusters; /* no name twice */

    /* Cluster */
    char *endpoints_name;

    /* Endpoints */
    size_t endpoint_count;
    struct snapshot_endpoint *endpoints; /* their texts are in `texts` */
    char *texts;
};

/* `bytes` is the value of the resource's Any. */
struct config *config_decode(enum xds_type type, const uint8_t *bytes, size_t len, struct text *ret_reason);

struct config *config_ref(struct config *c);
void config_unref(struct config **c); /* accepts NULL inside */
