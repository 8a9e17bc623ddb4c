/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Gathers a burst of changes into one push: it runs when nothing has changed for `quiet`, at the latest `longest` after the first
 * change. A rolling update of a thousand pods then costs a few pushes, one changed pod costs `quiet`.
 *
 * Owner:   embedded.
 * Threads: the loop's.
 */

#include <stdbool.h>

#include "base/usec.h"
#include "net/loop.h"
#include "net/timer.h"

struct debounce {
    struct timer timer;
    struct loop *loop;
    struct usec quiet;
    struct usec longest;
    struct usec deadline; /* of the burst in progress */
    void (*run)(struct debounce *d);
};

void debounce_init(struct debounce *d, struct loop *l, struct usec quiet, struct usec longest, void (*run)(struct debounce *d));
void debounce_stop(struct debounce *d);

/* Something has changed. `run` is called from the loop, never from within. */
void debounce_poke(struct debounce *d);
