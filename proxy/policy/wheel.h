/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Many deadlines at next to no cost: setting and clearing one is a move between lists, and one timer serves them all.
 *
 *     slot = due time in ticks, modulo the number of slots;     what is due a revolution later is looked at and left where it is
 *
 * Owner:   embedded; entries are embedded in what they are about, and cleared before that goes.
 * Threads: the owner's.
 * Errors:  none.
 * Limits:  an entry is found up to WHEEL_TICK late, never early. One that is far away is looked at once a revolution (WHEEL_SLOTS ticks).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/usec.h"

#define WHEEL_TICK_US 10000u
#define WHEEL_SLOTS 512u

struct wheel_entry {
    struct list node; /* list_init before the first use */
    struct usec due;
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t done; /* ticks that were looked at */
};

void wheel_init(struct wheel *w, struct usec now);

/* Replaces an earlier setting. A time that is past is found at the next tick. Returns when it will be found (or at least looked at). */
struct usec wheel_set(struct wheel *w, struct wheel_entry *e, struct usec due);

/* Accepts one that is not set. */
void wheel_clear(struct wheel_entry *e);

/* Moves what is due at `now` to the end of `due`, from where it may be cleared or set again as before. */
void wheel_expire(struct wheel *w, struct usec now, struct list *due);

/* When to look again; USEC_NEVER while nothing is set. */
struct usec wheel_next(const struct wheel *w);
