/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Time that passes only when the script says so: stands in for clock_gettime and net/timer at link time (--wrap). Timers fire in the
 * order in which they are due, each in a turn of its loop, as libevent's would.
 *
 * Threads: one.
 * Limits:  CLOCK_TIMERS_MAX timers; a timer that never lets time pass fails the run.
 */

#include "base/usec.h"
#include "net/loop.h"

#define CLOCK_TIMERS_MAX 1024

/* Back to the beginning of time, without timers. */
void clock_reset(void);

struct usec clock_now(void);

/* Lets `delay` pass on `l`, whose timers are the only ones; `after_turn` (may be NULL) runs after each turn. */
void clock_advance(struct loop *l, struct usec delay, void (*after_turn)(void));

/* Timers that are set. */
size_t clock_timers(void);
