/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/body_copy.h"

#include <string.h>

#define FIRST_SIZE 256

void body_copy_init(struct body_copy *c, struct slab *slab, struct copy_budget *budget)
{
    *c = (struct body_copy){.slab = slab, .budget = budget};
}

static void grow(struct body_copy *c, size_t needed)
{
    size_t size = c->size > 0 ? c->size : FIRST_SIZE;

    while (size < needed) {
        size *= 2;
    }
    c->budget->used_bytes += size - c->size;
    c->bytes = slab_realloc(c->slab, c->bytes, size);
    c->size = size;
}

void body_copy_append(struct body_copy *c, const void *data, size_t len, size_t max_bytes, bool is_only)
{
    size_t needed = c->len + len;

    if (c->is_dropped || len == 0) {
        return;
    }
    if (!is_only && (needed > max_bytes || c->budget->used_bytes + len > c->budget->max_bytes)) {
        body_copy_drop(c);
        return;
    }
    if (needed > c->size) {
        grow(c, needed);
    }
    memcpy(c->bytes + c->len, data, len);
    c->len = needed;
}

void body_copy_drop(struct body_copy *c)
{
    c->budget->used_bytes -= c->size;
    slab_release(c->slab, c->bytes);
    c->bytes = NULL;
    c->len = 0;
    c->size = 0;
    c->is_dropped = true;
}
