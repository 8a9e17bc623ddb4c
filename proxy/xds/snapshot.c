/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/snapshot.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "base/object.h"
#include "xds/build.h"

/* A snapshot and what its pointers lead to. */
struct built {
    struct snapshot snapshot;
    char *name;                /* the snapshot's */
    struct config *route;      /* owns the table and the backends' names */
    struct config **endpoints; /* own the endpoints; NULL where there are none */
    struct snapshot_backend backends[];
};

struct snapshot *snapshot_build(const struct snapshot_parts *parts)
{
    struct built *b = mem_alloc(sizeof *b + parts->backend_count * sizeof b->backends[0]);

    assert(parts->route != NULL || parts->backend_count == 0);
    b->name = mem_strdup(parts->name);
    b->route = parts->route != NULL ? config_ref(parts->route) : NULL;
    b->endpoints = mem_alloc_array(parts->backend_count + 1, sizeof(struct config *));
    for (size_t i = 0; i < parts->backend_count; i++) {
        struct config *endpoints = parts->backends[i].endpoints;

        b->backends[i] = (struct snapshot_backend){.name = parts->route->clusters[i], .version = parts->backends[i].version};
        if (endpoints != NULL) {
            b->endpoints[i] = config_ref(endpoints);
            b->backends[i].endpoints = endpoints->endpoints;
            b->backends[i].endpoint_count = endpoints->endpoint_count;
        }
    }
    b->snapshot = (struct snapshot){
        .addr = parts->addr,
        .kind = parts->kind,
        .name = b->name,
        .routes = parts->route != NULL ? parts->route->table : NULL,
        .backends = b->backends,
        .backend_count = parts->backend_count,
    };
    atomic_init(&b->snapshot.refs, 1);
    object_created(OBJECT_SNAPSHOT);
    return &b->snapshot;
}

static void free_built(struct built *b)
{
    for (size_t i = 0; i < b->snapshot.backend_count; i++) {
        config_unref(&b->endpoints[i]);
    }
    config_unref(&b->route);
    mem_free(b->endpoints);
    mem_free(b->name);
    mem_free(b);
    object_destroyed(OBJECT_SNAPSHOT);
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(struct snapshot **link)
{
    struct snapshot *s = *link;

    *link = NULL;
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        free_built(container_of(s, struct built, snapshot));
    }
}
