/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the control plane says a dialled address is: an immutable, reference-counted description. It only describes; each worker
 * reconciles its own endpoints against it (flow/cluster).
 *
 *     10.96.0.10:50051 ─▶ snapshot { DESTINATION_HTTP, routes ─▶ backends[0] = "default/greeter:50051" ─▶ endpoints }
 *
 * Owner:   whoever holds a reference; built by discovery on the control thread.
 * Threads: any; the count is atomic, the rest never changes once published.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "policy/route.h"

#define SNAPSHOT_PRIORITIES 4

enum destination_kind {
    DESTINATION_ABSENT, /* definitely not a Service: raw TCP to the original destination */
    DESTINATION_TCP,    /* a Service that wants to stay raw TCP */
    DESTINATION_HTTP,   /* balanced request by request */
};

struct snapshot_endpoint {
    struct addr addr;
    const char *uid;  /* pod uid, "" where there is none; identity is (cluster, addr, uid) */
    const char *name; /* pod name for people, "" where there is none */
    uint32_t weight;  /* ≥ 1 */
    uint8_t priority; /* 0 first; the next one is for when none of it can be used. < SNAPSHOT_PRIORITIES */
    bool is_draining; /* serves what it has, gets nothing new */
};

struct snapshot_backend {
    const char *name; /* cluster name, "default/greeter:50051": also the metrics label */
    uint64_t version; /* grows with every change of this cluster in any snapshot; ≥ 1, unique in the process */
    const struct snapshot_endpoint *endpoints;
    size_t endpoint_count;
};

struct snapshot {
    _Atomic uint32_t refs;
    struct addr addr;
    enum destination_kind kind;
    const char *name;           /* of the Listener's Service for labels and logs; "" when absent */
    struct route_table *routes; /* indexes into backends; NULL unless HTTP */
    const struct snapshot_backend *backends;
    size_t backend_count;
};

struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot **s); /* nulls the caller's link; accepts NULL inside */
