/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A one-shot timer on a loop. It never fires before loop_now() has reached the time it was set for.
 *
 * Owner:   embedded.
 * Threads: the loop's.
 * Limits:  about 0.3 µs to set with 100,000 pending: not for each request; stamp the time and look lazily instead. Late by up to the
 *          kernel's tick (4 ms) and a millisecond.
 */

#include <event2/event_struct.h>
#include <stdbool.h>

#include "base/usec.h"
#include "net/loop.h"

struct timer {
    struct event event;
    struct loop *loop;
    struct usec due;
    void (*on_fire)(struct timer *t);
};

void timer_init(struct timer *t, struct loop *l, void (*on_fire)(struct timer *t));
void timer_set(struct timer *t, struct usec delay); /* from loop_now(); replaces an earlier setting */
bool timer_is_set(const struct timer *t);
void timer_stop(struct timer *t); /* accepts one that is not set */
