/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What earlier connections to a destination turned out to be: whether its server speaks first (then the next connection is dialled at
 * accept), and how often each protocol was seen, so that people can be told why a destination is not balanced.
 *
 * Owner:   one for each worker.
 * Threads: the owner's.
 * Errors:  none.
 * Limits:  `max` destinations; past it the one recorded longest ago goes. A destination is forgotten when nothing was recorded for it
 *          for `memory`, and so is that its server speaks first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/usec.h"
#include "policy/detect.h"

#define SERVER_FIRST_MAX 4096
#define SERVER_FIRST_MEMORY usec_from_s(600)

struct server_first;

/* `max` ≥ 1. */
struct server_first *server_first_new(size_t max, struct usec memory);
void server_first_free(struct server_first *m); /* accepts NULL */

/* Counts what a connection to `destination` was. */
void server_first_record(struct server_first *m, const struct addr *destination, enum detect_label outcome, struct usec now);

bool server_first_is_known(const struct server_first *m, const struct addr *destination, struct usec now);

/* Connections recorded for this destination, by outcome; all 0 if it is not remembered. */
void server_first_outcomes(const struct server_first *m, const struct addr *destination, struct usec now,
                           uint64_t ret_outcomes[static DETECT_LABEL_COUNT]);

struct server_first_view {
    struct addr destination;
    bool is_server_first;
    uint64_t outcomes[DETECT_LABEL_COUNT];
};

/* The destinations remembered at `now`, latest last. `visit` must not record. */
void server_first_for_each(const struct server_first *m, struct usec now,
                           void (*visit)(const struct server_first_view *view, void *ctx), void *ctx);

/* Gives back the memory of what is forgotten; now and then is often enough. */
void server_first_expire(struct server_first *m, struct usec now);

size_t server_first_count(const struct server_first *m);
