/* SPDX-License-Identifier: Apache-2.0 */

#include "snapshot.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "sockets.h"
#include "xds/build.h"
#include "xds/decode.h"

#define BACKENDS 2

static uint64_t last_version;

static void must(int result)
{
    assert(result == 0);
}

static struct route_table *make_table(void)
{
    struct route_builder *b = route_builder_new();

    must(route_builder_host(b));
    must(route_builder_domain(b, STR("shop")));
    must(route_builder_route(b, ROUTE_PREFIX, STR("/shop")));
    must(route_builder_backend(b, 0, 1));
    must(route_builder_route(b, ROUTE_PREFIX, STR("/other")));
    must(route_builder_backend(b, 1, 1));
    must(route_builder_route(b, ROUTE_PREFIX, STR("")));
    must(route_builder_backend(b, 0, 3));
    must(route_builder_backend(b, 1, 1));
    return route_builder_finish(b);
}

/* Clusters are shared by the services, as in a mesh. */
static struct config *make_route(unsigned service)
{
    struct config *c = config_new(XDS_ROUTE);

    c->table = make_table();
    c->cluster_count = BACKENDS;
    c->clusters = mem_alloc_array(BACKENDS, sizeof *c->clusters);
    c->clusters[0] = mem_printf("ns/service-%u:80", service);
    c->clusters[1] = mem_printf("ns/shared:80");
    return c;
}

static struct config *make_endpoints(unsigned present, unsigned draining)
{
    struct config *c = config_new(XDS_ENDPOINTS);

    c->endpoints = mem_alloc_array(WORLD_ENDPOINTS, sizeof *c->endpoints);
    for (unsigned i = 0; i < WORLD_ENDPOINTS; i++) {
        if ((present & 1u << i) != 0) {
            struct snapshot_endpoint *e = &c->endpoints[c->endpoint_count++];

            *e = (struct snapshot_endpoint){.uid = (present & 0x80) != 0 ? "reborn" : "", .name = "", .weight = 1 + i};
            sockets_address(WORLD_SERVICES + i, &e->addr);
            e->is_draining = (draining & 1u << i) != 0;
        }
    }
    return c;
}

struct snapshot *make_snapshot(const struct addr *addr, unsigned service, const struct answer *a)
{
    struct config *route = a->kind == DESTINATION_HTTP ? make_route(service) : NULL;
    struct config *first = make_endpoints(a->endpoints, a->draining);
    struct config *second = make_endpoints(~a->endpoints & 0xf, 0);
    struct snapshot_part parts[BACKENDS] = {{first, last_version + 1}, {second, last_version + 2}};
    struct snapshot *s = snapshot_build(&(struct snapshot_parts){.addr = *addr,
                                                                 .kind = a->kind,
                                                                 .name = "fuzz",
                                                                 .route = route,
                                                                 .backends = parts,
                                                                 .backend_count = route != NULL ? BACKENDS : 0});

    last_version += BACKENDS;
    config_unref(&route);
    config_unref(&first);
    config_unref(&second);
    return s;
}
