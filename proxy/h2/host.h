/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the sessions of one loop share: the list of them, so that the loop's end can wait for those that still say goodbye, and their
 * part of the process's byte budget.
 *
 * Bytes that wait for a peer to read them, of bodies and of header blocks, are that peer's to answer for. Past `session_max_bytes`
 * its new streams are refused (a client session takes no more, so its pool dials another); past twice that it is sent away. For all
 * sessions of the process together the steps are policy/byte_budget's: windows stop growing; no more credit for connections; new
 * streams are refused (REFUSED_STREAM, which may be repeated); the session with most bytes waiting ends with
 * GOAWAY(ENHANCE_YOUR_CALM).
 *
 * Owner:   a worker; outlives its sessions. Sessions find it through their options; without one they have no limits, and one that is
 *          abandoned ends at once.
 * Threads: the loop's; the budget is shared.
 * Limits:  a session tells differences of 4 KiB and more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "net/timer.h"
#include "policy/byte_budget.h"

struct h2_host_counts {
    uint64_t withheld; /* times a connection's credit was withheld */
    uint64_t refused;  /* streams */
    uint64_t evicted;  /* sessions */
};

struct h2_host {
    struct loop *loop;
    struct byte_budget *budget; /* link */
    unsigned party;
    uint64_t session_max_bytes;
    enum budget_level level; /* as last looked up */
    struct usec looked;      /* for the largest holder */
    uint64_t waiting_bytes;  /* of these sessions */
    struct list sessions;
    struct list withheld; /* of those, the ones whose connection credit waits */
    struct timer timer;   /* while any does */
    struct h2_host_counts counts;
};

/* `party` distinguishes the hosts of one budget: 0 … BYTE_BUDGET_PARTIES − 1. */
void h2_host_init(struct h2_host *host, struct loop *loop, struct byte_budget *budget, unsigned party,
                  uint64_t session_max_bytes);

/* For an owner whose loop does not run any more: turns it until every session has ended. Farewells are bounded by themselves; whoever is
 * still there after three seconds is cut off. */
void h2_host_finish(struct h2_host *host);

/* Looks at the budget: others may have filled or freed it. Once a second is enough. */
void h2_host_tick(struct h2_host *host);
