/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The start of a request's body, kept so that the request can be sent again until its response begins.
 *
 * Owner:   embedded in an exchange; the bytes are counted against the worker's share of the process budget.
 * Threads: the worker's.
 * Limits:  the caller says how much may be kept; nothing here refuses bytes that exist nowhere else (no attempt under way), whose
 *          number the stream's window bounds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slab.h"

struct copy_budget {
    size_t used_bytes;
    size_t max_bytes;
};

struct body_copy {
    struct slab *slab;
    struct copy_budget *budget;
    uint8_t *bytes;
    size_t len;
    size_t size;
    bool is_dropped; /* some bytes are missing: the request cannot be sent again */
};

void body_copy_init(struct body_copy *c, struct slab *slab, struct copy_budget *budget);

/* Appends; past `max_bytes` or the budget the copy is dropped, unless `is_only` (no other place holds the bytes). */
void body_copy_append(struct body_copy *c, const void *data, size_t len, size_t max_bytes, bool is_only);

/* Gives the memory back; the request cannot be sent again. Idempotent. */
void body_copy_drop(struct body_copy *c);
