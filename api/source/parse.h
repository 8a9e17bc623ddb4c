/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes of one manifest file become objects: one or many documents, `List`s expanded, kinds that are not ours named and left
 * alone. All or nothing: a file with anything wrong in it yields no objects, so that a half-written file is never half believed.
 *
 * Owner:   `struct manifest` owns one reference to each object.
 * Threads: any; pure.
 * Errors:  manifest_parse answers false; `error` has line and reason, and there are no objects.
 * Limits:  yaml_tree.h's; OTHER_KINDS_MAX kinds are named, the rest is only left alone.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#include "api/kube/yaml_tree.h"
#include "api/model/service.h"

#define OTHER_KINDS_MAX 16

/* A kind that nobody here reads, and where it was first met. */
struct other_kind {
    unsigned line;
    char kind[64];
};

struct manifest {
    size_t service_count;
    struct service **services;
    size_t slice_count;
    struct slice **slices;
    size_t other_count;
    struct other_kind others[OTHER_KINDS_MAX];
    struct yaml_error error;
};

bool manifest_parse(struct manifest *m, struct str bytes) MUST_CHECK;
void manifest_deinit(struct manifest *m);
