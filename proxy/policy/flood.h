/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a peer of an HTTP/2 connection sends too much of what carries nothing: one token bucket for each kind (rows in flood.def). Time
 * fills all of them; useful traffic earns more for those kinds that it brings with it.
 *
 * Owner:   embedded, one for each connection.
 * Threads: the owner's.
 * Errors:  none.
 * Limits:  never holds more than a kind's burst. An operation is an addition; buckets are filled at most every 10 ms.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/close_reason.h"
#include "base/container.h"
#include "base/usec.h"

enum flood_kind {
#define X(id, burst, per_second, reason) id,
#include "policy/flood.def"
#undef X
    FLOOD_KIND_COUNT
};

#define FLOOD_RESET_RATE_DEFAULT 20000 /* a second; as in flood.def */

struct flood {
    struct usec filled_at;
    uint32_t reset_rate; /* burst and rate of FLOOD_RESET */
    uint32_t tokens[FLOOD_KIND_COUNT];
};

/* All buckets full. `reset_rate`: of FLOOD_RESET, ≥ 100; 0: the default. */
void flood_init(struct flood *f, uint32_t reset_rate, struct usec now);

/* The peer has done one of this kind. False: it has done too many. */
bool flood_take(struct flood *f, enum flood_kind kind, struct usec now) MUST_CHECK;

/* Useful traffic that excuses `count` more of this kind. */
void flood_earn(struct flood *f, enum flood_kind kind, uint32_t count);

/* Why a connection that did too many of this kind ends. */
enum close_reason flood_close_reason(enum flood_kind kind);
