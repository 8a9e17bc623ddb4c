/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An intrusive hash table (chained, doubling). The caller hashes and compares; the table links `struct hash_node`s embedded in the
 * caller's objects.
 *
 * Owner:   embedded; the table owns its bucket array, never the nodes.
 * Threads: the owner's.
 * Limits:  the caller checks `count` against its own maximum before it inserts.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/container.h"

struct hash_node {
    struct hash_node *next;
    uint64_t hash;
};

struct hash_table {
    struct hash_node **buckets;
    size_t bucket_count; /* 0 before the first insert, else a power of two */
    size_t count;
};

void hash_init(struct hash_table *t);
void hash_deinit(struct hash_table *t); /* the nodes are the caller's */
void hash_insert(struct hash_table *t, struct hash_node *node, uint64_t hash);
void hash_remove(struct hash_table *t, struct hash_node *node); /* must be in the table */

/* Walks one chain: the first node with this hash, then hash_next for the next one; NULL at the end. */
struct hash_node *hash_first(const struct hash_table *t, uint64_t hash);
struct hash_node *hash_next(const struct hash_node *node);

/* Calls `visit` for every node; `visit` may remove and free the node it is given. */
void hash_for_each(struct hash_table *t, void (*visit)(struct hash_node *node, void *ctx), void *ctx);

/* SipHash-2-4 keyed once per process: table keys come from the network. */
uint64_t hash_bytes(const void *bytes, size_t len);

/* Sets the key; for tests that need one order. Without it the key is random. */
void hash_set_key(uint64_t k0, uint64_t k1);
