/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Kubernetes API as the source of the model: all Services and EndpointSlices, listed and then watched.
 *
 * Each object counts by itself: one that cannot be read is skipped with a reason that names it, and its last good version stays. The
 * model is complete (`on_change` for the first time) once both kinds have been listed; from then on it only changes: a new list
 * replaces what is there without anything in between, and a server that is away leaves it as it is.
 *
 * Owner:   the program; writes to the model it was given, which outlives it.
 * Threads: the loop's.
 * Errors:  logged; kubernetes_status has the last one of each kind.
 * Limits:  those of the model and of kube/reflector.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/kube/client.h"
#include "api/kube/reflector.h"
#include "api/model/model.h"

struct kubernetes;

enum kubernetes_kind { KUBERNETES_SERVICES, KUBERNETES_SLICES, KUBERNETES_KIND_COUNT };

/* `client` outlives it. `on_change` is called from the loop: the model is complete and has changed. */
struct kubernetes *kubernetes_new(struct kube_client *client, struct model *model, void (*on_change)(void *ctx), void *ctx);
void kubernetes_free(struct kubernetes *k); /* accepts NULL */

/* Both kinds have been listed once. */
bool kubernetes_is_synced(const struct kubernetes *k);
struct kube_reflector_status kubernetes_status(const struct kubernetes *k, enum kubernetes_kind kind);
uint64_t kubernetes_skipped(const struct kubernetes *k); /* objects that could not be read */
