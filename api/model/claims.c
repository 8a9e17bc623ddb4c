/* SPDX-License-Identifier: Apache-2.0 */

#include "api/model/claims.h"

#include <assert.h>

#include "base/mem.h"

void claims_init(struct claims *c)
{
    hash_init(&c->addresses);
}

static void free_address(struct hash_node *node, void *ctx)
{
    struct claimed_address *a = container_of(node, struct claimed_address, node);

    (void)ctx;
    list_for_each(link, &a->claims) {
        mem_free(list_entry(link, struct claim, in_address));
    }
    mem_free(a);
}

void claims_deinit(struct claims *c)
{
    hash_for_each(&c->addresses, free_address, NULL);
    hash_deinit(&c->addresses);
}

static struct claimed_address *find(const struct claims *c, const struct addr *addr)
{
    for (struct hash_node *n = hash_first(&c->addresses, addr_hash(addr)); n != NULL; n = hash_next(n)) {
        struct claimed_address *a = container_of(n, struct claimed_address, node);

        if (addr_eq(&a->addr, addr)) {
            return a;
        }
    }
    return NULL;
}

static int compare(const struct claim *a, const struct claim *b)
{
    int order;

    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    order = backend_compare(a->backend, b->backend);
    if (order != 0) {
        return order;
    }
    return a->port->port->number < b->port->port->number ? -1 : a->port->port->number > b->port->port->number;
}

static void link_sorted(struct claimed_address *a, struct claim *claim)
{
    struct list *before = &a->claims;

    list_for_each(link, &a->claims) {
        if (compare(claim, list_entry(link, struct claim, in_address)) < 0) {
            before = link;
            break;
        }
    }
    list_push_back(before, &claim->in_address);
}

static void add(struct claims *c, const struct addr *addr, const struct claim *values)
{
    struct claimed_address *a = find(c, addr);
    struct claim *claim = mem_alloc(sizeof *claim);

    if (a == NULL) {
        a = mem_alloc(sizeof *a);
        a->addr = *addr;
        list_init(&a->claims);
        hash_insert(&c->addresses, &a->node, addr_hash(addr));
    }
    *claim = *values;
    link_sorted(a, claim);
}

/* All claims of this backend to the address at once: a second call for it finds nothing. */
static void withdraw(struct claims *c, const struct addr *addr, const struct claim *values)
{
    struct claimed_address *a = find(c, addr);

    if (a == NULL) {
        return;
    }
    list_for_each(link, &a->claims) {
        struct claim *claim = list_entry(link, struct claim, in_address);

        if (claim->backend == values->backend) {
            list_unlink(link);
            mem_free(claim);
        }
    }
    if (list_is_empty(&a->claims)) {
        hash_remove(&c->addresses, &a->node);
        mem_free(a);
    }
}

typedef void (*claim_fn)(struct claims *c, const struct addr *addr, const struct claim *values);

static enum claim_kind kind_of(enum service_address_kind kind)
{
    switch (kind) {
    case ADDRESS_CLUSTER_IP:
        return CLAIM_CLUSTER_IP;
    case ADDRESS_LOAD_BALANCER:
        return CLAIM_LOAD_BALANCER;
    case ADDRESS_EXTERNAL:
        break;
    }
    return CLAIM_EXTERNAL;
}

static void for_each_claim(struct claims *c, const struct backend *b, claim_fn fn)
{
    const struct service *s = b->service;

    if (s->type == SERVICE_EXTERNAL) {
        return;
    }
    for (size_t p = 0; p < s->port_count; p++) {
        const struct backend_port *port = &b->ports[p];

        for (size_t i = 0; i < s->address_count && s->type == SERVICE_CLUSTER_IP; i++) {
            struct addr addr = s->addresses[i].ip;

            addr.port = port->port->number;
            fn(c, &addr, &(struct claim){.kind = kind_of(s->addresses[i].kind), .backend = b, .port = port});
        }
        /* A port that wants raw TCP says nothing about its pods: they are dialled as they are. */
        for (size_t i = 0; i < port->count && port->is_http; i++) {
            const struct backend_endpoint *e = &port->endpoints[i];

            fn(c, &e->addr, &(struct claim){.kind = CLAIM_POD, .backend = b, .port = port, .endpoint = e});
        }
    }
}

void claims_add(struct claims *c, const struct backend *b)
{
    for_each_claim(c, b, add);
}

void claims_withdraw(struct claims *c, const struct backend *b)
{
    for_each_claim(c, b, withdraw);
}

const struct claimed_address *claims_find(const struct claims *c, const struct addr *addr)
{
    return find(c, addr);
}

const struct claim *claims_first_pod(const struct claimed_address *a)
{
    list_for_each(link, &a->claims) {
        const struct claim *claim = list_entry(link, struct claim, in_address);

        if (claim->kind == CLAIM_POD) {
            return claim;
        }
    }
    return NULL;
}
