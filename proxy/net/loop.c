/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A turn is one event_base_loop(EVLOOP_ONCE), then the deferred work in rounds, then the graveyard. The eventfd of the mailbox is an
 * event that is always there, so the base never runs out of events and waits as long as nothing happens.
 */

#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/hangup.h"

#define DEFERRED_ROUNDS_MAX 16

struct task {
    struct list node;
    loop_task_fn *fn;
    void *arg;
};

/* The clock is read at the first question of a turn: libevent 2.1 has no hook between its wait and the callbacks. */
struct turn_clock {
    struct usec now;
    bool is_read;
};

struct loop {
    struct event_base *base;
    struct turn_clock own_clock;
    struct turn_clock *clock; /* own_clock, through a pointer so that a const loop can fill its cache */
    struct slab *slab;
    struct rng rng;
    uint8_t *read_buffer;
    struct list deferred;
    struct list graveyard;
    int wake_fd;
    struct event wake;
    struct hangup_set hangups;
    struct {
        pthread_mutex_t lock;
        struct list tasks;
        size_t task_count;
    } shared; /* under its lock; all else is the loop's thread's */
    atomic_bool must_stop;
};

static void die(const char *what)
{
    fprintf(stderr, "event loop: %s: %s\n", what, strerror(errno));
    abort();
}

static void on_wake(evutil_socket_t fd, short events, void *ctx);

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();

    if (config == NULL) {
        die("configuration");
    }
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *base = event_base_new_with_config(config);

    event_config_free(config);
    if (base == NULL) {
        die("event base");
    }
    return base;
}

uint64_t loop_random_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        seed = loop_clock().v; /* it only spreads choices: nothing depends on its secrecy */
    }
    return seed;
}

struct loop *loop_new(uint64_t rng_seed)
{
    struct loop *l = mem_alloc(sizeof *l);

    /* splice and evhttp's writev have no MSG_NOSIGNAL. */
    signal(SIGPIPE, SIG_IGN);
    l->base = new_base();
    l->clock = &l->own_clock;
    l->slab = slab_new();
    rng_init(&l->rng, rng_seed);
    l->read_buffer = mem_alloc(LOOP_READ_BUFFER_SIZE);
    list_init(&l->deferred);
    list_init(&l->graveyard);
    list_init(&l->shared.tasks);
    pthread_mutex_init(&l->shared.lock, NULL);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0) {
        die("eventfd");
    }
    event_assign(&l->wake, l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
    if (event_add(&l->wake, NULL) < 0) {
        die("watching the mailbox");
    }
    if (hangup_set_init(&l->hangups, l->base) < 0) {
        die("hang-up set");
    }
    return l;
}

/* --- mailbox --- */

static void wake(struct loop *l)
{
    uint64_t one = 1;

    /* A counter that is full (EAGAIN) wakes as well. */
    if (write(l->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN) {
        die("eventfd write");
    }
}

void loop_post(struct loop *l, loop_task_fn *fn, void *arg)
{
    struct task *t = mem_alloc(sizeof *t);

    t->fn = fn;
    t->arg = arg;
    pthread_mutex_lock(&l->shared.lock);
    bool was_empty = l->shared.task_count == 0;
    bool is_full = l->shared.task_count >= LOOP_MAILBOX_MAX;

    l->shared.task_count++;
    list_push_back(&l->shared.tasks, &t->node);
    pthread_mutex_unlock(&l->shared.lock);
    if (is_full) {
        errno = EOVERFLOW;
        die("mailbox");
    }
    if (was_empty) {
        wake(l);
    }
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->must_stop, true);
    wake(l);
}

/* Runs what was posted up to now; what these tasks post waits for the next turn. */
static void run_tasks(struct loop *l)
{
    struct list todo;
    struct list *node = NULL;

    list_init(&todo);
    pthread_mutex_lock(&l->shared.lock);
    list_splice(&todo, &l->shared.tasks);
    l->shared.task_count = 0;
    pthread_mutex_unlock(&l->shared.lock);
    while ((node = list_pop_front(&todo)) != NULL) {
        struct task *t = list_entry(node, struct task, node);
        struct task copy = *t;

        mem_free(t);
        copy.fn(copy.arg);
    }
}

static void on_wake(evutil_socket_t fd, short events, void *ctx)
{
    struct loop *l = ctx;
    uint64_t count = 0;

    (void)events;
    /* Emptied before the list is taken: a post that comes in between wakes us once more. */
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN) {
        die("eventfd read");
    }
    run_tasks(l);
}

/* --- deferred work, graveyard --- */

void deferred_init(struct deferred *d, void (*run)(struct deferred *d))
{
    list_init(&d->node);
    d->run = run;
}

void loop_defer(struct loop *l, struct deferred *d)
{
    if (!list_is_linked(&d->node)) {
        list_push_back(&l->deferred, &d->node);
    }
}

void loop_undefer(struct deferred *d)
{
    list_unlink(&d->node);
}

static void run_deferred(struct loop *l)
{
    for (unsigned round = 0; round < DEFERRED_ROUNDS_MAX && !list_is_empty(&l->deferred); round++) {
        struct list todo;
        struct list *node = NULL;

        list_init(&todo);
        list_splice(&todo, &l->deferred);
        while ((node = list_pop_front(&todo)) != NULL) {
            struct deferred *d = list_entry(node, struct deferred, node);

            d->run(d);
        }
    }
}

void loop_bury(struct loop *l, struct grave *g, void (*reap)(struct grave *g))
{
    g->reap = reap;
    list_push_back(&l->graveyard, &g->node);
}

static void reap_graves(struct loop *l)
{
    struct list *node = NULL;

    while ((node = list_pop_front(&l->graveyard)) != NULL) {
        struct grave *g = list_entry(node, struct grave, node);

        g->reap(g);
    }
}

/* --- turns --- */

void loop_turn(struct loop *l, bool wait)
{
    bool may_block = wait && list_is_empty(&l->deferred);

    l->clock->is_read = false;
    if (event_base_loop(l->base, may_block ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) {
        die("wait");
    }
    run_deferred(l);
    reap_graves(l);
}

void loop_run(struct loop *l)
{
    do {
        loop_turn(l, true);
    } while (!atomic_exchange(&l->must_stop, false));
}

void loop_free(struct loop *l)
{
    /* Tasks own their arguments, so those that came too late run as well; what they leave behind runs in the next pass. */
    do {
        run_tasks(l);
        run_deferred(l);
        reap_graves(l);
        event_base_loop(l->base, EVLOOP_NONBLOCK); /* evhttp and evdns finish their own closing by callbacks */
    } while (!list_is_empty(&l->deferred) || !list_is_empty(&l->graveyard) || !list_is_empty(&l->shared.tasks));

    hangup_set_deinit(&l->hangups);
    event_del(&l->wake);
    close(l->wake_fd);
    event_base_free(l->base);
    pthread_mutex_destroy(&l->shared.lock);
    mem_free(l->read_buffer);
    slab_free(l->slab);
    mem_free(l);
}

/* --- what the thread shares --- */

struct usec loop_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct usec){(uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000};
}

struct usec loop_now(const struct loop *l)
{
    if (!l->clock->is_read) {
        *l->clock = (struct turn_clock){.now = loop_clock(), .is_read = true};
    }
    return l->clock->now;
}

struct slab *loop_slab(struct loop *l)
{
    return l->slab;
}

struct rng *loop_rng(struct loop *l)
{
    return &l->rng;
}

uint8_t *loop_read_buffer(struct loop *l)
{
    return l->read_buffer;
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

struct hangup_set *loop_hangups(struct loop *l)
{
    return &l->hangups;
}
