/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A lookup parses the name, finds who is meant (resolve), encodes the answer and keeps it. Nothing is made that nobody asked for.
 * An apply moves the claims from the old world's backends to the new one's and forgets the kept answers of the names that changed.
 */

#include "api/model/resources.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

#include "api/model/cache.h"
#include "api/model/changes.h"
#include "api/model/claims.h"
#include "api/model/encode.h"
#include "api/model/model.h"
#include "api/model/name.h"
#include "api/model/pod_route.h"

struct resources {
    char *cluster_domain;
    struct world *world; /* NULL until the first apply */
    struct claims claims;
    struct cache cache;
};

/* What is being answered. */
struct lookup {
    const struct resources *r;
    struct name name;
    const char *text; /* the name as asked */
    const struct view *view;
    unsigned depends; /* enum cache_depends bits: what of the view was read so far */
};

/* Who a name means. */
struct target {
    const struct claimed_address *pod; /* a pod's own address; the rest is empty then */
    const struct backend *backend;
    const struct backend_port *port;
    enum addr_family family; /* of the dialled address; ADDR_NONE where a host was named */
};

struct answer {
    struct encoded encoded;
    size_t child_count;
    char *children[POD_ROUTE_SERVICES_MAX + 1];
};

static const struct {
    const char *label;
    const char *url;
} types[] = {
    [RESOURCE_LISTENER] = {"listener", "type.googleapis.com/envoy.config.listener.v3.Listener"},
    [RESOURCE_ROUTE] = {"route", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"},
    [RESOURCE_CLUSTER] = {"cluster", "type.googleapis.com/envoy.config.cluster.v3.Cluster"},
    [RESOURCE_ENDPOINTS] = {"endpoints", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"},
};

const char *resource_type_url(enum resource_type type)
{
    return types[type].url;
}

const char *resource_type_label(enum resource_type type)
{
    return types[type].label;
}

bool resource_type_from_url(struct str url, enum resource_type *ret_type)
{
    for (unsigned type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        if (str_eq(str_from(types[type].url), url)) {
            *ret_type = (enum resource_type)type;
            return true;
        }
    }
    return false;
}

/* --- resources --- */

/* FNV-1a: the same in every process, unlike the keyed hash of base. It tells versions apart, nothing depends on its being hard. */
static uint64_t content_hash(const uint8_t *bytes, size_t len)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

/* Takes what the answer holds. */
static struct resource *resource_new(enum resource_type type, const char *name, struct answer *answer)
{
    struct resource *res = mem_alloc(sizeof *res);

    res->refs = 1;
    res->type = type;
    res->name = str_from(mem_strdup(name));
    res->bytes = (struct str){(const char *)answer->encoded.bytes, answer->encoded.len};
    snprintf(res->version, sizeof res->version, "%016" PRIx64, content_hash(answer->encoded.bytes, answer->encoded.len));
    res->child_count = answer->child_count;
    res->children = mem_alloc_array(answer->child_count, sizeof *res->children);
    for (size_t i = 0; i < answer->child_count; i++) {
        res->children[i] = str_from(answer->children[i]);
    }
    return res;
}

struct resource *resource_ref(struct resource *res)
{
    res->refs++;
    return res;
}

static void free_str(struct str s)
{
    mem_free((void *)(uintptr_t)s.p); /* ours: only the view is const */
}

void resource_unref(struct resource **res)
{
    struct resource *old = *res;

    *res = NULL;
    if (old == NULL || --old->refs > 0) {
        return;
    }
    for (size_t i = 0; i < old->child_count; i++) {
        free_str(old->children[i]);
    }
    mem_free(old->children);
    free_str(old->name);
    free_str(old->bytes);
    mem_free(old);
}

/* --- who is meant --- */

static struct str view_namespace(struct lookup *l)
{
    l->depends |= DEPENDS_NAMESPACE;
    return l->view->namespace;
}

static struct str view_node(struct lookup *l)
{
    l->depends |= DEPENDS_NODE;
    return l->view->node;
}

/* Finds a Service that has addresses or pods of its own, and its port. */
static bool find_service(const struct lookup *l, struct str namespace, struct target *ret_target)
{
    const struct backend *b = world_find(l->r->world, namespace, l->name.service);
    const struct backend_port *port =
        b == NULL || b->service->type == SERVICE_EXTERNAL ? NULL : backend_find_port(b, l->name.port);

    if (port == NULL) {
        return false;
    }
    *ret_target = (struct target){.backend = b, .port = port};
    return true;
}

static bool resolve_address(const struct lookup *l, struct target *ret_target)
{
    const struct claimed_address *address = claims_find(&l->r->claims, &l->name.addr);
    const struct claim *best;

    if (address == NULL) {
        return false;
    }
    best = claims_best(address);
    if (best->kind == CLAIM_POD) {
        *ret_target = (struct target){.pod = address};
    } else {
        *ret_target = (struct target){.backend = best->backend, .port = best->port, .family = l->name.addr.family};
    }
    return true;
}

/* For Listener and Route: whoever is dialled at this address or host. */
static bool resolve_dialled(struct lookup *l, struct target *ret_target)
{
    struct target t;
    bool is_found = false;

    switch (l->name.kind) {
    case NAME_ADDRESS:
        is_found = resolve_address(l, &t);
        break;
    case NAME_HOST:
        is_found = find_service(l, l->name.namespace.len > 0 ? l->name.namespace : view_namespace(l), &t);
        break;
    case NAME_CLUSTER:
        break;
    }
    if (!is_found) {
        return false;
    }
    /* "Local endpoints only" cannot be judged for a client that does not say where it is: better it goes to the original address,
     * where the node's own kube-proxy knows. */
    if (t.pod == NULL && eligible_depends_on_node(t.backend) && view_node(l).len == 0) {
        return false;
    }
    *ret_target = t;
    return true;
}

/* For Cluster and Endpoints. */
static bool resolve_cluster(const struct lookup *l, struct target *ret_target)
{
    enum addr_family primary;

    if (l->name.kind == NAME_ADDRESS) {
        const struct claimed_address *address = claims_find(&l->r->claims, &l->name.addr);

        *ret_target = (struct target){.pod = address};
        return address != NULL && claims_first_pod(address) != NULL;
    }
    if (l->name.kind != NAME_CLUSTER || !find_service(l, l->name.namespace, ret_target)) {
        return false;
    }
    primary = backend_port_primary_family(ret_target->backend, ret_target->port);
    ret_target->family = l->name.family == ADDR_NONE ? primary : l->name.family;
    return l->name.family == ADDR_NONE || (l->name.family != primary && backend_port_has_family(ret_target->port, primary) &&
                                           backend_port_has_family(ret_target->port, l->name.family));
}

/* --- answers --- */

static void add_child(struct answer *a, char *name)
{
    a->children[a->child_count++] = name;
}

static bool answer_listener(struct lookup *l, struct answer *a)
{
    struct target t;

    if (!resolve_dialled(l, &t)) {
        return false;
    }
    if (t.pod == NULL && !t.port->is_http) {
        CLEANUP_FREE char *cluster = cluster_name(t.backend, t.port, t.family);

        a->encoded = encode_tcp_listener(l->text, cluster); /* has no Route: no child */
        return true;
    }
    add_child(a, mem_strdup(l->text));
    a->encoded = encode_http_listener(l->text);
    return true;
}

static void answer_pod_route(struct lookup *l, const struct target *t, struct answer *a)
{
    struct pod_route route;

    pod_route_init(&route, t->pod, view_namespace(l), str_from(l->r->cluster_domain));
    a->encoded = encode_route(l->text, route.hosts, route.host_count);
    for (size_t i = 0; i < route.host_count; i++) {
        add_child(a, mem_strdup(route.hosts[i].cluster));
    }
    pod_route_deinit(&route);
}

static bool answer_route(struct lookup *l, struct answer *a)
{
    char any_domain[] = "*";
    char *domains[] = {any_domain};
    struct encode_virtual_host host = {.domain_count = 1, .domains = domains};
    struct target t;

    if (!resolve_dialled(l, &t)) {
        return false;
    }
    if (t.pod != NULL) {
        answer_pod_route(l, &t, a);
        return true;
    }
    if (!t.port->is_http) {
        return false;
    }
    host.cluster = cluster_name(t.backend, t.port, t.family);
    a->encoded = encode_route(l->text, &host, 1);
    add_child(a, host.cluster);
    return true;
}

static bool answer_cluster(struct lookup *l, struct answer *a)
{
    struct target t;

    if (!resolve_cluster(l, &t)) {
        return false;
    }
    a->encoded = encode_cluster(l->text);
    add_child(a, mem_strdup(l->text));
    return true;
}

/* A client that wants this very pod gets it in whatever state it is. */
static struct encoded encode_pod(struct lookup *l, const struct target *t)
{
    struct eligible pod = {.endpoint = claims_first_pod(t->pod)->endpoint};

    return encode_endpoints(l->text, &pod, 1);
}

static bool answer_endpoints(struct lookup *l, struct answer *a)
{
    struct eligible *eligible;
    struct str node = {0};
    struct target t;
    size_t count;

    if (!resolve_cluster(l, &t)) {
        return false;
    }
    if (t.pod != NULL) {
        a->encoded = encode_pod(l, &t);
        return true;
    }
    if (eligible_depends_on_node(t.backend)) {
        node = view_node(l);
    }
    eligible = mem_alloc_array(t.port->count, sizeof *eligible);
    count = eligible_endpoints(t.backend, t.port, t.family, node, eligible);
    a->encoded = encode_endpoints(l->text, eligible, count);
    mem_free(eligible);
    return true;
}

static bool answer(enum resource_type type, struct lookup *l, struct answer *ret_answer)
{
    switch (type) {
    case RESOURCE_LISTENER:
        return answer_listener(l, ret_answer);
    case RESOURCE_ROUTE:
        return answer_route(l, ret_answer);
    case RESOURCE_CLUSTER:
        return answer_cluster(l, ret_answer);
    case RESOURCE_ENDPOINTS:
        return answer_endpoints(l, ret_answer);
    case RESOURCE_TYPE_COUNT:
        break;
    }
    return false;
}

struct resource *resources_lookup(struct resources *r, enum resource_type type, struct str name, const struct view *view)
{
    struct lookup l = {.r = r, .view = view};
    struct answer a = {.child_count = 0};
    struct resource *res;
    char *text;

    if (r->world == NULL) {
        return NULL;
    }
    res = cache_find(&r->cache, type, name, view);
    if (res != NULL || !name_parse(name, str_from(r->cluster_domain), &l.name)) {
        return res;
    }
    text = mem_copy_string(name.p, name.len);
    l.text = text;
    if (answer(type, &l, &a)) {
        res = resource_new(type, text, &a);
        cache_insert(&r->cache, res, view, l.depends);
    }
    mem_free(text);
    return res;
}

/* --- worlds --- */

struct resources *resources_new(struct str cluster_domain)
{
    struct resources *r = mem_alloc(sizeof *r);

    r->cluster_domain = mem_copy_string(cluster_domain.p, cluster_domain.len);
    claims_init(&r->claims);
    cache_init(&r->cache);
    return r;
}

void resources_free(struct resources *r)
{
    if (r == NULL) {
        return;
    }
    claims_deinit(&r->claims);
    cache_deinit(&r->cache);
    world_unref(&r->world);
    mem_free(r->cluster_domain);
    mem_free(r);
}

bool resources_is_synced(const struct resources *r)
{
    return r->world != NULL;
}

static void replace_backend(struct resources *r, struct changes *changes, const struct backend *old, const struct backend *new)
{
    changes_collect(changes, old, new);
    if (old != NULL) {
        claims_withdraw(&r->claims, old);
    }
    if (new != NULL) {
        claims_add(&r->claims, new);
    }
}

/* Walks both sorted worlds; what is the same backend in both did not change. */
static void move_claims(struct resources *r, struct changes *changes, const struct world *old, const struct world *new)
{
    size_t old_count = old == NULL ? 0 : old->count, o = 0, n = 0;

    while (o < old_count || n < new->count) {
        int order = o == old_count ? 1 : n == new->count ? -1 : backend_compare(old->backends[o], new->backends[n]);
        const struct backend *gone = order <= 0 ? old->backends[o++] : NULL;
        const struct backend *come = order >= 0 ? new->backends[n++] : NULL;

        if (gone != come) {
            replace_backend(r, changes, gone, come);
        }
    }
}

static void forget(enum resource_type type, struct str name, void *ctx)
{
    struct resources *r = ctx;

    cache_drop(&r->cache, type, name);
}

void resources_apply(struct resources *r, struct world *w, resource_changed_fn on_changed, void *ctx)
{
    struct world *old = r->world;
    struct changes changes;

    changes_init(&changes, str_from(r->cluster_domain));
    r->world = world_ref(w);
    move_claims(r, &changes, old, w);
    changes_for_each(&changes, forget, r);
    if (on_changed != NULL) {
        changes_for_each(&changes, on_changed, ctx);
    }
    changes_deinit(&changes);
    world_unref(&old);
}
