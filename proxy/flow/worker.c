/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "flow/connection.h"
#include "flow/exchange.h"

#define JANITOR_PERIOD usec_from_s(1)

struct worker_thread {
    pthread_t id;
};

/* --- life --- */

static void on_janitor(struct timer *t)
{
    struct worker *w = container_of(t, struct worker, janitor);
    struct usec now = loop_now(w->loop);

    cluster_table_expire(w->clusters, now);
    server_first_expire(w->server_first, now);
    if (w->options->buffers != NULL) {
        h2_host_tick(&w->h2);
        flow_metrics_buffers(&w->metrics, &w->h2);
    }
    timer_set(&w->janitor, JANITOR_PERIOD);
}

static void take_options(struct worker *w, const struct flow_options *options)
{
    w->options = options;
    if (options->buffers != NULL) {
        w->own_options = *options;
        w->options = &w->own_options;
        h2_host_init(&w->h2, w->loop, options->buffers, w->index, options->connection_buffer_bytes);
        w->own_options.server.host = &w->h2;
        w->own_options.pool.h2.host = &w->h2;
        w->own_options.app.host = &w->h2;
    }
}

struct worker *worker_new(unsigned index, const struct flow_options *options, struct metric_shard *shard,
                          struct discovery *discovery, struct load_registry *loads, uint64_t rng_seed)
{
    struct worker *w = mem_alloc(sizeof *w);

    w->index = index;
    w->last_connection_id = index;
    w->loop = loop_new(rng_seed);
    w->slab = loop_slab(w->loop);
    take_options(w, options);
    w->retry_policy = retry_policy_default;
    w->retry_policy.tries_max = options->retry_attempts;
    w->detect_policy = (struct detect_policy){.silence = options->detect_silence, .hold = options->detect_hold};
    w->copies.max_bytes = options->retry_process_bytes;
    w->headers.max_bytes = EXCHANGE_HEADERS_MAX;
    flow_metrics_init(&w->metrics, shard);
    deadlines_init(&w->deadlines, w->loop);
    w->directory = directory_new(w->loop, discovery, options->discovery_retention);
    w->loads = loads;
    w->clusters = cluster_table_new(w, loads);
    w->pipes = splice_pool_new();
    w->server_first = server_first_new(SERVER_FIRST_MAX, options->server_first_memory);
    list_init(&w->connections);
    timer_init(&w->janitor, w->loop, on_janitor);
    timer_set(&w->janitor, JANITOR_PERIOD);
    return w;
}

static void close_all(struct worker *w)
{
    list_for_each(node, &w->connections) {
        connection_close(list_entry(node, struct connection, node), CLOSE_SHUTDOWN, true);
    }
}

void worker_free(struct worker *w)
{
    close_all(w);
    cluster_table_retire_all(w->clusters);
    timer_stop(&w->janitor);
    deadlines_deinit(&w->deadlines);
    /* Pools say goodbye in their own turns; they hold no more than what one turn closes. */
    for (unsigned turns = 0; turns < 100 && !cluster_table_is_empty(w->clusters); turns++) {
        loop_turn(w->loop, false);
    }
    if (w->options->buffers != NULL) {
        h2_host_finish(&w->h2); /* clients still read what they were told last */
    }
    loop_turn(w->loop, false);
    directory_free(w->directory);
    cluster_table_free(w->clusters);
    splice_pool_free(w->pipes);
    server_first_free(w->server_first);
    flow_metrics_deinit(&w->metrics);
    loop_free(w->loop);
    mem_free(w);
}

/* --- the thread --- */

static void *thread_main(void *arg)
{
    struct worker *w = arg;

    loop_run(w->loop);
    return NULL;
}

int worker_start(struct worker *w)
{
    char name[16];
    int r;

    w->thread = mem_alloc(sizeof *w->thread);
    r = pthread_create(&w->thread->id, NULL, thread_main, w);
    if (r != 0) {
        mem_free(w->thread);
        w->thread = NULL;
        return -r;
    }
    snprintf(name, sizeof name, "worker-%u", w->index);
    pthread_setname_np(w->thread->id, name);
    return 0;
}

static void close_all_here(struct worker *w, void *arg)
{
    (void)arg;
    close_all(w);
}

void worker_stop(struct worker *w)
{
    if (w->thread == NULL) {
        return;
    }
    worker_call(w, close_all_here, NULL, usec_from_s(5));
    loop_stop(w->loop);
    pthread_join(w->thread->id, NULL);
    mem_free(w->thread);
    w->thread = NULL;
}

/* --- calls from the control thread --- */

/* Two parties hold a call: who waits and who runs it. The last one frees it. */
struct call {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct worker *worker;
    void (*fn)(struct worker *w, void *arg);
    void *arg;
    bool is_given_up; /* under the lock, as the next two */
    bool is_done;
    unsigned holders;
};

static void call_release(struct call *call)
{
    bool is_last;

    pthread_mutex_lock(&call->lock);
    is_last = --call->holders == 0;
    pthread_mutex_unlock(&call->lock);
    if (is_last) {
        pthread_cond_destroy(&call->done);
        pthread_mutex_destroy(&call->lock);
        mem_free(call);
    }
}

/* The lock is held while fn runs, so that who gave up cannot be surprised by a late start. */
static void call_run(void *arg)
{
    struct call *call = arg;

    pthread_mutex_lock(&call->lock);
    if (!call->is_given_up) {
        call->fn(call->worker, call->arg);
        call->is_done = true;
        pthread_cond_signal(&call->done);
    }
    pthread_mutex_unlock(&call->lock);
    call_release(call);
}

static struct timespec deadline_in(struct usec limit)
{
    struct usec at = usec_add(loop_clock(), limit);

    return (struct timespec){.tv_sec = (time_t)(at.v / 1000000), .tv_nsec = (long)(at.v % 1000000) * 1000};
}

bool worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg, struct usec limit)
{
    struct timespec deadline = deadline_in(limit);
    pthread_condattr_t attr;
    struct call *call;
    bool is_done;

    if (w->thread == NULL) {
        fn(w, arg);
        return true;
    }
    call = mem_alloc(sizeof *call);
    *call = (struct call){.worker = w, .fn = fn, .arg = arg, .holders = 2};
    pthread_mutex_init(&call->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&call->done, &attr);
    pthread_condattr_destroy(&attr);
    loop_post(w->loop, call_run, call);

    pthread_mutex_lock(&call->lock);
    while (!call->is_done && pthread_cond_timedwait(&call->done, &call->lock, &deadline) != ETIMEDOUT) {
    }
    is_done = call->is_done;
    call->is_given_up = !is_done;
    pthread_mutex_unlock(&call->lock);
    call_release(call);
    return is_done;
}

static void drain_here(void *arg)
{
    struct worker *w = arg;

    w->is_draining = true;
    list_for_each(node, &w->connections) {
        connection_drain(list_entry(node, struct connection, node), CLOSE_DRAINED);
    }
}

void worker_drain(struct worker *w)
{
    loop_post(w->loop, drain_here, w);
}

static void count_here(struct worker *w, void *arg)
{
    *(uint32_t *)arg = w->connection_count;
}

uint32_t worker_connections(struct worker *w)
{
    uint32_t count = UINT32_MAX; /* a worker that does not answer has connections */

    worker_call(w, count_here, &count, usec_from_s(1));
    return count;
}
