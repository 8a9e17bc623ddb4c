/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The control thread's end: addresses that directories ask for become roots of the resource graph. Roots that changed during a turn
 * are resolved once at its end, and an answer that differs from the last one goes to every directory that holds the address.
 */

#include "xds/discovery.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "xds/channel.h"
#include "xds/directory.h"
#include "xds/graph.h"

/* Each worker's directory is bounded by itself; this bounds all of them. */
#define DESTINATIONS_MAX ((size_t)DIRECTORY_MAX * 2)

struct destination {
    struct hash_node by_addr;
    struct discovery *discovery;
    struct addr addr;
    struct graph_root root;
    struct list interests;
    struct snapshot *published; /* the latest answer; NULL: none yet */
};

/* One directory holds one address. */
struct interest {
    struct list in_destination;
    struct list in_channel;
    struct destination *destination;
    struct channel *channel; /* a reference */
};

struct discovery {
    struct loop *loop;
    char *texts[5]; /* what options point to */
    struct discovery_options options;
    struct graph *graph;
    struct discovery_door *door;
    struct hash_table by_addr;
    struct list changed; /* roots */
    struct deferred publish;
};

/* --- publishing --- */

static bool is_same_backend(const struct snapshot_backend *a, const struct snapshot_backend *b)
{
    return a->version == b->version && a->endpoints == b->endpoints && strcmp(a->name, b->name) == 0;
}

static bool is_same(const struct snapshot *a, const struct snapshot *b)
{
    if (a->kind != b->kind || a->routes != b->routes || a->backend_count != b->backend_count || strcmp(a->name, b->name) != 0) {
        return false;
    }
    for (size_t i = 0; i < a->backend_count; i++) {
        if (!is_same_backend(&a->backends[i], &b->backends[i])) {
            return false;
        }
    }
    return true;
}

static const char *kind_label(enum destination_kind kind)
{
    switch (kind) {
    case DESTINATION_ABSENT:
        return "no Service";
    case DESTINATION_TCP:
        return "raw TCP";
    case DESTINATION_HTTP:
        return "HTTP/2";
    }
    return "";
}

static void log_answer(const struct destination *t)
{
    const struct snapshot *s = t->published;
    char text[ADDR_TEXT_SIZE];
    size_t endpoints = 0;

    for (size_t i = 0; i < s->backend_count; i++) {
        endpoints += s->backends[i].endpoint_count;
    }
    log_debug(LOG_DISCOVERY, addr_format(&t->addr, text), "%s %s, %zu endpoints", kind_label(s->kind), s->name, endpoints);
}

static void publish_one(struct destination *t)
{
    struct snapshot *s = graph_resolve(&t->root, &t->addr);

    if (s == NULL || (t->published != NULL && is_same(s, t->published))) {
        snapshot_unref(&s);
        return;
    }
    snapshot_unref(&t->published);
    t->published = s;
    log_answer(t);
    list_for_each(node, &t->interests) {
        channel_answer(list_entry(node, struct interest, in_destination)->channel, &t->addr, snapshot_ref(s));
    }
}

static void run_publish(struct deferred *d)
{
    struct discovery *discovery = container_of(d, struct discovery, publish);
    struct list *node;

    while ((node = list_pop_front(&discovery->changed)) != NULL) {
        struct graph_root *r = list_entry(node, struct graph_root, changed);

        publish_one(container_of(r, struct destination, root));
    }
}

static void on_root_changed(struct graph_root *r)
{
    struct discovery *d = container_of(r, struct destination, root)->discovery;

    if (!list_is_linked(&r->changed)) {
        list_push_back(&d->changed, &r->changed);
    }
    loop_defer(d->loop, &d->publish);
}

/* --- destinations --- */

static struct destination *find(const struct discovery *d, const struct addr *addr)
{
    for (struct hash_node *node = hash_first(&d->by_addr, addr_hash(addr)); node != NULL; node = hash_next(node)) {
        struct destination *t = container_of(node, struct destination, by_addr);

        if (addr_eq(&t->addr, addr)) {
            return t;
        }
    }
    return NULL;
}

static struct destination *destination_new(struct discovery *d, const struct addr *addr)
{
    struct destination *t = mem_alloc(sizeof *t);
    char name[ADDR_TEXT_SIZE];

    t->discovery = d;
    t->addr = *addr;
    list_init(&t->interests);
    hash_insert(&d->by_addr, &t->by_addr, addr_hash(addr));
    graph_hold(d->graph, &t->root, str_from(addr_format(addr, name)), on_root_changed);
    return t;
}

static void destination_free(struct destination *t)
{
    struct discovery *d = t->discovery;

    graph_release(d->graph, &t->root);
    hash_remove(&d->by_addr, &t->by_addr);
    snapshot_unref(&t->published);
    mem_free(t);
}

static void interest_free(struct interest *i)
{
    struct destination *t = i->destination;

    list_unlink(&i->in_destination);
    list_unlink(&i->in_channel);
    channel_unref(&i->channel);
    mem_free(i);
    if (list_is_empty(&t->interests)) {
        destination_free(t);
    }
}

/* --- what directories say --- */

/* NULL when there are too many. */
static struct destination *need_destination(struct discovery *d, const struct addr *addr)
{
    struct destination *t = find(d, addr);

    if (t != NULL) {
        return t;
    }
    if (d->by_addr.count >= DESTINATIONS_MAX) {
        log_warn(LOG_DISCOVERY, NULL, "more than %zu addresses: one more stays without an answer", DESTINATIONS_MAX);
        return NULL;
    }
    return destination_new(d, addr);
}

void discovery_on_ask(struct discovery *d, struct channel *c, const struct addr *addr)
{
    struct destination *t = need_destination(d, addr);
    struct interest *i;

    if (t == NULL) {
        return;
    }
    i = mem_alloc(sizeof *i);
    i->destination = t;
    i->channel = channel_ref(c);
    list_init(&i->in_destination);
    list_init(&i->in_channel);
    list_push_back(&t->interests, &i->in_destination);
    list_push_back(channel_interests(c), &i->in_channel);
    if (t->published != NULL) {
        channel_answer(c, addr, snapshot_ref(t->published));
    }
}

void discovery_on_forget(struct discovery *d, struct channel *c, const struct addr *addr)
{
    struct destination *t = find(d, addr);

    if (t == NULL) {
        return;
    }
    list_for_each(node, &t->interests) {
        struct interest *i = list_entry(node, struct interest, in_destination);

        if (i->channel == c) {
            interest_free(i);
            return;
        }
    }
}

void discovery_on_leave(struct discovery *d, struct channel *c)
{
    struct list *interests = channel_interests(c);

    (void)d;
    while (!list_is_empty(interests)) {
        interest_free(list_entry(interests->next, struct interest, in_channel));
    }
}

struct discovery_door *discovery_get_door(struct discovery *d)
{
    return d->door;
}

/* --- life --- */

static const char *keep(struct discovery *d, size_t slot, const char *text)
{
    d->texts[slot] = mem_strdup(text != NULL ? text : "");
    return d->texts[slot];
}

struct discovery *discovery_new(struct loop *control, const struct discovery_options *options)
{
    struct discovery *d = mem_alloc(sizeof *d);

    d->loop = control;
    d->options = (struct discovery_options){
        .api_address = keep(d, 0, options->api_address),
        .node_id = keep(d, 1, options->node_id),
        .node_namespace = keep(d, 2, options->node_namespace),
        .node_pod = keep(d, 3, options->node_pod),
        .node_name = keep(d, 4, options->node_name),
        .connect_timeout = options->connect_timeout,
    };
    hash_init(&d->by_addr);
    list_init(&d->changed);
    deferred_init(&d->publish, run_publish);
    d->door = discovery_door_new(d, control);
    d->graph = graph_new(control, &d->options);
    return d;
}

void discovery_start(struct discovery *d)
{
    graph_start(d->graph);
}

/* Interests whose goodbye is still under way. */
static void leave_visited(struct hash_node *node, void *ctx)
{
    struct destination *t = container_of(node, struct destination, by_addr);

    (void)ctx;
    list_for_each(entry, &t->interests) {
        struct interest *i = list_entry(entry, struct interest, in_destination);

        list_unlink(&i->in_destination);
        list_unlink(&i->in_channel);
        channel_unref(&i->channel);
        mem_free(i);
    }
    destination_free(t);
}

void discovery_free(struct discovery *d)
{
    if (d == NULL) {
        return;
    }
    hash_for_each(&d->by_addr, leave_visited, NULL);
    hash_deinit(&d->by_addr);
    loop_undefer(&d->publish);
    graph_free(d->graph);
    discovery_door_close(&d->door);
    for (size_t i = 0; i < ARRAY_LEN(d->texts); i++) {
        mem_free(d->texts[i]);
    }
    mem_free(d);
}

struct discovery_status discovery_status(const struct discovery *d)
{
    struct discovery_status status = graph_status(d->graph);

    status.subscriptions = d->by_addr.count;
    return status;
}
