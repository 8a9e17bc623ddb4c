/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every Service name that anything speaks of has an entry: the Service object if it is known, and the slices that carry its name,
 * which may arrive first. A put or remove marks the entry; a commit joins the marked ones anew and merges them, sorted, into the
 * last world's sorted array.
 */

#include "api/model/model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"

struct entry {
    struct hash_node node;
    char *namespace;
    char *name;
    struct service *service; /* NULL while only slices name it */
    struct list slices;      /* of struct slice_entry.in_service */
    struct backend *backend; /* as of the last commit */
    struct list marked;      /* on model.marked since the last commit */
};

struct slice_entry {
    struct hash_node node;
    struct slice *slice;
    struct entry *entry; /* link */
    struct list in_service;
};

struct model {
    struct hash_table entries;
    struct hash_table slices;
    size_t service_count;
    struct list marked;
    size_t marked_count;
    struct world *world;
};

static uint64_t hash_key(struct str namespace, struct str name)
{
    /* Hashing the two hashes keeps ("a", "bc") and ("ab", "c") apart. */
    uint64_t halves[2] = {hash_bytes(namespace.p, namespace.len), hash_bytes(name.p, name.len)};

    return hash_bytes(halves, sizeof halves);
}

static bool is_named(const char *namespace, const char *name, struct str want_namespace, struct str want_name)
{
    return str_eq(str_from(namespace), want_namespace) && str_eq(str_from(name), want_name);
}

static struct entry *find_entry(const struct model *m, struct str namespace, struct str name)
{
    for (struct hash_node *n = hash_first(&m->entries, hash_key(namespace, name)); n != NULL; n = hash_next(n)) {
        struct entry *e = container_of(n, struct entry, node);

        if (is_named(e->namespace, e->name, namespace, name)) {
            return e;
        }
    }
    return NULL;
}

static struct slice_entry *find_slice(const struct model *m, struct str namespace, struct str name)
{
    for (struct hash_node *n = hash_first(&m->slices, hash_key(namespace, name)); n != NULL; n = hash_next(n)) {
        struct slice_entry *e = container_of(n, struct slice_entry, node);

        if (is_named(e->slice->namespace, e->slice->name, namespace, name)) {
            return e;
        }
    }
    return NULL;
}

static struct entry *need_entry(struct model *m, struct str namespace, struct str name)
{
    struct entry *e = find_entry(m, namespace, name);

    if (e == NULL) {
        e = mem_alloc(sizeof *e);
        e->namespace = mem_copy_string(namespace.p, namespace.len);
        e->name = mem_copy_string(name.p, name.len);
        list_init(&e->slices);
        list_init(&e->marked);
        hash_insert(&m->entries, &e->node, hash_key(namespace, name));
    }
    return e;
}

static void mark(struct model *m, struct entry *e)
{
    if (!list_is_linked(&e->marked)) {
        list_push_back(&m->marked, &e->marked);
        m->marked_count++;
    }
}

static void free_entry(struct entry *e)
{
    service_unref(&e->service);
    backend_unref(&e->backend);
    list_unlink(&e->marked);
    mem_free(e->namespace);
    mem_free(e->name);
    mem_free(e);
}

static struct world *world_new(uint64_t version, size_t max_count)
{
    struct world *w = mem_alloc(sizeof *w);

    w->refs = 1;
    w->version = version;
    w->backends = mem_alloc_array(max_count, sizeof(struct backend *));
    return w;
}

struct model *model_new(void)
{
    struct model *m = mem_alloc(sizeof *m);

    hash_init(&m->entries);
    hash_init(&m->slices);
    list_init(&m->marked);
    m->world = world_new(0, 0);
    return m;
}

static void free_slice_node(struct hash_node *node, void *ctx)
{
    struct slice_entry *e = container_of(node, struct slice_entry, node);

    (void)ctx;
    slice_unref(&e->slice);
    mem_free(e);
}

static void free_entry_node(struct hash_node *node, void *ctx)
{
    (void)ctx;
    free_entry(container_of(node, struct entry, node));
}

void model_free(struct model *m)
{
    if (m == NULL) {
        return;
    }
    hash_for_each(&m->slices, free_slice_node, NULL);
    hash_for_each(&m->entries, free_entry_node, NULL);
    hash_deinit(&m->slices);
    hash_deinit(&m->entries);
    world_unref(&m->world);
    mem_free(m);
}

bool model_put_service(struct model *m, struct service *s)
{
    struct entry *e = find_entry(m, str_from(s->namespace), str_from(s->name));
    bool is_new = e == NULL || e->service == NULL;

    if (is_new && m->service_count == MODEL_SERVICES_MAX) {
        service_unref(&s);
        return false;
    }
    if (!is_new && service_eq(e->service, s)) {
        service_unref(&s);
        return true;
    }
    e = need_entry(m, str_from(s->namespace), str_from(s->name));
    m->service_count += is_new ? 1 : 0;
    service_unref(&e->service);
    e->service = s;
    mark(m, e);
    return true;
}

static void unlink_slice(struct model *m, struct slice_entry *e)
{
    mark(m, e->entry);
    list_unlink(&e->in_service);
    hash_remove(&m->slices, &e->node);
    slice_unref(&e->slice);
    mem_free(e);
}

bool model_put_slice(struct model *m, struct slice *s)
{
    struct str namespace = str_from(s->namespace), name = str_from(s->name);
    struct slice_entry *e = find_slice(m, namespace, name);

    if (e == NULL && m->slices.count == MODEL_SLICES_MAX) {
        slice_unref(&s);
        return false;
    }
    if (e != NULL && slice_eq(e->slice, s)) {
        slice_unref(&s);
        return true;
    }
    if (e != NULL) {
        unlink_slice(m, e); /* its label may name another Service now */
    }
    e = mem_alloc(sizeof *e);
    e->slice = s;
    e->entry = need_entry(m, namespace, str_from(s->service));
    list_push_back(&e->entry->slices, &e->in_service);
    hash_insert(&m->slices, &e->node, hash_key(namespace, name));
    mark(m, e->entry);
    return true;
}

void model_remove_service(struct model *m, struct str namespace, struct str name)
{
    struct entry *e = find_entry(m, namespace, name);

    if (e != NULL && e->service != NULL) {
        service_unref(&e->service);
        m->service_count--;
        mark(m, e);
    }
}

void model_remove_slice(struct model *m, struct str namespace, struct str name)
{
    struct slice_entry *e = find_slice(m, namespace, name);

    if (e != NULL) {
        unlink_slice(m, e);
    }
}

size_t model_service_count(const struct model *m)
{
    return m->service_count;
}

size_t model_slice_count(const struct model *m)
{
    return m->slices.count;
}

static int by_slice_name(const void *left, const void *right)
{
    struct slice *const *a = left, *const *b = right;

    return strcmp((*a)->name, (*b)->name);
}

/* The entry's backend anew. */
static void join(struct entry *e)
{
    struct slice **slices;
    size_t count = 0, i = 0;

    backend_unref(&e->backend);
    if (e->service == NULL) {
        return;
    }
    list_for_each(node, &e->slices) {
        count++;
    }
    slices = mem_alloc_array(count, sizeof(struct slice *));
    list_for_each(node, &e->slices) {
        slices[i++] = list_entry(node, struct slice_entry, in_service)->slice;
    }
    qsort(slices, count, sizeof(struct slice *), by_slice_name);
    e->backend = backend_new(e->service, slices, count);
    mem_free(slices);
}

static int compare_name(const char *namespace_a, const char *name_a, const char *namespace_b, const char *name_b)
{
    int order = strcmp(namespace_a, namespace_b);

    return order != 0 ? order : strcmp(name_a, name_b);
}

static int by_entry_name(const void *left, const void *right)
{
    struct entry *const *a = left, *const *b = right;

    return compare_name((*a)->namespace, (*a)->name, (*b)->namespace, (*b)->name);
}

/* The marked entries, joined and sorted; the list is empty afterwards. */
static struct entry **take_marked(struct model *m)
{
    struct entry **marked = mem_alloc_array(m->marked_count, sizeof(struct entry *));
    size_t count = 0;

    for (struct list *node = list_pop_front(&m->marked); node != NULL; node = list_pop_front(&m->marked)) {
        marked[count++] = list_entry(node, struct entry, marked);
        join(marked[count - 1]);
    }
    assert(count == m->marked_count);
    qsort(marked, count, sizeof(struct entry *), by_entry_name);
    return marked;
}

static void append_backend(struct world *w, struct backend *b)
{
    w->backends[w->count++] = backend_ref(b);
}

/* Old backends whose entry is not marked, and the marked ones' new backends, in one sorted array. */
static struct world *merge(const struct world *old, struct entry *const *marked, size_t marked_count)
{
    struct world *w = world_new(old->version + 1, old->count + marked_count);
    size_t next = 0;

    for (size_t i = 0; i < old->count; i++) {
        const struct service *s = old->backends[i]->service;
        int order = 1;

        while (next < marked_count) {
            order = compare_name(s->namespace, s->name, marked[next]->namespace, marked[next]->name);
            if (order <= 0) {
                break;
            }
            if (marked[next]->backend != NULL) {
                append_backend(w, marked[next]->backend);
            }
            next++;
        }
        if (next == marked_count || order != 0) {
            append_backend(w, old->backends[i]);
        }
    }
    for (; next < marked_count; next++) {
        if (marked[next]->backend != NULL) {
            append_backend(w, marked[next]->backend);
        }
    }
    return w;
}

struct world *model_commit(struct model *m)
{
    struct entry **marked;
    struct world *w;

    if (m->marked_count == 0) {
        return world_ref(m->world);
    }
    marked = take_marked(m);
    w = merge(m->world, marked, m->marked_count);
    for (size_t i = 0; i < m->marked_count; i++) {
        if (marked[i]->service == NULL && list_is_empty(&marked[i]->slices)) {
            hash_remove(&m->entries, &marked[i]->node);
            free_entry(marked[i]);
        }
    }
    mem_free(marked);
    m->marked_count = 0;
    world_unref(&m->world);
    m->world = w;
    return world_ref(w);
}

struct world *world_ref(struct world *w)
{
    w->refs++;
    return w;
}

void world_unref(struct world **w)
{
    struct world *old = *w;

    *w = NULL;
    if (old == NULL || --old->refs > 0) {
        return;
    }
    for (size_t i = 0; i < old->count; i++) {
        backend_unref(&old->backends[i]);
    }
    mem_free(old->backends);
    mem_free(old);
}

static int compare_str(const char *a, struct str b)
{
    size_t len = strlen(a);
    int order = memcmp(a, b.p, len < b.len ? len : b.len);

    return order != 0 ? order : len == b.len ? 0 : len < b.len ? -1 : 1;
}

const struct backend *world_find(const struct world *w, struct str namespace, struct str name)
{
    size_t low = 0, high = w->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct service *s = w->backends[mid]->service;
        int order = compare_str(s->namespace, namespace);

        order = order != 0 ? order : compare_str(s->name, name);
        if (order == 0) {
            return w->backends[mid];
        }
        if (order < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}
