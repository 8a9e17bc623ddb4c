/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How long a request may take: what the caller says in grpc-timeout, and three limits of our own.
 *
 *     arrived ──── sent ──────── response headers ──────── … bytes … ──────── end
 *     ├──────────── the caller's deadline; `request` ─────────────────────────┤
 *              ├── `response` ──┤                 ├ `idle` ┤
 *
 * Owner:   values.
 * Threads: any.
 */

#include <stdbool.h>

#include "base/close_reason.h"
#include "base/str.h"
#include "base/usec.h"

/* Each 0: none. */
struct timeouts {
    struct usec request;  /* from arrival to the end of the response */
    struct usec response; /* from when it was given to a connection to response headers */
    struct usec idle;     /* without a body byte or a header block in either direction */
};

/* What is known of one request. Times that have not come are 0. */
struct timeouts_state {
    struct usec arrived;
    struct usec deadline; /* the caller's; USEC_NEVER: none */
    struct usec sent;
    struct usec active; /* last byte or header block, either way */
    bool is_answered;
};

/* "20S", "150m": at most 8 digits and a unit (H, M, S, m, u, n). False for anything else. */
bool timeouts_parse_grpc(struct str value, struct usec *ret_timeout);

/* When the first limit is reached, and which: CLOSE_DEADLINE, CLOSE_REQUEST_TIMEOUT, … USEC_NEVER, CLOSE_DONE: there is none. */
struct usec timeouts_next(const struct timeouts *t, const struct timeouts_state *s, enum close_reason *ret_reason);
