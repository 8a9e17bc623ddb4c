/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Puts decoded resources together into a snapshot, sharing them.
 *
 * Threads: the control thread's.
 */

#include "xds/config.h"
#include "xds/snapshot.h"

struct snapshot_part {
    struct config *endpoints; /* NULL: none */
    uint64_t version;
};

struct snapshot_parts {
    struct addr addr;
    enum destination_kind kind;
    const char *name;
    struct config *route;                 /* NULL unless HTTP */
    const struct snapshot_part *backends; /* one for each of the route's clusters */
    size_t backend_count;
};

/* One reference, the caller's. Takes references of its own on what the parts name. */
struct snapshot *snapshot_build(const struct snapshot_parts *parts);
