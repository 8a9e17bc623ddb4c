/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker's deadlines: policy/wheel, driven by one timer that is set only while there is something to wait for.
 *
 * Owner:   embedded in the worker; each deadline is embedded in what it is about and cleared before that goes.
 * Threads: the worker's.
 * Limits:  up to WHEEL_TICK_US and the loop's own delay late.
 */

#include "net/loop.h"
#include "net/timer.h"
#include "policy/wheel.h"

struct deadlines {
    struct loop *loop;
    struct wheel wheel;
    struct timer timer;
    struct usec armed; /* when the timer fires; USEC_NEVER while it is not set */
};

struct deadline {
    struct wheel_entry entry;
    void (*on_due)(struct deadline *d); /* from the loop; it is cleared by then and may be set again */
};

void deadlines_init(struct deadlines *all, struct loop *l);
void deadlines_deinit(struct deadlines *all);

void deadline_init(struct deadline *d, void (*on_due)(struct deadline *d));
void deadline_set(struct deadlines *all, struct deadline *d, struct usec due); /* replaces an earlier setting */
bool deadline_is_set(const struct deadline *d);
void deadline_clear(struct deadline *d); /* accepts one that is not set */
