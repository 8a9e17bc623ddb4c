/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What one delta stream has subscribed to, what it was told, and what it must be told next.
 *
 *     subscribe ─▶ due ─▶ pass ─▶ delta_state_next: one response ─▶ told
 *     topic changed ──┘
 *
 * A name that must be told is due once, however often it changes: a slow proxy costs its names, never a queue of messages, and what it
 * gets is the latest. Names are told in passes: make before break, that is Clusters, Endpoints, Listeners, Routes, then the Clusters
 * and Endpoints that are gone. What becomes due during a pass belongs to the next one, so that no type can starve another.
 *
 * Owner:   embedded in the stream.
 * Threads: the loop's.
 * Errors:  delta_state_subscribe says which rule a name broke.
 * Limits:  `max_subscriptions` over all types; DELTA_NAME_MAX bytes a name.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/str.h"

#include "api/metrics.h"
#include "api/model/resources.h"
#include "api/xds/delta_response.h"
#include "api/xds/topics.h"

#define DELTA_NAME_MAX 1024u

struct delta_type {
    struct hash_table by_name;
    struct list waiting; /* due in the next pass */
    struct list now;     /* due in this one */
};

struct delta_state {
    struct resources *resources;
    struct topics *topics;
    struct api_metrics *metrics;
    uint64_t max_subscriptions;
    uint64_t subscription_count;
    unsigned step; /* of the pass */
    struct delta_type type[RESOURCE_TYPE_COUNT];
    /* A name has become due. Called while subscribing and while topics change: note it, act later. */
    void (*on_due)(struct delta_state *s);
};

enum delta_outcome { DELTA_TAKEN, DELTA_BAD_NAME, DELTA_TOO_MANY };

void delta_state_init(struct delta_state *s, struct topics *t, struct resources *r, struct api_metrics *m,
                      uint64_t max_subscriptions);
void delta_state_deinit(struct delta_state *s);

/* A name that is subscribed already is told again. "*" subscribes to nothing. */
enum delta_outcome delta_state_subscribe(struct delta_state *s, enum resource_type type, struct str name) MUST_CHECK;
void delta_state_unsubscribe(struct delta_state *s, enum resource_type type, struct str name);

/* The proxy holds this version of a name it has just subscribed: it is told only if that is not the present one. */
void delta_state_hold(struct delta_state *s, enum resource_type type, struct str name, struct str version);

/*
 * Gathers the next response into the empty `ret_response` and counts it as told. False when nothing is due, or nothing may be told yet
 * because the resources are not synced.
 */
bool delta_state_next(struct delta_state *s, const struct view *view, enum resource_type *ret_type,
                      struct delta_response *ret_response) MUST_CHECK;
