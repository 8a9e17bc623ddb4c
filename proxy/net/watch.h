/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * "This descriptor is readable" for anything that is no socket of ours: inotify, signalfd, a pipe.
 *
 * Owner:   embedded; the descriptor stays its opener's, who closes it after watch_stop.
 * Threads: the loop's.
 * Errors:  negative errno from watch_start (-EPERM: the kind of file cannot be polled).
 */

#include <event2/event_struct.h>
#include <stdbool.h>

#include "base/container.h"
#include "net/loop.h"

struct watch {
    struct event event;
    int fd;
    bool is_on;
    void (*on_readable)(struct watch *w); /* once a turn for as long as there is something to read */
};

int watch_start(struct watch *w, struct loop *l, int fd, void (*on_readable)(struct watch *w)) MUST_CHECK;
void watch_stop(struct watch *w); /* accepts one that is stopped or all zero */
