/* SPDX-License-Identifier: Apache-2.0 */

#include "api/model/eligible.h"

bool eligible_depends_on_node(const struct backend *b)
{
    return b->service->is_local_only && b->service->type == SERVICE_CLUSTER_IP;
}

static bool is_ready(const struct backend *b, const struct backend_endpoint *e)
{
    return e->is_ready || b->service->publishes_not_ready;
}

static bool is_last_resort(const struct backend_endpoint *e)
{
    return e->is_serving && e->is_terminating;
}

/* Family and node; the conditions come later, for the fallback needs to know whether anybody left is ready. */
static size_t reachable_endpoints(const struct backend *b, const struct backend_port *port, enum addr_family family,
                                  struct str node, struct eligible *out)
{
    bool has_family = backend_port_has_family(port, family);
    size_t count = 0;

    for (size_t i = 0; i < port->count; i++) {
        const struct backend_endpoint *e = &port->endpoints[i];

        if (has_family && e->addr.family != family) {
            continue;
        }
        if (eligible_depends_on_node(b) && (node.len == 0 || !str_eq(str_from(e->node), node))) {
            continue;
        }
        out[count++] = (struct eligible){.endpoint = e};
    }
    return count;
}

size_t eligible_endpoints(const struct backend *b, const struct backend_port *port, enum addr_family family, struct str node,
                          struct eligible *out)
{
    size_t reachable = reachable_endpoints(b, port, family, node, out);
    size_t count = 0;
    bool has_ready = false;

    for (size_t i = 0; i < reachable; i++) {
        has_ready = has_ready || is_ready(b, out[i].endpoint);
    }
    for (size_t i = 0; i < reachable; i++) {
        const struct backend_endpoint *e = out[i].endpoint;

        if (is_ready(b, e) || is_last_resort(e)) {
            out[count++] = (struct eligible){.endpoint = e, .is_draining = has_ready && !is_ready(b, e)};
        }
    }
    return count;
}
