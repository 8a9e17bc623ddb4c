/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two-way mail between a worker's directory and discovery. Either end may go first: a message to an end that is gone gives its
 * contents back and does nothing.
 *
 *     directory ── channel_ask(addr) ──▶ discovery_on_ask          (control thread)
 *     directory_on_answer ◀── channel_answer(addr, snapshot) ──    (worker's thread)
 *
 * Owner:   reference-counted: the directory, discovery and every message under way hold one each.
 * Threads: as said at each function. A message that a loop has not run when it is freed runs then.
 * Limits:  one message for each question and each changed answer.
 */

#include "base/addr.h"
#include "base/list.h"
#include "net/loop.h"
#include "xds/snapshot.h"

struct channel;
struct directory;
struct discovery;

/* What all channels of one discovery share: the way to it, until it is gone. */
struct discovery_door;

struct discovery_door *discovery_door_new(struct discovery *d, struct loop *control);
void discovery_door_close(struct discovery_door **door); /* control thread; gives the reference back */

/* Worker's thread, or before it runs. */
struct channel *channel_new(struct discovery_door *door, struct directory *d, struct loop *worker);
void channel_ask(struct channel *c, const struct addr *addr);
void channel_forget(struct channel *c, const struct addr *addr);

/* Worker's thread: the directory is gone. Discovery is told, and nothing is posted to the worker's loop any more. */
void channel_leave(struct channel **c);

/* Control thread: takes over the caller's reference of the snapshot. */
void channel_answer(struct channel *c, const struct addr *addr, struct snapshot *snapshot);

struct channel *channel_ref(struct channel *c);
void channel_unref(struct channel **c);

/* Control thread: discovery's own list of what this channel has asked for. */
struct list *channel_interests(struct channel *c);

/* --- the ends --- */

/* Implemented by discovery. */
void discovery_on_ask(struct discovery *d, struct channel *c, const struct addr *addr);
void discovery_on_forget(struct discovery *d, struct channel *c, const struct addr *addr);
void discovery_on_leave(struct discovery *d, struct channel *c);
struct discovery_door *discovery_get_door(struct discovery *d);

/* Implemented by directory; takes over the reference. */
void directory_on_answer(struct directory *d, const struct addr *addr, struct snapshot *snapshot);
