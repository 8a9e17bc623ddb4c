/* SPDX-License-Identifier: Apache-2.0 */

#include "api/model/cache.h"

#include "base/list.h"
#include "base/mem.h"

struct variant {
    struct list in_name;
    struct resource *resource;
    unsigned depends;
    char *namespace;
    char *node;
};

struct cached_name {
    struct hash_node node;
    enum resource_type type;
    char *name;
    struct list variants;
};

static uint64_t hash_key(enum resource_type type, struct str name)
{
    return hash_bytes(name.p, name.len) + (uint64_t)type;
}

static struct cached_name *find_name(const struct cache *c, enum resource_type type, struct str name)
{
    for (struct hash_node *n = hash_first(&c->names, hash_key(type, name)); n != NULL; n = hash_next(n)) {
        struct cached_name *cached = container_of(n, struct cached_name, node);

        if (cached->type == type && str_eq(str_from(cached->name), name)) {
            return cached;
        }
    }
    return NULL;
}

void cache_init(struct cache *c)
{
    hash_init(&c->names);
    c->count = 0;
}

static void free_variants(struct cache *c, struct cached_name *cached)
{
    list_for_each(link, &cached->variants) {
        struct variant *v = list_entry(link, struct variant, in_name);

        list_unlink(link);
        resource_unref(&v->resource);
        mem_free(v->namespace);
        mem_free(v->node);
        mem_free(v);
        c->count--;
    }
}

static void free_name(struct hash_node *node, void *ctx)
{
    struct cached_name *cached = container_of(node, struct cached_name, node);

    free_variants(ctx, cached);
    mem_free(cached->name);
    mem_free(cached);
}

void cache_deinit(struct cache *c)
{
    hash_for_each(&c->names, free_name, c);
    hash_deinit(&c->names);
}

void cache_clear(struct cache *c)
{
    cache_deinit(c);
    cache_init(c);
}

static bool fits(const struct variant *v, const struct view *view)
{
    return ((v->depends & DEPENDS_NAMESPACE) == 0 || str_eq(str_from(v->namespace), view->namespace)) &&
           ((v->depends & DEPENDS_NODE) == 0 || str_eq(str_from(v->node), view->node));
}

struct resource *cache_find(const struct cache *c, enum resource_type type, struct str name, const struct view *view)
{
    const struct cached_name *cached = find_name(c, type, name);

    if (cached == NULL) {
        return NULL;
    }
    list_for_each(link, &cached->variants) {
        const struct variant *v = list_entry(link, struct variant, in_name);

        if (fits(v, view)) {
            return resource_ref(v->resource);
        }
    }
    return NULL;
}

void cache_insert(struct cache *c, struct resource *res, const struct view *view, unsigned depends)
{
    struct cached_name *cached;
    struct variant *v = mem_alloc(sizeof *v);

    if (c->count >= RESOURCES_CACHE_MAX) {
        cache_clear(c);
    }
    cached = find_name(c, res->type, res->name);
    if (cached == NULL) {
        cached = mem_alloc(sizeof *cached);
        cached->type = res->type;
        cached->name = mem_copy_string(res->name.p, res->name.len);
        list_init(&cached->variants);
        hash_insert(&c->names, &cached->node, hash_key(res->type, res->name));
    }
    v->resource = resource_ref(res);
    v->depends = depends;
    v->namespace = mem_copy_string(view->namespace.p, view->namespace.len);
    v->node = mem_copy_string(view->node.p, view->node.len);
    list_push_back(&cached->variants, &v->in_name);
    c->count++;
}

void cache_drop(struct cache *c, enum resource_type type, struct str name)
{
    struct cached_name *cached = find_name(c, type, name);

    if (cached != NULL) {
        hash_remove(&c->names, &cached->node);
        free_name(&cached->node, c);
    }
}
