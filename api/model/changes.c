/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two cases. The Service itself changed (or a family came or went, which moves its routes between cluster names): everything that
 * bears its name or an address of it, before and after. Only its endpoints changed: its ClusterLoadAssignments, and the pods that
 * came, went or changed.
 */

#include "api/model/changes.h"

#include "base/mem.h"

#include "api/model/name.h"

#define BIT(type) (1u << (type))
#define BITS_ROUTED (BIT(RESOURCE_LISTENER) | BIT(RESOURCE_ROUTE))
#define BITS_CLUSTERED (BIT(RESOURCE_CLUSTER) | BIT(RESOURCE_ENDPOINTS))
#define BITS_ALL (BITS_ROUTED | BITS_CLUSTERED)

struct change {
    struct hash_node node;
    char *name;
    unsigned types; /* BIT(enum resource_type) */
};

void changes_init(struct changes *c, struct str cluster_domain)
{
    hash_init(&c->names);
    c->cluster_domain = cluster_domain;
}

static void free_change(struct hash_node *node, void *ctx)
{
    struct change *change = container_of(node, struct change, node);

    (void)ctx;
    mem_free(change->name);
    mem_free(change);
}

void changes_deinit(struct changes *c)
{
    hash_for_each(&c->names, free_change, NULL);
    hash_deinit(&c->names);
}

static void add(struct changes *c, struct str name, unsigned types)
{
    uint64_t hash = hash_bytes(name.p, name.len);
    struct change *change;

    for (struct hash_node *n = hash_first(&c->names, hash); n != NULL; n = hash_next(n)) {
        change = container_of(n, struct change, node);
        if (str_eq(str_from(change->name), name)) {
            change->types |= types;
            return;
        }
    }
    change = mem_alloc(sizeof *change);
    change->name = mem_copy_string(name.p, name.len);
    change->types = types;
    hash_insert(&c->names, &change->node, hash);
}

static void add_addr(struct changes *c, const struct addr *addr, unsigned types)
{
    char text[ADDR_TEXT_SIZE];

    add(c, str_from(addr_format(addr, text)), types);
}

static void add_clusters(struct changes *c, const struct service *s, uint16_t port, unsigned types)
{
    static const enum addr_family families[] = {ADDR_NONE, ADDR_V4, ADDR_V6};
    struct text name;

    text_init(&name, NAME_MAX_LEN);
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        text_clear(&name);
        name_write_cluster(&name, s->namespace, s->name, port, families[i]);
        add(c, (struct str){name.p, name.len}, types);
    }
    text_deinit(&name);
}

static void add_hosts(struct changes *c, const struct service *s, uint16_t port)
{
    struct text name;

    text_init(&name, NAME_MAX_LEN);
    for (unsigned form = 0; form < NAME_HOST_FORMS; form++) {
        text_clear(&name);
        name_write_host(&name, (enum name_host_form)form, s->name, s->namespace, c->cluster_domain);
        text_printf(&name, ":%u", port);
        add(c, (struct str){name.p, name.len}, BITS_ROUTED);
    }
    text_deinit(&name);
}

static void add_everything(struct changes *c, const struct backend *b)
{
    const struct service *s = b->service;

    for (size_t p = 0; p < s->port_count; p++) {
        const struct backend_port *port = &b->ports[p];

        add_hosts(c, s, port->port->number);
        add_clusters(c, s, port->port->number, BITS_CLUSTERED);
        for (size_t i = 0; i < s->address_count; i++) {
            struct addr addr = s->addresses[i].ip;

            addr.port = port->port->number;
            add_addr(c, &addr, BITS_ROUTED);
        }
        for (size_t i = 0; i < port->count; i++) {
            add_addr(c, &port->endpoints[i].addr, BITS_ALL);
        }
    }
}

/* Walks both sorted arrays. True when they differ. */
static bool add_endpoint_differences(struct changes *c, const struct backend_port *old, const struct backend_port *new)
{
    bool is_changed = false;
    size_t o = 0, n = 0;

    while (o < old->count || n < new->count) {
        int order = o == old->count ? 1 : n == new->count ? -1 : backend_endpoint_compare(&old->endpoints[o], &new->endpoints[n]);

        if (order < 0) {
            add_addr(c, &old->endpoints[o++].addr, BITS_ALL);
            is_changed = true;
        } else if (order > 0) {
            add_addr(c, &new->endpoints[n++].addr, BITS_ALL);
            is_changed = true;
        } else {
            if (!backend_endpoint_eq(&old->endpoints[o], &new->endpoints[n])) {
                add_addr(c, &new->endpoints[n].addr, BIT(RESOURCE_ENDPOINTS));
                is_changed = true;
            }
            o++;
            n++;
        }
    }
    return is_changed;
}

static bool has_same_families(const struct backend_port *a, const struct backend_port *b)
{
    return backend_port_has_family(a, ADDR_V4) == backend_port_has_family(b, ADDR_V4) &&
           backend_port_has_family(a, ADDR_V6) == backend_port_has_family(b, ADDR_V6);
}

static bool is_only_endpoints(const struct backend *old, const struct backend *new)
{
    if (old == NULL || new == NULL || !service_eq(old->service, new->service)) {
        return false;
    }
    for (size_t p = 0; p < new->service->port_count; p++) {
        if (!has_same_families(&old->ports[p], &new->ports[p])) {
            return false;
        }
    }
    return true;
}

void changes_collect(struct changes *c, const struct backend *old, const struct backend *new)
{
    if (!is_only_endpoints(old, new)) {
        if (old != NULL) {
            add_everything(c, old);
        }
        if (new != NULL) {
            add_everything(c, new);
        }
        return;
    }
    for (size_t p = 0; p < new->service->port_count; p++) {
        if (add_endpoint_differences(c, &old->ports[p], &new->ports[p])) {
            add_clusters(c, new->service, new->ports[p].port->number, BIT(RESOURCE_ENDPOINTS));
        }
    }
}

struct visit {
    resource_changed_fn fn;
    void *ctx;
};

static void visit_change(struct hash_node *node, void *ctx)
{
    const struct visit *visit = ctx;
    const struct change *change = container_of(node, struct change, node);

    for (unsigned type = 0; type < RESOURCE_TYPE_COUNT; type++) {
        if ((change->types & BIT(type)) != 0) {
            visit->fn((enum resource_type)type, str_from(change->name), visit->ctx);
        }
    }
}

void changes_for_each(struct changes *c, resource_changed_fn fn, void *ctx)
{
    struct visit visit = {.fn = fn, .ctx = ctx};

    hash_for_each(&c->names, visit_change, &visit);
}
