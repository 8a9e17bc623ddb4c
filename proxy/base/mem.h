/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Heap memory. Running out aborts with a message: every buffer and table has its own maximum, so exhaustion is not an outcome to
 * handle at each call. No other file calls malloc, calloc, realloc, strdup or free.
 *
 * Threads: any.
 * Errors:  none; aborts.
 */

#include <stddef.h>

/* `count` objects of `size` bytes, zeroed. Aborts on overflow of the product. */
void *mem_alloc_array(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));

/* `size` bytes, zeroed. */
void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));

/* Grows or shrinks; bytes past the old size are not initialised. `p` may be NULL. */
void *mem_realloc_array(void *p, size_t count, size_t size) __attribute__((alloc_size(2, 3), returns_nonnull));

/* A NUL-terminated copy of the `len` bytes at `bytes`. */
char *mem_copy_string(const void *bytes, size_t len) __attribute__((returns_nonnull));

/* A copy of the NUL-terminated `text`. */
char *mem_strdup(const char *text) __attribute__((returns_nonnull));

/* A copy of `len` bytes. */
void *mem_copy(const void *bytes, size_t len) __attribute__((returns_nonnull));

/* printf into fresh memory, for names and messages off the hot path. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Accepts NULL. */
void mem_free(void *p);
