/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The names one stream is interested in, by type; what it was told of each, and which must be told next. Both protocols (delta and state
 * of the world) keep their books here.
 *
 *     interest_mark_due ─▶ due (waiting) ─▶ now ─▶ told
 *     topic changed ────────┘
 *
 * A name is due once, however often it changes: a slow client costs its names, never a queue of messages, and what it gets is the latest.
 *
 * Owner:   embedded in the stream's state.
 * Threads: the loop's.
 * Errors:  interests_need says which rule a name broke.
 * Limits:  `max` names over all types; INTEREST_NAME_MAX bytes a name.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/str.h"

#include "api/metrics.h"
#include "api/model/resources.h"
#include "api/xds/topics.h"

#define INTEREST_NAME_MAX 1024u

enum told { TOLD_NOTHING, TOLD_VERSION, TOLD_ABSENT };

struct interest {
    struct subscription base;
    struct hash_node by_name;
    struct list due; /* on the type's `waiting` or `now` */
    struct interests *owner;
    enum told told;
    char version[17]; /* TOLD_VERSION: which */
    uint64_t round;   /* state of the world: of the request that named it last */
};

struct interest_type {
    struct hash_table by_name;
    struct list waiting; /* became due since the pass began */
    struct list now;     /* due in this pass */
};

struct interests {
    struct resources *resources;
    struct topics *topics;
    struct api_metrics *metrics;
    uint64_t max;
    uint64_t count;
    struct interest_type type[RESOURCE_TYPE_COUNT];
    /* A name has become due. Called while names are added and while topics change: note it, act later. */
    void (*on_due)(struct interests *s);
};

enum interest_outcome { INTEREST_TAKEN, INTEREST_BAD_NAME, INTEREST_TOO_MANY };

void interests_init(struct interests *s, struct topics *t, struct resources *r, struct api_metrics *m, uint64_t max);
void interests_deinit(struct interests *s);

/* NULL when the name is not among them. */
struct interest *interests_find(const struct interests *s, enum resource_type type, struct str name);

/* Finds or adds; a new one has been told nothing and is not due yet. `*ret_interest` is valid with INTEREST_TAKEN. */
enum interest_outcome interests_need(struct interests *s, enum resource_type type, struct str name,
                                     struct interest **ret_interest) MUST_CHECK;
void interest_free(struct interest *i);
void interest_mark_due(struct interest *i);

/* What is waiting is due now. False when nothing is. */
bool interests_begin_pass(struct interests *s);

/*
 * The present resource and whether that is news to the client: a reference for the caller, or NULL for a name that does not exist in
 * this view. Nothing is noted: interest_note does.
 */
struct resource *interest_lookup(const struct interest *i, const struct view *view, bool *ret_is_news);

/* The client is being told this: NULL for "does not exist". */
void interest_note(struct interest *i, const struct resource *res);
