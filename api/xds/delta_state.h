/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The delta protocol's rules: what a stream subscribes to, and what it must be told next.
 *
 * Names are told in passes: make before break, that is Clusters, Endpoints, Listeners, Routes, then the Clusters and Endpoints that are
 * gone. What becomes due during a pass belongs to the next one, so that no type can starve another.
 *
 * Owner:   embedded in the stream.
 * Threads: the loop's.
 * Errors:  delta_state_subscribe says which rule a name broke.
 * Limits:  those of interest.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#include "api/xds/delta_response.h"
#include "api/xds/interest.h"

struct delta_state {
    struct interests names;
    unsigned step; /* of the pass */
};

/* `on_due` as in interest.h. */
void delta_state_init(struct delta_state *s, struct topics *t, struct resources *r, struct api_metrics *m, uint64_t max,
                      void (*on_due)(struct interests *names));
void delta_state_deinit(struct delta_state *s);

/* A name that is subscribed already is told again. "*" subscribes to nothing. */
enum interest_outcome delta_state_subscribe(struct delta_state *s, enum resource_type type, struct str name) MUST_CHECK;
void delta_state_unsubscribe(struct delta_state *s, enum resource_type type, struct str name);

/* The proxy holds this version of a name it has just subscribed: it is told only if that is not the present one. */
void delta_state_hold(struct delta_state *s, enum resource_type type, struct str name, struct str version);

/*
 * Gathers the next response into the empty `ret_response` and counts it as told. False when nothing is due, or nothing may be told yet
 * because the resources are not synced.
 */
bool delta_state_next(struct delta_state *s, const struct view *view, enum resource_type *ret_type,
                      struct delta_response *ret_response) MUST_CHECK;
