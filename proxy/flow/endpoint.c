/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One endpoint's life: made by a reconciliation, picked, connected to, left out, gone when nobody uses it and its pool is empty.
 */

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/object.h"
#include "flow/cluster.h"
#include "flow/cluster_table.h"
#include "flow/worker.h"
#include "net/socket.h"

static void series_start(struct endpoint *e, struct metric_shard *shard)
{
    const char *service = e->cluster->name;
    const char *ok[] = {service, e->text, "ok"};
    const char *failed[] = {service, e->text, "failed"};

    e->series = (struct endpoint_series){
        .ok = metric_get(shard, METRIC_ENDPOINT_REQUESTS, ok),
        .failed = metric_get(shard, METRIC_ENDPOINT_REQUESTS, failed),
        .in_flight = metric_get(shard, METRIC_ENDPOINT_IN_FLIGHT, ok),
        .latency = metric_get(shard, METRIC_ENDPOINT_LATENCY, ok),
        .ejected = metric_get(shard, METRIC_ENDPOINT_EJECTED, ok),
    };
}

/* The series end with their endpoint. */
static void series_end(struct endpoint *e)
{
    if (e->series.ok == NULL) {
        return;
    }
    metric_end(&e->series.ok);
    metric_end(&e->series.failed);
    metric_end(&e->series.in_flight);
    metric_end(&e->series.latency);
    metric_end(&e->series.ejected);
}

/* --- what the pool tells --- */

static void count_connect(struct endpoint *e, const char *result)
{
    const char *labels[] = {e->cluster->name, result};
    struct metric *series = metric_get(e->cluster->table->worker->metrics.shard, METRIC_CONNECTS, labels);

    metric_add(series, 1);
    metric_put(&series);
}

static void count_close(struct endpoint *e, enum close_reason reason)
{
    const char *labels[] = {e->cluster->name, close_reason_label(reason)};
    struct metric *series = metric_get(e->cluster->table->worker->metrics.shard, METRIC_ENDPOINT_CLOSES, labels);

    metric_add(series, 1);
    metric_put(&series);
}

static void on_connected(void *ctx, struct usec connect_time)
{
    struct endpoint *e = ctx;

    (void)connect_time; /* a connect's duration says nothing about the application's latency */
    balancer_connected(&e->stats);
    count_connect(e, "ok");
}

static void on_connect_failed(void *ctx, enum close_reason reason)
{
    struct endpoint *e = ctx;
    struct worker *w = e->cluster->table->worker;

    if (reason != CLOSE_NO_DESCRIPTORS) { /* that is our own want: nobody was asked */
        balancer_connect_failed(&e->stats, loop_now(w->loop), loop_rng(w->loop));
    }
    count_connect(e, close_reason_label(reason));
    log_info(LOG_ENDPOINT, e->cluster->name, "%s: %s", e->text, close_reason_text(reason));
}

static void on_session_closed(void *ctx, enum close_reason reason)
{
    struct endpoint *e = ctx;

    count_close(e, reason);
    log_debug(LOG_ENDPOINT, e->cluster->name, "%s: connection ended: %s", e->text, close_reason_text(reason));
}

static void on_pool_empty(void *ctx)
{
    endpoint_free_if_unused(ctx);
}

static const struct pool_ops pool_ops = {
    .on_connected = on_connected,
    .on_connect_failed = on_connect_failed,
    .on_session_closed = on_session_closed,
    .on_empty = on_pool_empty,
};

/* --- life --- */

struct endpoint *endpoint_new(struct cluster *c, const struct snapshot_endpoint *from)
{
    struct cluster_table *t = c->table;
    struct worker *w = t->worker;
    struct endpoint *e = mem_alloc(sizeof *e);

    object_created(OBJECT_ENDPOINT);
    e->cluster = c;
    e->addr = from->addr;
    addr_format(&from->addr, e->text);
    e->uid = mem_strdup(from->uid);
    e->name = mem_strdup(from->name);
    e->load = load_registry_get(t->loads, c->name, &from->addr, from->uid);
    endpoint_stats_init(&e->stats, e->load, &balance_policy_default, loop_now(w->loop));
    e->pool = client_pool_new(w->loop, &e->addr, &w->options->pool, &pool_ops, e);
    client_pool_set_service(e->pool, trace_service_key(c->name));
    list_push_back(&c->endpoints, &e->node);
    hash_insert(&c->by_address, &e->by_address, addr_hash(&e->addr));
    if (w->options->has_endpoint_metrics) {
        series_start(e, w->metrics.shard);
    }
    endpoint_update(e, from);
    return e;
}

void endpoint_update(struct endpoint *e, const struct snapshot_endpoint *from)
{
    struct endpoint_set *tier = &e->cluster->tiers[from->priority];

    e->stats.is_draining = from->is_draining;
    endpoint_set_weigh(&e->stats, from->weight);
    if (e->is_present && e->tier != tier) {
        endpoint_set_remove(e->tier, &e->stats);
        endpoint_set_add(tier, &e->stats);
    }
    e->tier = tier;
    if (!e->is_present) {
        e->is_present = true;
        endpoint_set_add(tier, &e->stats);
        client_pool_open(e->pool);
    }
}

void endpoint_leave(struct endpoint *e)
{
    e->is_present = false;
    endpoint_set_remove(e->tier, &e->stats);
    client_pool_close(e->pool);
    endpoint_free_if_unused(e);
}

void endpoint_free_if_unused(struct endpoint *e)
{
    struct cluster *c = e->cluster;

    if (e->is_present || e->users > 0 || !client_pool_is_empty(e->pool)) {
        return;
    }
    series_end(e);
    client_pool_free(&e->pool);
    load_registry_put(c->table->loads, &e->load);
    app_load_deinit(&e->app);
    hash_remove(&c->by_address, &e->by_address);
    list_unlink(&e->node);
    mem_free(e->uid);
    mem_free(e->name);
    mem_free(e);
    object_destroyed(OBJECT_ENDPOINT);
    cluster_free_if_unused(c);
}

/* --- requests --- */

/* Our own pod's app is reached directly: nobody but us can count these requests to what it has in flight. */
static void learn_app(struct endpoint *e)
{
    struct cluster_table *t = e->cluster->table;

    if (!e->is_app_known && socket_is_local_ip(&e->addr)) {
        app_load_init(&e->app, t->loads, t->worker->metrics.shard, &e->addr);
    }
    e->is_app_known = true;
}

/* The first tier that has one; an ejected one only if there is no other in any. */
static struct endpoint_stats *pick_from_tiers(struct cluster *c, struct endpoint_stats *const *tried, size_t tried_count)
{
    struct worker *w = c->table->worker;
    struct endpoint_stats *ejected = NULL;

    for (unsigned i = 0; i < SNAPSHOT_PRIORITIES; i++) {
        struct endpoint_stats *s;

        if (endpoint_set_count(&c->tiers[i]) == 0) {
            continue;
        }
        s = balancer_pick(&c->tiers[i], loop_now(w->loop), loop_rng(w->loop), tried, tried_count);
        if (s != NULL && s->ejection != EJECTION_OUT) {
            return s;
        }
        ejected = ejected != NULL ? ejected : s;
    }
    return ejected;
}

struct endpoint *cluster_pick(struct cluster *c, struct endpoint *const *tried, size_t tried_count)
{
    struct endpoint_stats *tried_stats[CLUSTER_TRIED_MAX];
    struct endpoint_stats *picked;
    struct endpoint *e;

    assert(tried_count <= CLUSTER_TRIED_MAX);
    for (size_t i = 0; i < tried_count; i++) {
        tried_stats[i] = &tried[i]->stats; /* an address to compare with: never followed */
    }
    picked = pick_from_tiers(c, tried_stats, tried_count);
    if (picked == NULL) {
        return NULL;
    }
    e = container_of(picked, struct endpoint, stats);
    balancer_started(picked);
    learn_app(e);
    app_load_started(&e->app);
    e->users++;
    return e;
}

void endpoint_streaming(struct endpoint *e)
{
    balancer_streaming(&e->stats);
}

void endpoint_release(struct endpoint **link, bool was_streaming)
{
    struct endpoint *e = *link;

    if (e == NULL) {
        return;
    }
    *link = NULL;
    balancer_ended(&e->stats, was_streaming);
    app_load_ended(&e->app);
    e->users--;
    endpoint_free_if_unused(e);
}

void endpoint_first_byte(struct endpoint *e, struct usec latency)
{
    balancer_latency(e->tier, &e->stats, latency, loop_now(e->cluster->table->worker->loop));
}

void endpoint_waited(struct endpoint *e, struct usec waited)
{
    struct usec now = loop_now(e->cluster->table->worker->loop);
    struct balancer_view view;

    balancer_view(&e->stats, e->tier, now, &view);
    if (waited.v > view.latency.v) {
        balancer_latency(e->tier, &e->stats, waited, now);
    }
}

void endpoint_sent_away(struct endpoint *e)
{
    struct worker *w = e->cluster->table->worker;

    balancer_connect_failed(&e->stats, loop_now(w->loop), loop_rng(w->loop));
}

void endpoint_outcome(struct endpoint *e, bool is_ok)
{
    struct worker *w = e->cluster->table->worker;
    struct usec now = loop_now(w->loop);

    if (is_ok) {
        balancer_succeeded(e->tier, &e->stats, now);
    } else {
        balancer_failed(e->tier, &e->stats, now, loop_rng(w->loop));
    }
    if (e->series.ok != NULL) {
        metric_add(is_ok ? e->series.ok : e->series.failed, 1);
    }
}

enum endpoint_state endpoint_state(const struct balancer_view *view)
{
    if (view->is_draining) {
        return ENDPOINT_DRAINING;
    }
    if (view->is_ejected) {
        return ENDPOINT_EJECTED;
    }
    return view->is_backing_off ? ENDPOINT_BACKING_OFF : ENDPOINT_READY;
}
