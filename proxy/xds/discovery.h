/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The discovery client: one delta ADS stream to outrigger-api (xDS v3), on the control thread. Subscribes to `Listener "IP:port"` when a
 * worker first asks for it, follows RDS, CDS and EDS from there, and publishes an immutable snapshot to every worker's directory each
 * time a complete answer changes. "Complete" means listener, route, clusters and endpoints have all arrived.
 *
 * While the api is away what is known stays known; reconnects name what is held (initial_resource_versions) and back off with jitter.
 *
 * Owner:   the program.
 * Threads: the control loop's, except where a function says "any".
 * Errors:  a resource that cannot be used is NACKed with the reason; its last good version stays.
 * Limits:  4 MiB a message, nesting 32, twice DIRECTORY_MAX addresses over all workers; one more stays without an answer.
 */

#include "base/addr.h"
#include "base/metric.h"
#include "base/usec.h"
#include "net/loop.h"
#include "xds/snapshot.h"

struct discovery;
struct directory;

struct discovery_options {
    const char *api_address;    /* "host:port"; "" switches discovery off: every destination stays without answer */
    const char *node_id;        /* pod name or host name */
    const char *node_namespace; /* Node.metadata {namespace, pod, node} */
    const char *node_pod;
    const char *node_name;
    struct usec connect_timeout;
};

/* Also what /metrics and /ready want to know. */
struct discovery_status {
    bool is_connected; /* a stream is open and the api has answered the connection (its SETTINGS came) */
    bool has_ever_answered;
    uint64_t connects;
    uint64_t disconnects;
    uint64_t updates; /* responses taken */
    uint64_t nacks;
    size_t subscriptions; /* Listener names held */
    char last_error[160]; /* "" if none */
};

struct discovery *discovery_new(struct loop *control, const struct discovery_options *options);
void discovery_start(struct discovery *d);
void discovery_free(struct discovery *d); /* directories must be gone */

struct discovery_status discovery_status(const struct discovery *d);
