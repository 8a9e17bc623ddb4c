/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A process-wide maximum of buffered bytes, and what to do on the way to it:
 *
 *     CALM      below a half
 *     TIGHT     windows stop growing
 *     WITHHOLD  from three quarters: nobody is told to send more
 *     REFUSE    seven eighths, or over three quarters for a second: no new streams
 *     EVICT     all of it, or over three quarters for three seconds: whoever holds most is sent away; a second and a half for
 *               the rest to get along, then the next
 *
 * Owner:   the program; outlives the holders.
 * Threads: any. Bytes are counted with relaxed atomics; parties tell differences large enough to matter, not each byte.
 * Limits:  BYTE_BUDGET_PARTIES parties (workers). What is counted may pass the maximum by what was under way when credit stopped.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/usec.h"

#define BYTE_BUDGET_PARTIES 64

enum budget_level { BUDGET_CALM, BUDGET_TIGHT, BUDGET_WITHHOLD, BUDGET_REFUSE, BUDGET_EVICT };

struct byte_budget {
    uint64_t max_bytes;
    _Atomic int64_t used;
    _Atomic uint64_t over_since;                   /* since when over three quarters; 0: is not */
    _Atomic uint64_t largest[BYTE_BUDGET_PARTIES]; /* each party's largest holder, as it last told */
};

void byte_budget_init(struct byte_budget *b, uint64_t max_bytes);

/* Counts; negative when bytes have gone. */
void byte_budget_add(struct byte_budget *b, int64_t bytes);
uint64_t byte_budget_used(const struct byte_budget *b);

enum budget_level byte_budget_level(struct byte_budget *b, struct usec now);

/* `party`'s largest holder has `bytes`; told from time to time while the level is WITHHOLD or above, 0 below. */
void byte_budget_tell_largest(struct byte_budget *b, unsigned party, uint64_t bytes);

/* At EVICT: whether no other party has told of a larger holder than `party`, so that its is the one to go. If so, the next one
 * gets a second and a half, in which the first one's bytes can be missed. */
bool byte_budget_is_largest(struct byte_budget *b, unsigned party, struct usec now);
