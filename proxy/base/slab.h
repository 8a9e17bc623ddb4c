/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Free lists by size class, for the objects of the hot path: a freed block goes to its class's list and the next allocation of that
 * class takes it back without asking the heap. Also serves as nghttp2's allocator (h2/). Blocks above the largest class go to the
 * heap. In sanitizer builds every block is plain heap memory, so that use after free is seen.
 *
 * Owner:   one for each loop (worker).
 * Threads: not shared.
 * Errors:  none; out of memory aborts.
 * Limits:  each class keeps at most SLAB_CLASS_KEEP_BYTES of free blocks; what is freed past that goes back to the heap.
 */

#include <stddef.h>

/* gcc has a macro for it, clang a feature. */
#if defined(__SANITIZE_ADDRESS__)
#define SLAB_IS_PLAIN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_IS_PLAIN_HEAP 1
#endif
#endif
#ifndef SLAB_IS_PLAIN_HEAP
#define SLAB_IS_PLAIN_HEAP 0
#endif

#define SLAB_CLASS_KEEP_BYTES ((size_t)256 * 1024)

struct slab;

struct slab *slab_new(void);

/* Every block must have been returned or is lost with it. Accepts NULL. */
void slab_free(struct slab *s);

/* Zeroed memory. The block knows its own size. */
void *slab_alloc(struct slab *s, size_t size) __attribute__((malloc, alloc_size(2), returns_nonnull));

/* Uninitialised memory, for what is overwritten at once. */
void *slab_alloc_raw(struct slab *s, size_t size) __attribute__((malloc, alloc_size(2), returns_nonnull));

/* Keeps the old bytes. `p` may be NULL. */
void *slab_realloc(struct slab *s, void *p, size_t size) __attribute__((alloc_size(3), returns_nonnull));

/* Accepts NULL. */
void slab_release(struct slab *s, void *p);

/* Free blocks of all classes, which the next allocations take; 0 in sanitizer builds. */
size_t slab_kept_bytes(const struct slab *s);
