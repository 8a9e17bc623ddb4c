/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One thread's event loop, and what every object of that thread shares: the clock, the slab, the random numbers, the read buffer.
 *
 *     turn:  wait for events → run their callbacks → run deferred work (session pumps) → free the graveyard
 *
 * Owner:   the thread that runs it; one libevent base each, never shared.
 * Threads: only loop_post and loop_stop may be called from other threads.
 * Errors:  0 or negative errno where an int is returned.
 * Limits:  the mailbox of posted tasks holds LOOP_MAILBOX_MAX; past it loop_post waits for no one and aborts: senders are bounded by
 *          design (one task per subscription or snapshot in flight).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/rng.h"
#include "base/slab.h"
#include "base/usec.h"

#define LOOP_MAILBOX_MAX 1000000
#define LOOP_READ_BUFFER_SIZE ((size_t)64 * 1024)

struct event_base;
struct hangup_set;
struct loop;

struct loop *loop_new(uint64_t rng_seed);

/* A seed that differs from run to run. */
uint64_t loop_random_seed(void);

/* Runs what is left in the graveyard, then frees the loop. All timers, watches and streams on it must be gone. */
void loop_free(struct loop *l);

/* Runs turns until loop_stop. */
void loop_run(struct loop *l);

/* One turn; waits for an event only if `wait`. For tests. */
void loop_turn(struct loop *l, bool wait);

/* From any thread: loop_run returns after the current turn. */
void loop_stop(struct loop *l);

/* The monotonic clock, read once a turn. */
struct usec loop_now(const struct loop *l);

/* The monotonic clock, read now: for measuring below a turn. */
struct usec loop_clock(void);

struct slab *loop_slab(struct loop *l);
struct rng *loop_rng(struct loop *l);

/* LOOP_READ_BUFFER_SIZE bytes that anybody may use within one callback; nothing in it survives the callback. */
uint8_t *loop_read_buffer(struct loop *l);

struct event_base *loop_base(struct loop *l);    /* for net/ only */
struct hangup_set *loop_hangups(struct loop *l); /* for net/stream only */

/* --- messages from other threads --- */

typedef void loop_task_fn(void *arg);

/* From any thread: `fn(arg)` runs on the loop's thread, in the order posted. `arg` is fn's from then on. */
void loop_post(struct loop *l, loop_task_fn *fn, void *arg);

/* --- work at the end of the turn --- */

struct deferred {
    struct list node;
    void (*run)(struct deferred *d);
};

void deferred_init(struct deferred *d, void (*run)(struct deferred *d));

/* Runs once at the end of this turn; asking again before that changes nothing. May be asked for again from within `run`: then it runs
 * in another round of the same turn (at most 16 rounds; the rest waits for the next turn, which then does not block). */
void loop_defer(struct loop *l, struct deferred *d);
void loop_undefer(struct deferred *d);

/* --- close now, free later --- */

struct grave {
    struct list node;
    void (*reap)(struct grave *g); /* frees the object around it */
};

/* Called once by an object's close function; `reap` runs when the turn and its deferred work are over. */
void loop_bury(struct loop *l, struct grave *g, void (*reap)(struct grave *g));
