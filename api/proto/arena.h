/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A bump allocator for unpacking one protobuf message: thousands of small blocks, all given back at once. A message that needs more
 * than the limit fails to unpack instead of eating the heap.
 *
 *     struct arena arena;
 *     arena_init(&arena, 8 << 20);
 *     Envoy__…__DeltaDiscoveryRequest *m = envoy__…__unpack(arena_allocator(&arena), len, bytes);
 *     …                                                     (no …__free_unpacked)
 *     arena_deinit(&arena);
 *
 * Owner:   embedded; owns every block it gave out.
 * Threads: the owner's.
 * Errors:  an allocation past the limit is NULL, which protobuf-c turns into a failed unpack.
 * Limits:  `limit` bytes given out at init, chunk overhead aside.
 */

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct arena_chunk;

struct arena {
    ProtobufCAllocator allocator;
    struct arena_chunk *chunks;
    size_t used;
    size_t limit;
};

void arena_init(struct arena *a, size_t limit);
void arena_deinit(struct arena *a);

/* Gives everything back but keeps one chunk for the next message. */
void arena_reset(struct arena *a);

/* NULL past the limit; 16-byte aligned, not zeroed. `size` 0 gives a block of its own. */
void *arena_alloc(struct arena *a, size_t size);

/* For protobuf-c; valid while the arena is. */
ProtobufCAllocator *arena_allocator(struct arena *a);

static inline size_t arena_used(const struct arena *a)
{
    return a->used;
}
