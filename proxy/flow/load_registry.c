/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/load_registry.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct entry {
    struct hash_node node;
    struct load load;
    uint32_t refs;
    char *key; /* "cluster addr uid" */
};

struct load_registry {
    pthread_mutex_t lock;
    struct hash_table entries; /* under the lock, with their refs */
};

struct load_registry *load_registry_new(void)
{
    struct load_registry *r = mem_alloc(sizeof *r);

    pthread_mutex_init(&r->lock, NULL);
    hash_init(&r->entries);
    return r;
}

void load_registry_free(struct load_registry *r)
{
    assert(r->entries.count == 0);
    hash_deinit(&r->entries);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

static struct entry *find(struct load_registry *r, const char *key, uint64_t hash)
{
    for (struct hash_node *n = hash_first(&r->entries, hash); n != NULL; n = hash_next(n)) {
        struct entry *e = container_of(n, struct entry, node);

        if (strcmp(e->key, key) == 0) {
            return e;
        }
    }
    return NULL;
}

struct load *load_registry_get(struct load_registry *r, const char *cluster, const struct addr *addr, const char *uid)
{
    char text[ADDR_TEXT_SIZE];
    char *key = mem_printf("%s %s %s", cluster, addr_format(addr, text), uid);
    uint64_t hash = hash_bytes(key, strlen(key));
    struct entry *e;

    pthread_mutex_lock(&r->lock);
    e = find(r, key, hash);
    if (e == NULL) {
        e = mem_alloc(sizeof *e);
        e->key = key;
        key = NULL;
        hash_insert(&r->entries, &e->node, hash);
    }
    e->refs++;
    pthread_mutex_unlock(&r->lock);
    mem_free(key);
    return &e->load;
}

void load_registry_put(struct load_registry *r, struct load **load)
{
    struct entry *e = container_of(*load, struct entry, load);
    bool is_last;

    *load = NULL;
    pthread_mutex_lock(&r->lock);
    is_last = --e->refs == 0;
    if (is_last) {
        hash_remove(&r->entries, &e->node);
    }
    pthread_mutex_unlock(&r->lock);
    if (is_last) {
        mem_free(e->key);
        mem_free(e);
    }
}
