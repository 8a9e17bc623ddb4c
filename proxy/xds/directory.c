/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An address is asked for when its first watch comes and given up when it has had none for the retention time. Addresses without
 * watches stand on a list, longest idle first; one timer looks at its head.
 */

#include "xds/directory.h"

#include <assert.h>

#include "base/hash.h"
#include "base/mem.h"
#include "net/timer.h"
#include "xds/channel.h"

struct directory_entry {
    struct hash_node by_addr;
    struct directory *directory;
    struct addr addr;
    struct snapshot *snapshot; /* NULL: no answer yet */
    struct list watches;
    struct list idle; /* linked while there are no watches */
    struct usec idle_since;
};

struct directory {
    struct loop *loop;
    struct usec retention;
    struct channel *channel;
    struct hash_table by_addr;
    struct list idle;
    struct timer expiry;
};

/* --- entries --- */

static struct directory_entry *find(const struct directory *d, const struct addr *addr)
{
    for (struct hash_node *node = hash_first(&d->by_addr, addr_hash(addr)); node != NULL; node = hash_next(node)) {
        struct directory_entry *e = container_of(node, struct directory_entry, by_addr);

        if (addr_eq(&e->addr, addr)) {
            return e;
        }
    }
    return NULL;
}

static void entry_free(struct directory_entry *e)
{
    assert(list_is_empty(&e->watches));
    hash_remove(&e->directory->by_addr, &e->by_addr);
    list_unlink(&e->idle);
    snapshot_unref(&e->snapshot);
    mem_free(e);
}

static void give_up(struct directory_entry *e)
{
    channel_forget(e->directory->channel, &e->addr);
    entry_free(e);
}

/* NULL when the directory is full of addresses that are watched. */
static struct directory_entry *add(struct directory *d, const struct addr *addr)
{
    struct directory_entry *e;

    if (d->by_addr.count >= DIRECTORY_MAX) {
        if (list_is_empty(&d->idle)) {
            return NULL;
        }
        give_up(list_entry(d->idle.next, struct directory_entry, idle));
    }
    e = mem_alloc(sizeof *e);
    e->directory = d;
    e->addr = *addr;
    list_init(&e->watches);
    list_init(&e->idle);
    hash_insert(&d->by_addr, &e->by_addr, addr_hash(addr));
    channel_ask(d->channel, addr);
    return e;
}

/* --- retention --- */

static void set_expiry(struct directory *d)
{
    if (list_is_empty(&d->idle)) {
        timer_stop(&d->expiry);
    } else if (!timer_is_set(&d->expiry)) {
        const struct directory_entry *oldest = list_entry(d->idle.next, struct directory_entry, idle);

        timer_set(&d->expiry, usec_since(usec_add(oldest->idle_since, d->retention), loop_now(d->loop)));
    }
}

static void on_expiry(struct timer *t)
{
    struct directory *d = container_of(t, struct directory, expiry);

    list_for_each(node, &d->idle) {
        struct directory_entry *e = list_entry(node, struct directory_entry, idle);

        if (usec_before(loop_now(d->loop), usec_add(e->idle_since, d->retention))) {
            break;
        }
        give_up(e);
    }
    set_expiry(d);
}

/* --- watches --- */

void directory_watch(struct directory *d, const struct addr *addr, struct directory_watch *w,
                     void (*on_change)(struct directory_watch *w))
{
    struct directory_entry *e = find(d, addr);

    list_init(&w->node);
    w->on_change = on_change;
    w->entry = e != NULL ? e : add(d, addr);
    if (w->entry != NULL) {
        list_unlink(&w->entry->idle);
        list_push_back(&w->entry->watches, &w->node);
    }
}

/* A watch, or the mark of one being told, leaves the entry. */
static void leave(struct directory_entry *e, struct list *node)
{
    list_unlink(node);
    if (list_is_empty(&e->watches)) {
        e->idle_since = loop_now(e->directory->loop);
        list_push_back(&e->directory->idle, &e->idle);
        set_expiry(e->directory);
    }
}

void directory_unwatch(struct directory_watch *w)
{
    struct directory_entry *e = w->entry;

    if (e != NULL) {
        w->entry = NULL;
        leave(e, &w->node);
    }
}

struct snapshot *directory_answer(const struct directory_watch *w)
{
    return w->entry != NULL ? w->entry->snapshot : NULL;
}

/*
 * Watchers may watch and unwatch, themselves and others, while they are told: those still to be told wait on a list of their own and
 * return to the entry one by one. A mark among the watches keeps the entry from being given up meanwhile.
 */
static void tell(struct directory_entry *e)
{
    struct list mark;
    struct list untold;
    struct list *node;

    list_init(&mark);
    list_init(&untold);
    list_splice(&untold, &e->watches);
    list_push_back(&e->watches, &mark);
    while ((node = list_pop_front(&untold)) != NULL) {
        struct directory_watch *w = list_entry(node, struct directory_watch, node);

        list_push_back(&e->watches, &w->node);
        w->on_change(w);
    }
    leave(e, &mark);
}

void directory_on_answer(struct directory *d, const struct addr *addr, struct snapshot *snapshot)
{
    struct directory_entry *e = find(d, addr);
    struct snapshot *before = snapshot;

    if (e != NULL) {
        before = e->snapshot;
        e->snapshot = snapshot;
        if (!list_is_empty(&e->watches)) {
            tell(e);
        }
    }
    snapshot_unref(&before);
}

/* --- life --- */

struct directory *directory_new(struct loop *l, struct discovery *discovery, struct usec retention)
{
    struct directory *d = mem_alloc(sizeof *d);

    d->loop = l;
    d->retention = retention;
    hash_init(&d->by_addr);
    list_init(&d->idle);
    timer_init(&d->expiry, l, on_expiry);
    d->channel = channel_new(discovery_get_door(discovery), d, l);
    return d;
}

static void free_visited(struct hash_node *node, void *ctx)
{
    (void)ctx;
    entry_free(container_of(node, struct directory_entry, by_addr));
}

void directory_free(struct directory *d)
{
    timer_stop(&d->expiry);
    channel_leave(&d->channel);
    hash_for_each(&d->by_addr, free_visited, NULL);
    hash_deinit(&d->by_addr);
    mem_free(d);
}

struct for_each_call {
    void (*visit)(const struct addr *addr, struct snapshot *snapshot, void *ctx);
    void *ctx;
};

static void visit_entry(struct hash_node *node, void *ctx)
{
    const struct for_each_call *call = ctx;
    struct directory_entry *e = container_of(node, struct directory_entry, by_addr);

    call->visit(&e->addr, e->snapshot, call->ctx);
}

void directory_for_each(struct directory *d, void (*visit)(const struct addr *addr, struct snapshot *snapshot, void *ctx),
                        void *ctx)
{
    struct for_each_call call = {.visit = visit, .ctx = ctx};

    hash_for_each(&d->by_addr, visit_entry, &call);
}
