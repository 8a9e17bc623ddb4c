/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A moving average that forgets with time, not with the number of samples:
 *
 *     w = exp(−(now − last sample) / decay)        value = w · value + (1 − w) · sample
 *
 * It is plain on purpose. An average that jumps to each peak is mostly noise where a client sends an endpoint a request a second.
 *
 * Owner:   embedded.
 * Threads: the owner's.
 * Errors:  none.
 * Limits:  the value is never below one microsecond, so that ratios of two averages exist.
 */

#include "base/usec.h"

struct ewma {
    double value;        /* microseconds; ≥ 1 */
    struct usec updated; /* when the last sample came */
};

/* As if `seed` had been measured at `now`. */
void ewma_init(struct ewma *e, double seed, struct usec now);

/* `decay` > 0. Time that runs backwards counts as none passed. */
void ewma_add(struct ewma *e, struct usec sample, struct usec decay, struct usec now);
