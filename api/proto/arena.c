/* SPDX-License-Identifier: Apache-2.0 */

/* Chunks double from 4 KiB to 256 KiB: a small request costs one, a big one few. A block too big for that gets its own chunk. */

#include "api/proto/arena.h"

#include <stdint.h>

#include "base/mem.h"

#define CHUNK_MIN ((size_t)4 * 1024)
#define CHUNK_MAX ((size_t)256 * 1024)
#define ALIGNMENT ((size_t)16)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    size_t used;
    _Alignas(16) unsigned char bytes[];
};

static void *on_alloc(void *ctx, size_t size)
{
    return arena_alloc(ctx, size);
}

static void on_free(void *ctx, void *block)
{
    (void)ctx;
    (void)block; /* all at once in arena_deinit */
}

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.allocator = {.alloc = on_alloc, .free = on_free, .allocator_data = a}, .limit = limit};
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;

        mem_free(chunk);
        chunk = next;
    }
}

void arena_deinit(struct arena *a)
{
    free_chunks(a->chunks);
    a->chunks = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    if (a->chunks != NULL) {
        free_chunks(a->chunks->next);
        a->chunks->next = NULL;
        a->chunks->used = 0;
    }
    a->used = 0;
}

static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
    size_t chunk_size = a->chunks == NULL ? CHUNK_MIN : a->chunks->size * 2;
    struct arena_chunk *chunk;

    if (chunk_size > CHUNK_MAX) {
        chunk_size = CHUNK_MAX;
    }
    if (chunk_size < size) {
        chunk_size = size;
    }
    chunk = mem_alloc(sizeof *chunk + chunk_size);
    chunk->size = chunk_size;
    chunk->next = a->chunks;
    a->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_chunk *chunk = a->chunks;
    size_t rounded;
    void *block;

    if (size > a->limit) {
        return NULL;
    }
    rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    rounded = rounded == 0 ? ALIGNMENT : rounded;
    if (rounded > a->limit - a->used) {
        return NULL;
    }
    if (chunk == NULL || chunk->size - chunk->used < rounded) {
        chunk = add_chunk(a, rounded);
    }
    block = chunk->bytes + chunk->used;
    chunk->used += rounded;
    a->used += rounded;
    return block;
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
    a->allocator.allocator_data = a; /* the struct may have been moved since init */
    return &a->allocator;
}
