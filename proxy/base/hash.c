/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Chains of nodes in a power-of-two array that doubles when there is a node for each bucket. The nodes keep their hash, so growing
 * never asks the caller. SipHash-2-4 after Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).
 */

#include "base/hash.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

#define FIRST_BUCKET_COUNT 16

static uint64_t key[2];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

void hash_init(struct hash_table *t)
{
    *t = (struct hash_table){0};
}

void hash_deinit(struct hash_table *t)
{
    mem_free(t->buckets);
    *t = (struct hash_table){0};
}

static void link_node(struct hash_table *t, struct hash_node *node)
{
    struct hash_node **bucket = &t->buckets[node->hash & (t->bucket_count - 1)];

    node->next = *bucket;
    *bucket = node;
}

static void grow(struct hash_table *t)
{
    struct hash_node **old = t->buckets;
    size_t old_count = t->bucket_count;

    t->bucket_count = old_count == 0 ? FIRST_BUCKET_COUNT : old_count * 2;
    t->buckets = mem_alloc_array(t->bucket_count, sizeof *t->buckets);
    for (size_t i = 0; i < old_count; i++) {
        for (struct hash_node *node = old[i], *next = NULL; node != NULL; node = next) {
            next = node->next;
            link_node(t, node);
        }
    }
    mem_free(old);
}

void hash_insert(struct hash_table *t, struct hash_node *node, uint64_t hash)
{
    if (t->count == t->bucket_count) {
        grow(t);
    }
    node->hash = hash;
    link_node(t, node);
    t->count++;
}

void hash_remove(struct hash_table *t, struct hash_node *node)
{
    assert(t->count > 0);
    struct hash_node **link = &t->buckets[node->hash & (t->bucket_count - 1)];

    while (*link != node) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    t->count--;
}

/* The first node of the chain `node` starts that has this hash. */
static struct hash_node *skip_to(struct hash_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash) {
        node = node->next;
    }
    return node;
}

struct hash_node *hash_first(const struct hash_table *t, uint64_t hash)
{
    if (t->bucket_count == 0) {
        return NULL;
    }
    return skip_to(t->buckets[hash & (t->bucket_count - 1)], hash);
}

struct hash_node *hash_next(const struct hash_node *node)
{
    return skip_to(node->next, node->hash);
}

void hash_for_each(struct hash_table *t, void (*visit)(struct hash_node *node, void *ctx), void *ctx)
{
    for (size_t i = 0; i < t->bucket_count; i++) {
        for (struct hash_node *node = t->buckets[i], *next = NULL; node != NULL; node = next) {
            next = node->next;
            visit(node, ctx);
        }
    }
}

/* getrandom(2) delivers up to 256 bytes whole once the kernel's pool is seeded; without a key the tables would be open to flooding. */
static void choose_key(void)
{
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) {
        abort();
    }
}

void hash_set_key(uint64_t k0, uint64_t k1)
{
    pthread_once(&key_once, choose_key);
    key[0] = k0;
    key[1] = k1;
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[static 4], unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t load_le(const uint8_t *p, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)p[i] << (8 * i);
    }
    return word;
}

static void sip_word(uint64_t v[static 4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t hash_bytes(const void *bytes, size_t len)
{
    pthread_once(&key_once, choose_key);

    const uint8_t *p = bytes;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u};

    for (size_t left = len; left >= 8; left -= 8, p += 8) {
        sip_word(v, load_le(p, 8));
    }
    sip_word(v, (uint64_t)len << 56 | load_le(p, len % 8));
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
