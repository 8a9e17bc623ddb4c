/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole world as the sources know it: Services and EndpointSlices keyed by namespace and name, and, made from them, immutable
 * worlds in which every Service is joined with its endpoints as kube-proxy would join them.
 *
 *     source ── put/remove ─▶ struct model ── model_commit ─▶ struct world ─▶ resources_apply
 *                                                              backends sorted by namespace/name, unchanged ones shared
 *
 * A commit joins only what changed since the last one; an unchanged Service keeps its very `struct backend`, so that two worlds are
 * compared by pointers.
 *
 * Owner:   the program owns the model; worlds and backends are reference-counted.
 * Threads: the api's loop thread.
 * Errors:  model_put_* answer false at the limits below; the object is then not taken.
 * Limits:  MODEL_SERVICES_MAX, MODEL_SLICES_MAX.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "api/model/backend.h"
#include "api/model/service.h"

#define MODEL_SERVICES_MAX 20000
#define MODEL_SLICES_MAX 100000

struct model;

struct world {
    unsigned refs;
    uint64_t version; /* counts commits that changed something */
    size_t count;
    struct backend **backends; /* sorted by namespace, then name */
};

struct model *model_new(void);
void model_free(struct model *m);

/* Take over the caller's reference, whether they answer true or not. An object of the same namespace and name is replaced. */
bool model_put_service(struct model *m, struct service *s) MUST_CHECK;
bool model_put_slice(struct model *m, struct slice *s) MUST_CHECK;

/* Unknown names are fine. */
void model_remove_service(struct model *m, struct str namespace, struct str name);
void model_remove_slice(struct model *m, struct str namespace, struct str name);

size_t model_service_count(const struct model *m);
size_t model_slice_count(const struct model *m);

/* The current world; the caller's reference. The same pointer as before when nothing changed. */
struct world *model_commit(struct model *m);

struct world *world_ref(struct world *w);
void world_unref(struct world **w);

/* The Service's entry or NULL. */
const struct backend *world_find(const struct world *w, struct str namespace, struct str name);
