/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "flow/cluster_table.h"
#include "flow/worker.h"

static const char *const state_labels[ENDPOINT_STATE_COUNT] = {
    [ENDPOINT_READY] = "ready",
    [ENDPOINT_EJECTED] = "ejected",
    [ENDPOINT_BACKING_OFF] = "backing_off",
    [ENDPOINT_DRAINING] = "draining",
};

struct cluster_table *cluster_table_new(struct worker *w, struct load_registry *loads)
{
    struct cluster_table *t = mem_alloc(sizeof *t);

    t->worker = w;
    t->loads = loads;
    hash_init(&t->by_name);
    list_init(&t->all);
    list_init(&t->idle);
    return t;
}

/* --- clusters --- */

static struct cluster *cluster_new(struct cluster_table *t, const char *name, uint64_t hash)
{
    struct worker *w = t->worker;
    struct cluster *c = mem_alloc(sizeof *c);

    c->table = t;
    c->name = mem_strdup(name);
    list_init(&c->idle_node);
    list_init(&c->endpoints);
    hash_init(&c->by_address);
    for (unsigned i = 0; i < SNAPSHOT_PRIORITIES; i++) {
        endpoint_set_init(&c->tiers[i]);
    }
    retry_budget_init(&c->retries, &w->retry_policy, loop_now(w->loop));
    service_metrics_init(&c->metrics, w->metrics.shard, OUTBOUND, c->name);
    for (unsigned i = 0; i < ENDPOINT_STATE_COUNT; i++) {
        const char *labels[] = {c->name, state_labels[i]};

        c->states[i] = metric_get(w->metrics.shard, METRIC_ENDPOINTS, labels);
    }
    hash_insert(&t->by_name, &c->by_name, hash);
    c->is_listed = true;
    list_push_back(&t->all, &c->node);
    t->cluster_count++;
    return c;
}

static struct cluster *find(struct cluster_table *t, const char *name, uint64_t hash)
{
    for (struct hash_node *n = hash_first(&t->by_name, hash); n != NULL; n = hash_next(n)) {
        struct cluster *c = container_of(n, struct cluster, by_name);

        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static struct cluster *find_or_new(struct cluster_table *t, const char *name)
{
    uint64_t hash = hash_bytes(name, strlen(name));
    struct cluster *c = find(t, name, hash);

    return cluster_ref(c != NULL ? c : cluster_new(t, name, hash));
}

struct cluster *cluster_ref(struct cluster *c)
{
    c->users++;
    list_unlink(&c->idle_node);
    return c;
}

void cluster_unref(struct cluster **link)
{
    struct cluster *c = *link;

    if (c == NULL) {
        return;
    }
    *link = NULL;
    if (--c->users == 0) {
        c->idle_since = loop_now(c->table->worker->loop);
        list_push_back(&c->table->idle, &c->idle_node);
    }
}

void cluster_free_if_unused(struct cluster *c)
{
    if (c->is_listed || !list_is_empty(&c->endpoints)) {
        return;
    }
    hash_deinit(&c->by_address);
    for (unsigned i = 0; i < SNAPSHOT_PRIORITIES; i++) {
        endpoint_set_deinit(&c->tiers[i]);
    }
    service_metrics_deinit(&c->metrics);
    for (unsigned i = 0; i < ENDPOINT_STATE_COUNT; i++) {
        metric_end(&c->states[i]);
    }
    list_unlink(&c->node);
    c->table->cluster_count--;
    mem_free(c->name);
    mem_free(c);
}

/* Takes it out of the table; it is freed with its last endpoint. */
static void cluster_retire(struct cluster *c)
{
    list_unlink(&c->idle_node);
    hash_remove(&c->table->by_name, &c->by_name);
    c->is_listed = false;
    if (list_is_empty(&c->endpoints)) {
        cluster_free_if_unused(c);
        return;
    }
    c->is_listed = true; /* holds the cluster while its endpoints leave */
    list_for_each(node, &c->endpoints) {
        struct endpoint *e = list_entry(node, struct endpoint, node);

        if (e->is_present) {
            endpoint_leave(e);
        }
    }
    c->is_listed = false;
    cluster_free_if_unused(c);
}

void cluster_table_expire(struct cluster_table *t, struct usec now)
{
    struct usec keep = t->worker->options->discovery_retention;

    while (!list_is_empty(&t->idle)) {
        struct cluster *c = list_entry(t->idle.next, struct cluster, idle_node);

        if (usec_since(now, c->idle_since).v < keep.v) {
            return;
        }
        cluster_retire(c);
    }
}

/* --- reconciliation --- */

/* Identity is (address, pod uid): a new pod at an old address starts afresh. */
static struct endpoint *find_endpoint(struct cluster *c, const struct snapshot_endpoint *wanted)
{
    uint64_t hash = addr_hash(&wanted->addr);

    for (struct hash_node *n = hash_first(&c->by_address, hash); n != NULL; n = hash_next(n)) {
        struct endpoint *e = container_of(n, struct endpoint, by_address);

        if (addr_eq(&e->addr, &wanted->addr) && strcmp(e->uid, wanted->uid) == 0) {
            return e;
        }
    }
    return NULL;
}

static void reconcile(struct cluster *c, const struct snapshot_backend *backend)
{
    list_for_each(node, &c->endpoints) {
        list_entry(node, struct endpoint, node)->is_kept = false;
    }
    for (size_t i = 0; i < backend->endpoint_count; i++) {
        struct endpoint *e = find_endpoint(c, &backend->endpoints[i]);

        if (e == NULL) {
            e = endpoint_new(c, &backend->endpoints[i]);
        } else {
            endpoint_update(e, &backend->endpoints[i]);
        }
        e->is_kept = true;
    }
    list_for_each(gone, &c->endpoints) {
        struct endpoint *e = list_entry(gone, struct endpoint, node);

        if (e->is_present && !e->is_kept) {
            endpoint_leave(e);
        }
    }
}

struct cluster *cluster_table_reconcile(struct cluster_table *t, const struct snapshot_backend *backend)
{
    struct cluster *c = find_or_new(t, backend->name);

    /* Every connection to the Service is told of a new snapshot; the first one does the work. */
    if (backend->version > c->reconciled) {
        reconcile(c, backend);
        c->reconciled = backend->version;
    }
    return c;
}

struct cluster *cluster_table_original(struct cluster_table *t, const struct addr *original)
{
    char text[ADDR_TEXT_SIZE];
    char name[ADDR_TEXT_SIZE + 16];
    struct snapshot_endpoint only = {.addr = *original, .uid = "", .name = "", .weight = 1};
    struct cluster *c;

    snprintf(name, sizeof name, "original/%s", addr_format(original, text));
    c = find_or_new(t, name);
    if (list_is_empty(&c->endpoints)) {
        endpoint_new(c, &only);
    }
    return c;
}

void cluster_table_retire_all(struct cluster_table *t)
{
    list_for_each(node, &t->all) {
        struct cluster *c = list_entry(node, struct cluster, node);

        list_for_each(entry, &c->endpoints) {
            client_pool_abort(list_entry(entry, struct endpoint, node)->pool);
        }
        if (c->is_listed) {
            cluster_retire(c);
        }
    }
}

bool cluster_table_is_empty(const struct cluster_table *t)
{
    return t->cluster_count == 0;
}

void cluster_table_free(struct cluster_table *t)
{
    assert(t->cluster_count == 0);
    hash_deinit(&t->by_name);
    mem_free(t);
}

/* --- reports --- */

size_t cluster_endpoint_count(const struct cluster *c)
{
    size_t count = 0;

    for (unsigned i = 0; i < SNAPSHOT_PRIORITIES; i++) {
        count += endpoint_set_count(&c->tiers[i]);
    }
    return count;
}

void cluster_count_retry(struct cluster *c, enum close_reason reason)
{
    const char *labels[] = {c->name, close_reason_label(reason)};
    struct metric *series = metric_get(c->metrics.shard, METRIC_RETRIES, labels);

    metric_add(series, 1);
    metric_put(&series);
}

static void refresh(struct hash_node *node, void *ctx)
{
    struct cluster *c = container_of(node, struct cluster, by_name);
    struct usec now = *(struct usec *)ctx;
    int64_t states[ENDPOINT_STATE_COUNT] = {0};

    list_for_each(entry, &c->endpoints) {
        struct endpoint *e = list_entry(entry, struct endpoint, node);
        struct balancer_view view;

        balancer_view(&e->stats, e->tier, now, &view);
        states[e->is_present ? endpoint_state(&view) : ENDPOINT_DRAINING]++;
        if (e->series.ok != NULL) {
            metric_set(e->series.in_flight, e->users);
            metric_set_time(e->series.latency, view.latency);
            metric_set(e->series.ejected, view.is_ejected);
        }
    }
    for (unsigned i = 0; i < ENDPOINT_STATE_COUNT; i++) {
        metric_set(c->states[i], states[i]);
    }
}

void cluster_table_refresh_metrics(struct cluster_table *t)
{
    struct usec now = loop_now(t->worker->loop);

    hash_for_each(&t->by_name, refresh, &now);
}

struct print {
    struct text *out;
    struct usec now;
};

static void print_endpoint(const struct endpoint *e, const struct print *p)
{
    struct balancer_view v;

    balancer_view(&e->stats, e->tier, p->now, &v);
    text_printf(p->out, "  %-24s %-12s ewma %.3f ms%s  success %.3f  in flight %u  cost %.0f  connections %u  waiting %u",
                e->text, e->is_present ? state_labels[endpoint_state(&v)] : "leaving", (double)v.latency.v / 1e3,
                v.is_measured ? "" : " (peers' median)", v.success, v.in_flight, v.cost, client_pool_connections(e->pool),
                client_pool_waiting(e->pool));
    if (e->stats.weight != 1 || e->tier != &e->cluster->tiers[0]) {
        text_printf(p->out, "  weight %u  priority %td", e->stats.weight, e->tier - e->cluster->tiers);
    }
    if (v.is_ejected) {
        text_printf(p->out, "  ejected for %.1f s", usec_seconds(usec_since(v.ejected_until, p->now)));
    }
    if (v.is_backing_off) {
        text_printf(p->out, "  next connect in %.1f s", usec_seconds(usec_since(v.connect_after, p->now)));
    }
    text_printf(p->out, "%s%s\n", e->name[0] != '\0' ? "  " : "", e->name);
}

static void print_cluster(struct hash_node *node, void *ctx)
{
    struct cluster *c = container_of(node, struct cluster, by_name);
    struct print *p = ctx;

    text_printf(p->out, "%s  endpoints %zu  users %u  retry tokens %.0f\n", c->name, cluster_endpoint_count(c), c->users,
                retry_budget_tokens(&c->retries, p->now));
    list_for_each(entry, &c->endpoints) {
        print_endpoint(list_entry(entry, struct endpoint, node), p);
    }
}

void cluster_table_print(struct cluster_table *t, struct text *out)
{
    struct print p = {.out = out, .now = loop_now(t->worker->loop)};

    hash_for_each(&t->by_name, print_cluster, &p);
}
