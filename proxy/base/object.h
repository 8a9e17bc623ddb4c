/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Live-object counters: each kind of long-lived object counts itself in and out, so that tests (and /metrics) can prove that all of
 * them ended. The kinds are in object.def.
 *
 * Threads: any; relaxed atomics.
 */

#include <stdint.h>

enum object_kind {
#define X(name, label) name,
#include "base/object.def"
#undef X
    OBJECT_KIND_COUNT
};

void object_created(enum object_kind kind);
void object_destroyed(enum object_kind kind);
int64_t object_live(enum object_kind kind);
const char *object_label(enum object_kind kind);
