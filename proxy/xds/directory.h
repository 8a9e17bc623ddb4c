/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker's view of discovery: asks the control thread about addresses its connections dial, keeps the answers, tells watchers of
 * changes.
 *
 *     worker: directory_watch ──post──▶ control: discovery ──ADS──▶ api
 *             on_change       ◀──post── immutable snapshot
 *
 * Owner:   one a worker. A watch is embedded in whoever wants to know (a connection).
 * Threads: the worker's. Control is reached by loop_post only.
 * Limits:  DIRECTORY_MAX addresses; past it a watch stays without answer (the connection then goes to its original destination).
 *          An address without watches is given up after the retention time (default 60 s).
 */

#include "base/addr.h"
#include "base/list.h"
#include "net/loop.h"
#include "xds/snapshot.h"

#define DIRECTORY_MAX 10000

struct directory;
struct discovery;

struct directory_watch {
    struct list node;
    struct directory_entry *entry; /* link; NULL while not watching */
    /* The answer came or changed: ask directory_answer. Called from the loop, never from within directory_watch. */
    void (*on_change)(struct directory_watch *w);
};

struct directory *directory_new(struct loop *l, struct discovery *discovery, struct usec retention);
void directory_free(struct directory *d); /* no watch may be left */

void directory_watch(struct directory *d, const struct addr *addr, struct directory_watch *w,
                     void (*on_change)(struct directory_watch *w));
void directory_unwatch(struct directory_watch *w); /* accepts one that is not watching */

/* The latest snapshot (no new reference: valid until the loop turns), or NULL while there is no answer. */
struct snapshot *directory_answer(const struct directory_watch *w);

/* Visits every address held, for /endpoints. */
void directory_for_each(struct directory *d, void (*visit)(const struct addr *addr, struct snapshot *snapshot, void *ctx),
                        void *ctx);
