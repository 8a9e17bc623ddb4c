/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/channel.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"

struct discovery_door {
    _Atomic uint32_t refs;
    struct loop *control;
    struct discovery *discovery; /* the control thread's; NULL once gone */
};

struct channel {
    _Atomic uint32_t refs;
    struct discovery_door *door;
    struct directory *directory; /* the worker's; NULL once gone */
    struct list interests;       /* the control thread's */
    struct {
        pthread_mutex_t lock;
        struct loop *worker; /* NULL once the directory is gone: the loop may follow it any time */
    } shared;
};

struct message {
    struct channel *channel;
    struct addr addr;
    struct snapshot *snapshot;
};

/* --- references --- */

struct discovery_door *discovery_door_new(struct discovery *d, struct loop *control)
{
    struct discovery_door *door = mem_alloc(sizeof *door);

    atomic_init(&door->refs, 1);
    door->discovery = d;
    door->control = control;
    return door;
}

static void door_unref(struct discovery_door *door)
{
    if (atomic_fetch_sub_explicit(&door->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(door);
    }
}

void discovery_door_close(struct discovery_door **door)
{
    (*door)->discovery = NULL;
    door_unref(*door);
    *door = NULL;
}

struct channel *channel_new(struct discovery_door *door, struct directory *d, struct loop *worker)
{
    struct channel *c = mem_alloc(sizeof *c);

    atomic_init(&c->refs, 1);
    atomic_fetch_add_explicit(&door->refs, 1, memory_order_relaxed);
    c->door = door;
    c->directory = d;
    list_init(&c->interests);
    pthread_mutex_init(&c->shared.lock, NULL);
    c->shared.worker = worker;
    return c;
}

struct channel *channel_ref(struct channel *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void channel_unref(struct channel **link)
{
    struct channel *c = *link;

    *link = NULL;
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        door_unref(c->door);
        pthread_mutex_destroy(&c->shared.lock);
        mem_free(c);
    }
}

struct list *channel_interests(struct channel *c)
{
    return &c->interests;
}

/* --- messages --- */

static struct message *message_new(struct channel *c, const struct addr *addr, struct snapshot *snapshot)
{
    struct message *m = mem_alloc(sizeof *m);

    *m = (struct message){.channel = channel_ref(c), .snapshot = snapshot};
    if (addr != NULL) {
        m->addr = *addr;
    }
    return m;
}

static void message_free(struct message *m)
{
    snapshot_unref(&m->snapshot);
    channel_unref(&m->channel);
    mem_free(m);
}

/* Control thread. */
static void deliver(struct message *m, void (*to)(struct discovery *d, struct channel *c, const struct addr *addr))
{
    struct discovery *d = m->channel->door->discovery;

    if (d != NULL) {
        to(d, m->channel, &m->addr);
    }
    message_free(m);
}

static void run_ask(void *arg)
{
    deliver(arg, discovery_on_ask);
}

static void run_forget(void *arg)
{
    deliver(arg, discovery_on_forget);
}

static void run_leave(void *arg)
{
    struct message *m = arg;
    struct discovery *d = m->channel->door->discovery;

    if (d != NULL) {
        discovery_on_leave(d, m->channel);
    }
    message_free(m);
}

/* Worker's thread. */
static void run_answer(void *arg)
{
    struct message *m = arg;
    struct directory *d = m->channel->directory;

    if (d != NULL) {
        struct snapshot *snapshot = m->snapshot;

        m->snapshot = NULL;
        directory_on_answer(d, &m->addr, snapshot);
    }
    message_free(m);
}

void channel_ask(struct channel *c, const struct addr *addr)
{
    loop_post(c->door->control, run_ask, message_new(c, addr, NULL));
}

void channel_forget(struct channel *c, const struct addr *addr)
{
    loop_post(c->door->control, run_forget, message_new(c, addr, NULL));
}

void channel_leave(struct channel **link)
{
    struct channel *c = *link;

    pthread_mutex_lock(&c->shared.lock);
    c->shared.worker = NULL;
    pthread_mutex_unlock(&c->shared.lock);
    c->directory = NULL;
    loop_post(c->door->control, run_leave, message_new(c, NULL, NULL));
    channel_unref(link);
}

void channel_answer(struct channel *c, const struct addr *addr, struct snapshot *snapshot)
{
    struct message *m = message_new(c, addr, snapshot);
    bool is_posted = false;

    pthread_mutex_lock(&c->shared.lock);
    if (c->shared.worker != NULL) {
        loop_post(c->shared.worker, run_answer, m);
        is_posted = true;
    }
    pthread_mutex_unlock(&c->shared.lock);
    if (!is_posted) {
        message_free(m);
    }
}
