/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SIGTERM, SIGINT, SIGHUP and SIGUSR1 as events of a loop instead of interruptions (signalfd).
 *
 * Owner:   embedded, in the program; one a process.
 * Threads: the loop's. Start it before any other thread exists: the signals are blocked in the calling thread and those it creates
 *          later, and a thread that does not block them would be killed by them.
 * Errors:  negative errno from signals_start.
 * Limits:  equal signals that come before the loop looks are one.
 */

#include <signal.h>

#include "base/container.h"
#include "net/watch.h"

struct signals {
    struct watch watch;
    int fd;
    sigset_t mask_before;
    void (*on_signal)(struct signals *s, int signo); /* may call signals_stop */
};

int signals_start(struct signals *s, struct loop *l, void (*on_signal)(struct signals *s, int signo)) MUST_CHECK;

/* The calling thread's signal mask is again what it was. Accepts one that is stopped. */
void signals_stop(struct signals *s);
