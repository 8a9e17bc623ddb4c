/* SPDX-License-Identifier: Apache-2.0 */

#include "base/object.h"

#include <stdatomic.h>

static _Atomic int64_t live[OBJECT_KIND_COUNT];

static const char *const labels[OBJECT_KIND_COUNT] = {
#define X(name, label) [name] = #label,
#include "base/object.def"
#undef X
};

void object_created(enum object_kind kind)
{
    atomic_fetch_add_explicit(&live[kind], 1, memory_order_relaxed);
}

void object_destroyed(enum object_kind kind)
{
    atomic_fetch_sub_explicit(&live[kind], 1, memory_order_relaxed);
}

int64_t object_live(enum object_kind kind)
{
    return atomic_load_explicit(&live[kind], memory_order_relaxed);
}

const char *object_label(enum object_kind kind)
{
    return labels[kind];
}
