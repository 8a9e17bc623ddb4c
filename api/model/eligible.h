/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which endpoints of a Service port get requests, by kube-proxy's rules: those of the wanted family (of the other one when there is
 * none), on the caller's node when the Service says internalTrafficPolicy: Local, and of these the ready ones; serving ones that
 * terminate finish what they have, or serve when nobody is ready.
 *
 * Threads: any; pure.
 * Limits:  at most port->count results.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/str.h"

#include "api/model/backend.h"

struct eligible {
    const struct backend_endpoint *endpoint;
    bool is_draining;
};

/* Fills `out` (room for port->count) in the port's order; returns how many. `node` counts for local-only Services. */
size_t eligible_endpoints(const struct backend *b, const struct backend_port *port, enum addr_family family, struct str node,
                          struct eligible *out);

/* internalTrafficPolicy: Local binds who goes through the Service's own addresses; a headless Service has none. */
bool eligible_depends_on_node(const struct backend *b);
