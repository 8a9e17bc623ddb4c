/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Classes are the powers of two and the points half-way between them: 32, 48, 64, 96, 128, 192 … 32768, so at most a third of a
 * block is unused. A header of 16 bytes before each block tells its class; it keeps the block aligned as malloc would.
 */

#include "base/slab.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define CLASS_COUNT 21 /* the last one holds 32 KiB: a full HTTP/2 frame of 16 KiB and what surrounds it */
#define CLASS_HEAP CLASS_COUNT

struct block {
    alignas(16) union {
        struct block *next_free; /* while on a free list */
        size_t size;             /* while in use */
    };
    uint32_t class;
};

_Static_assert(sizeof(struct block) == 16, "blocks keep malloc's alignment");

struct slab {
    struct block *free[CLASS_COUNT];
    size_t free_count[CLASS_COUNT];
};

static unsigned class_of(size_t size)
{
    if (size <= 32) {
        return 0;
    }
    unsigned top = 63 - (unsigned)__builtin_clzll(size - 1);
    unsigned class = (top - 5) * 2 + 1 + (unsigned)((size - 1) >> (top - 1) & 1);

    return class < CLASS_COUNT ? class : CLASS_HEAP;
}

static size_t class_size(unsigned class)
{
    if (class == 0) {
        return 32;
    }
    size_t power = (size_t)32 << (class - 1) / 2;

    return class % 2 == 1 ? power + power / 2 : power * 2;
}

static struct block *block_of(void *p)
{
    return (struct block *)p - 1;
}

struct slab *slab_new(void)
{
    return mem_alloc(sizeof(struct slab));
}

void slab_free(struct slab *s)
{
    if (s == NULL) {
        return;
    }
    for (unsigned class = 0; class < CLASS_COUNT; class ++) {
        for (struct block *b = s->free[class], *next = NULL; b != NULL; b = next) {
            next = b->next_free;
            mem_free(b);
        }
    }
    mem_free(s);
}

static void *take(struct slab *s, size_t size)
{
    unsigned class = class_of(size);
    struct block *b = NULL;

    if (class < CLASS_COUNT && s->free[class] != NULL) {
        b = s->free[class];
        s->free[class] = b->next_free;
        s->free_count[class]--;
        /* The next one was last touched when it was freed, and is wanted soon: its header is fetched meanwhile. */
        __builtin_prefetch(b->next_free, 1);
    } else {
        size_t room = class < CLASS_COUNT ? class_size(class) : size;

        assert(room <= SIZE_MAX - sizeof *b);
        b = mem_realloc_array(NULL, 1, sizeof *b + room);
    }
    b->class = class;
    b->size = size;
    return b + 1;
}

void *slab_alloc_raw(struct slab *s, size_t size)
{
    return SLAB_IS_PLAIN_HEAP ? mem_realloc_array(NULL, 1, size) : take(s, size);
}

void *slab_alloc(struct slab *s, size_t size)
{
    return SLAB_IS_PLAIN_HEAP ? mem_alloc(size) : memset(take(s, size), 0, size);
}

void *slab_realloc(struct slab *s, void *p, size_t size)
{
    if (SLAB_IS_PLAIN_HEAP) {
        return mem_realloc_array(p, 1, size);
    }
    if (p == NULL) {
        return take(s, size);
    }
    struct block *b = block_of(p);

    if (b->class < CLASS_COUNT && b->class == class_of(size)) {
        b->size = size;
        return p;
    }
    void *moved = take(s, size);

    memcpy(moved, p, size < b->size ? size : b->size);
    slab_release(s, p);
    return moved;
}

void slab_release(struct slab *s, void *p)
{
    if (SLAB_IS_PLAIN_HEAP || p == NULL) {
        mem_free(p);
        return;
    }
    struct block *b = block_of(p);
    unsigned class = b->class;

    assert(class <= CLASS_HEAP);
    if (class == CLASS_HEAP || (s->free_count[class] + 1) * class_size(class) > SLAB_CLASS_KEEP_BYTES) {
        mem_free(b);
        return;
    }
    b->next_free = s->free[class];
    s->free[class] = b;
    s->free_count[class]++;
}

size_t slab_kept_bytes(const struct slab *s)
{
    size_t bytes = 0;

    for (unsigned class = 0; class < CLASS_COUNT; class ++) {
        bytes += s->free_count[class] * class_size(class);
    }
    return bytes;
}
