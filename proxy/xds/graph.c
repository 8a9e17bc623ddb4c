/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/graph.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

enum node_state {
    NODE_UNKNOWN, /* no word yet */
    NODE_ABSENT,  /* the server says that it does not exist */
    NODE_PRESENT,
};

/* What a node costs, or all of them. */
struct graph_size {
    size_t links;
    size_t endpoints;
    size_t bytes;
};

struct graph_node {
    struct ads_subscription subscription;
    struct graph *graph;
    enum node_state state;
    struct config *config;   /* a reference; NULL unless present */
    struct graph_root *root; /* link; Listeners only */
    struct list parents;     /* edges */
    struct list children;    /* edges, in the order of the config's names */
    uint64_t version;        /* Clusters: of the endpoints they lead to */
    uint64_t mark;           /* of the last change that passed here */
    struct graph_size size;  /* of `config` */
};

/* Owned by the parent. */
struct edge {
    struct list in_parent;
    struct list in_child;
    struct graph_node *parent;
    struct graph_node *child;
};

struct graph {
    struct ads_client *client;
    struct graph_size size; /* of all nodes */
};

/* Versions of endpoints are compared over all of the process. Control thread only. */
static uint64_t last_version;
static uint64_t last_mark;

/* --- sizes --- */

static struct graph_size size_of(const struct config *c, size_t encoded_bytes)
{
    struct graph_size size = {.endpoints = c->endpoint_count, .bytes = encoded_bytes};

    if (c->type == XDS_LISTENER) {
        size.links = c->route != NULL ? c->route->cluster_count : c->route_name != NULL;
    } else {
        size.links = c->type == XDS_CLUSTER ? 1 : c->cluster_count;
    }
    return size;
}

/* The node's new size takes the place of its old one. */
static void set_size(struct graph_node *n, struct graph_size size)
{
    struct graph_size *all = &n->graph->size;

    all->links = all->links - n->size.links + size.links;
    all->endpoints = all->endpoints - n->size.endpoints + size.endpoints;
    all->bytes = all->bytes - n->size.bytes + size.bytes;
    n->size = size;
}

static bool has_room(const struct graph_node *n, struct graph_size size, struct text *reason)
{
    const struct graph_size *all = &n->graph->size;

    if (all->links - n->size.links + size.links > GRAPH_LINKS_MAX) {
        text_printf(reason, "resources name more than %u others altogether", GRAPH_LINKS_MAX);
    } else if (all->endpoints - n->size.endpoints + size.endpoints > GRAPH_ENDPOINTS_MAX) {
        text_printf(reason, "more than %u endpoints altogether", GRAPH_ENDPOINTS_MAX);
    } else if (all->bytes - n->size.bytes + size.bytes > GRAPH_BYTES_MAX) {
        text_printf(reason, "resources of more than %zu bytes altogether", GRAPH_BYTES_MAX);
    } else {
        return true;
    }
    return false;
}

/* --- nodes and edges --- */

static struct graph_node *node_new(struct graph *g, enum xds_type type, struct str name)
{
    struct graph_node *n = mem_alloc(sizeof *n);

    n->graph = g;
    n->version = ++last_version;
    list_init(&n->parents);
    list_init(&n->children);
    ads_client_subscribe(g->client, &n->subscription, type, name);
    return n;
}

static void release_edges(struct list *edges);

static void node_free(struct graph_node *n)
{
    ads_client_unsubscribe(n->graph->client, &n->subscription);
    set_size(n, (struct graph_size){0});
    release_edges(&n->children);
    config_unref(&n->config);
    mem_free(n);
}

/* A node without parents has no reason to stay, roots excepted. The types' order bounds the depth. */
static void release_edges(struct list *edges)
{
    struct list *entry;

    while ((entry = list_pop_front(edges)) != NULL) {
        struct edge *e = list_entry(entry, struct edge, in_parent);
        struct graph_node *child = e->child;

        list_unlink(&e->in_child);
        mem_free(e);
        if (list_is_empty(&child->parents) && child->root == NULL) {
            node_free(child);
        }
    }
}

static void add_child(struct graph_node *parent, enum xds_type type, const char *name)
{
    struct ads_subscription *s = ads_client_find(parent->graph->client, type, str_from(name));
    struct edge *e = mem_alloc(sizeof *e);

    e->parent = parent;
    e->child = s != NULL ? container_of(s, struct graph_node, subscription) : node_new(parent->graph, type, str_from(name));
    list_init(&e->in_parent);
    list_init(&e->in_child);
    list_push_back(&parent->children, &e->in_parent);
    list_push_back(&e->child->parents, &e->in_child);
}

static void add_clusters(struct graph_node *n, const struct config *route)
{
    for (size_t i = 0; i < route->cluster_count; i++) {
        add_child(n, XDS_CLUSTER, route->clusters[i]);
    }
}

static void add_children(struct graph_node *n, const struct config *c)
{
    switch (c->type) {
    case XDS_LISTENER:
        if (c->route != NULL) {
            add_clusters(n, c->route);
        } else if (c->route_name != NULL) {
            add_child(n, XDS_ROUTE, c->route_name);
        }
        break;
    case XDS_ROUTE:
        add_clusters(n, c);
        break;
    case XDS_CLUSTER:
        add_child(n, XDS_ENDPOINTS, c->endpoints_name);
        break;
    case XDS_ENDPOINTS:
    case XDS_TYPE_COUNT:
        break;
    }
}

/* --- changes --- */

/* Tells every root above, once whatever the number of ways; a Cluster passed on the way leads to other endpoints now. */
static void mark_above(struct graph_node *n)
{
    if (n->mark == last_mark) {
        return;
    }
    n->mark = last_mark;
    if (n->subscription.type == XDS_CLUSTER) {
        n->version = ++last_version;
    }
    if (n->root != NULL) {
        n->root->on_changed(n->root);
    }
    list_for_each(entry, &n->parents) {
        mark_above(list_entry(entry, struct edge, in_child)->parent);
    }
}

static void set_config(struct graph_node *n, enum node_state state, struct config *config, struct graph_size size)
{
    struct list old;

    list_init(&old);
    list_splice(&old, &n->children);
    if (config != NULL) {
        add_children(n, config);
    }
    release_edges(&old);
    config_unref(&n->config);
    n->config = config;
    n->state = state;
    set_size(n, size);
    last_mark++;
    mark_above(n);
}

static bool on_resource(void *ctx, struct ads_subscription *s, const uint8_t *bytes, size_t len, struct text *reason)
{
    struct graph_node *n = container_of(s, struct graph_node, subscription);
    struct config *config;

    (void)ctx;
    if (bytes == NULL) {
        if (n->state != NODE_ABSENT) {
            set_config(n, NODE_ABSENT, NULL, (struct graph_size){0});
        }
        return true;
    }
    config = config_decode(s->type, bytes, len, reason);
    if (config == NULL) {
        return false;
    }
    struct graph_size size = size_of(config, len);

    if (!has_room(n, size, reason)) {
        config_unref(&config);
        return false;
    }
    set_config(n, NODE_PRESENT, config, size);
    return true;
}

static const struct ads_client_ops client_ops = {.on_resource = on_resource};

/* --- resolving --- */

static struct graph_node *first_child(const struct graph_node *n)
{
    return list_entry(n->children.next, struct edge, in_parent)->child;
}

/* False while it is not known. */
static bool resolve_cluster(const struct graph_node *cluster, struct snapshot_part *ret_part)
{
    const struct graph_node *endpoints;

    *ret_part = (struct snapshot_part){.version = cluster->version};
    if (cluster->state != NODE_PRESENT) {
        return cluster->state == NODE_ABSENT;
    }
    endpoints = first_child(cluster);
    ret_part->endpoints = endpoints->config;
    return endpoints->state != NODE_UNKNOWN;
}

/* `holder` has the clusters as children: the Route, or the Listener that brought it along. */
static struct snapshot *resolve_http(const struct graph_node *holder, struct config *route, const char *label,
                                     const struct addr *addr)
{
    struct snapshot_part *parts = mem_alloc_array(route->cluster_count + 1, sizeof *parts);
    struct snapshot *built = NULL;
    size_t count = 0;

    list_for_each(entry, &holder->children) {
        if (!resolve_cluster(list_entry(entry, struct edge, in_parent)->child, &parts[count])) {
            break;
        }
        count++;
    }
    if (count == route->cluster_count) {
        built = snapshot_build(&(struct snapshot_parts){
            .addr = *addr,
            .kind = DESTINATION_HTTP,
            .name = count > 0 ? route->clusters[0] : label,
            .route = route,
            .backends = parts,
            .backend_count = count,
        });
    }
    mem_free(parts);
    return built;
}

struct snapshot *graph_resolve(const struct graph_root *r, const struct addr *addr)
{
    const struct graph_node *listener = r->node;
    const struct config *config = listener->config;

    if (listener->state == NODE_UNKNOWN) {
        return NULL;
    }
    if (listener->state == NODE_ABSENT) {
        return snapshot_build(&(struct snapshot_parts){.addr = *addr, .kind = DESTINATION_ABSENT, .name = ""});
    }
    if (config->kind == DESTINATION_TCP) {
        return snapshot_build(&(struct snapshot_parts){.addr = *addr, .kind = DESTINATION_TCP, .name = config->label});
    }
    if (config->route != NULL) {
        return resolve_http(listener, config->route, config->label, addr);
    }
    if (first_child(listener)->state != NODE_PRESENT) {
        return NULL;
    }
    return resolve_http(first_child(listener), first_child(listener)->config, config->label, addr);
}

/* --- for the caller --- */

struct graph *graph_new(struct loop *l, const struct discovery_options *options)
{
    struct graph *g = mem_alloc(sizeof *g);

    g->client = ads_client_new(l, options, &client_ops, g);
    return g;
}

void graph_start(struct graph *g)
{
    ads_client_start(g->client);
}

void graph_free(struct graph *g)
{
    ads_client_free(g->client);
    mem_free(g);
}

void graph_hold(struct graph *g, struct graph_root *r, struct str name, void (*on_changed)(struct graph_root *r))
{
    assert(ads_client_find(g->client, XDS_LISTENER, name) == NULL);
    list_init(&r->changed);
    r->on_changed = on_changed;
    r->node = node_new(g, XDS_LISTENER, name);
    r->node->root = r;
}

void graph_release(struct graph *g, struct graph_root *r)
{
    (void)g;
    list_unlink(&r->changed);
    node_free(r->node);
    r->node = NULL;
}

struct discovery_status graph_status(const struct graph *g)
{
    return ads_client_status(g->client);
}
