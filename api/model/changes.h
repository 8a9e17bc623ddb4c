/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which names may answer differently after a Service became what it is now: each name once, with the types it concerns. Rather one
 * too many than one too few; whoever asks again compares versions.
 *
 * Owner:   embedded; owns its names.
 * Threads: the api's loop thread.
 * Errors:  none.
 * Limits:  the backends' own.
 */

#include <stddef.h>

#include "base/hash.h"
#include "base/str.h"

#include "api/model/backend.h"
#include "api/model/resources.h"

struct changes {
    struct hash_table names;
    struct str cluster_domain;
};

void changes_init(struct changes *c, struct str cluster_domain);
void changes_deinit(struct changes *c);

/* From `old` to `new`; either may be NULL (appeared, vanished). */
void changes_collect(struct changes *c, const struct backend *old, const struct backend *new);

void changes_for_each(struct changes *c, resource_changed_fn fn, void *ctx);
