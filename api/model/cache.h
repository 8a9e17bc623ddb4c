/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Encoded resources by type and name; under one name, one for each view that matters to it. A resource says which parts of the view
 * went into it: views that agree in these share it.
 *
 * Owner:   embedded; holds one reference to each resource.
 * Threads: the api's loop thread.
 * Errors:  none.
 * Limits:  RESOURCES_CACHE_MAX resources; an insert past that empties it first.
 */

#include <stddef.h>

#include "base/hash.h"
#include "base/str.h"

#include "api/model/resources.h"

enum cache_depends { DEPENDS_NOTHING = 0, DEPENDS_NAMESPACE = 1, DEPENDS_NODE = 2 };

struct cache {
    struct hash_table names;
    size_t count;
};

void cache_init(struct cache *c);
void cache_deinit(struct cache *c);
void cache_clear(struct cache *c);

/* A reference for the caller, or NULL. */
struct resource *cache_find(const struct cache *c, enum resource_type type, struct str name, const struct view *view);

/* `depends`: bits of enum cache_depends that were read from `view`. */
void cache_insert(struct cache *c, struct resource *res, const struct view *view, unsigned depends);

/* All views of it. */
void cache_drop(struct cache *c, enum resource_type type, struct str name);
