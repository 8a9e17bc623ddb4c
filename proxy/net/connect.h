/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One non-blocking connection attempt.
 *
 * Owner:   embedded in whoever dials.
 * Threads: the loop's.
 * Errors:  reported to on_done, never from within connect_start: -ECONNREFUSED, -ETIMEDOUT (also for our own limit),
 *          -EHOSTUNREACH, …
 */

#include "base/addr.h"
#include "base/usec.h"
#include "net/stream.h"
#include "net/timer.h"

struct connect {
    struct stream stream; /* while connecting */
    struct timer timer;
    int early_error; /* negative errno of a failed start, reported by the timer */
    struct addr addr;
    struct usec started;
    /* result: 0, and the connected socket is in c->stream, to be taken with stream_move; or negative errno, nothing to take. */
    void (*on_done)(struct connect *c, int result);
    bool is_active;
};

struct connect_options {
    const struct addr *source; /* bind to this address first; NULL: let the kernel choose */
    struct usec timeout;       /* 0: as long as the kernel tries */
    struct usec
        user_timeout; /* a peer that is dead, or does not read, is noticed in about this time, whatever is under way; 0: no */
    struct usec keepalive; /* without a user timeout: as socket_set_keepalive */
};

void connect_start(struct connect *c, struct loop *l, const struct addr *to, const struct connect_options *options,
                   void (*on_done)(struct connect *c, int result));

/* Gives up without a report; closes a connected socket that nobody took. Accepts one that is not active, or all zero. */
void connect_cancel(struct connect *c);
