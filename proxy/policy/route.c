/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Flat arrays; a host is a range of routes, a route a range of backends. Domains are sorted by kind, then by length (longest first),
 * then by text: exact ones are found by bisection, and the first wildcard that fits is the best one. Wildcards are walked, as there are
 * few: our own control plane sends none.
 */

#include "policy/route.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum domain_kind { DOMAIN_EXACT, DOMAIN_SUFFIX, DOMAIN_PREFIX, DOMAIN_ANY, DOMAIN_KIND_COUNT };

struct domain {
    enum domain_kind kind;
    uint32_t host;
    struct str text; /* without its '*'; owned */
};

struct host {
    uint32_t first_route;
    uint32_t route_count;
};

struct route {
    enum route_match match;
    struct str path; /* owned */
    uint32_t first_backend;
    uint32_t backend_count;
    uint32_t weight; /* of all its backends */
};

struct backend {
    uint32_t index;
    uint32_t weight;
};

struct route_table {
    struct host *hosts;
    struct domain *domains;
    struct route *routes;
    struct backend *backends;
    uint32_t host_count;
    uint32_t domain_count;
    uint32_t route_count;
    uint32_t backend_count;
    uint32_t first_domain[DOMAIN_KIND_COUNT + 1]; /* of each kind; the last is the end */
};

/* While it is built the table is a builder. */
struct route_builder {
    struct route_table table;
};

struct route_builder *route_builder_new(void)
{
    return mem_alloc(sizeof(struct route_builder));
}

/* The one place that takes an owned view's constness back. */
static void free_text(struct str s)
{
    mem_free((void *)(uintptr_t)s.p);
}

static void table_deinit(struct route_table *t)
{
    for (uint32_t i = 0; i < t->domain_count; i++) {
        free_text(t->domains[i].text);
    }
    for (uint32_t i = 0; i < t->route_count; i++) {
        free_text(t->routes[i].path);
    }
    mem_free(t->hosts);
    mem_free(t->domains);
    mem_free(t->routes);
    mem_free(t->backends);
}

void route_builder_free(struct route_builder *b)
{
    if (b != NULL) {
        table_deinit(&b->table);
        mem_free(b);
    }
}

void route_table_free(struct route_table *t)
{
    if (t != NULL) {
        table_deinit(t);
        mem_free(t);
    }
}

/* Room for one more in an array of `count`: it grows whenever the count is a power of two. */
static void *with_room(void *array, uint32_t count, size_t item_size)
{
    if ((count & (count - 1)) != 0) {
        return array;
    }
    return mem_realloc_array(array, count == 0 ? 1 : (size_t)count * 2, item_size);
}

static struct str copy(struct str s)
{
    return (struct str){mem_copy_string(s.p, s.len), s.len};
}

int route_builder_host(struct route_builder *b)
{
    struct route_table *t = &b->table;

    if (t->host_count == ROUTE_HOSTS_MAX) {
        return -E2BIG;
    }
    t->hosts = with_room(t->hosts, t->host_count, sizeof *t->hosts);
    t->hosts[t->host_count++] = (struct host){.first_route = t->route_count};
    return 0;
}

static bool parse_domain(struct str s, struct domain *ret_domain)
{
    size_t star = str_find(s, '*');
    struct domain d = {.kind = DOMAIN_EXACT, .text = s};

    if (s.len == 0) {
        return false;
    }
    if (s.len == 1 && star == 0) {
        d = (struct domain){.kind = DOMAIN_ANY, .text = {s.p, 0}};
    } else if (star == 0) {
        d = (struct domain){.kind = DOMAIN_SUFFIX, .text = {s.p + 1, s.len - 1}};
    } else if (star == s.len - 1) {
        d = (struct domain){.kind = DOMAIN_PREFIX, .text = {s.p, s.len - 1}};
    }
    if (str_find(d.text, '*') != d.text.len) {
        return false;
    }
    *ret_domain = d;
    return true;
}

int route_builder_domain(struct route_builder *b, struct str domain)
{
    struct route_table *t = &b->table;
    struct domain d;

    assert(t->host_count > 0);
    if (t->domain_count == ROUTE_DOMAINS_MAX || domain.len > ROUTE_TEXT_MAX) {
        return -E2BIG;
    }
    if (!parse_domain(domain, &d)) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < t->domain_count; i++) {
        if (t->domains[i].kind == d.kind && str_eq_nocase(t->domains[i].text, d.text)) {
            return -EEXIST;
        }
    }
    d.host = t->host_count - 1;
    d.text = copy(d.text);
    t->domains = with_room(t->domains, t->domain_count, sizeof *t->domains);
    t->domains[t->domain_count++] = d;
    return 0;
}

int route_builder_route(struct route_builder *b, enum route_match match, struct str path)
{
    struct route_table *t = &b->table;

    assert(t->host_count > 0);
    if (t->route_count == ROUTE_ROUTES_MAX || path.len > ROUTE_TEXT_MAX) {
        return -E2BIG;
    }
    t->routes = with_room(t->routes, t->route_count, sizeof *t->routes);
    t->routes[t->route_count++] = (struct route){.match = match, .path = copy(path), .first_backend = t->backend_count};
    t->hosts[t->host_count - 1].route_count++;
    return 0;
}

int route_builder_backend(struct route_builder *b, uint32_t backend, uint32_t weight)
{
    struct route_table *t = &b->table;

    assert(t->host_count > 0 && t->hosts[t->host_count - 1].route_count > 0);
    struct route *r = &t->routes[t->route_count - 1];
    if (t->backend_count == ROUTE_BACKENDS_MAX) {
        return -E2BIG;
    }
    if (weight > UINT32_MAX - r->weight) {
        return -EINVAL;
    }
    t->backends = with_room(t->backends, t->backend_count, sizeof *t->backends);
    t->backends[t->backend_count++] = (struct backend){backend, weight};
    r->backend_count++;
    r->weight += weight;
    return 0;
}

/* Longest first, then by text. */
static int compare_text(struct str a, struct str b)
{
    if (a.len != b.len) {
        return a.len > b.len ? -1 : 1;
    }
    return a.len == 0 ? 0 : strncasecmp(a.p, b.p, a.len);
}

static int compare_domains(const void *left, const void *right)
{
    const struct domain *a = left;
    const struct domain *b = right;

    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    return compare_text(a->text, b->text);
}

struct route_table *route_builder_finish(struct route_builder *b)
{
    struct route_table *t = mem_alloc(sizeof *t);

    *t = b->table;
    mem_free(b);
    if (t->domain_count > 0) {
        qsort(t->domains, t->domain_count, sizeof *t->domains, compare_domains);
    }
    for (uint32_t i = 0; i < t->domain_count; i++) {
        for (unsigned kind = t->domains[i].kind + 1u; kind <= DOMAIN_KIND_COUNT; kind++) {
            t->first_domain[kind] = i + 1;
        }
    }
    return t;
}

static const struct domain *find_exact(const struct route_table *t, struct str name)
{
    uint32_t low = t->first_domain[DOMAIN_EXACT];
    uint32_t high = t->first_domain[DOMAIN_EXACT + 1];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_text(name, t->domains[middle].text);

        if (order == 0) {
            return &t->domains[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static bool wildcard_fits(const struct domain *d, struct str name)
{
    if (d->kind == DOMAIN_ANY) {
        return true;
    }
    if (name.len <= d->text.len) {
        return false; /* the '*' stands for something */
    }
    struct str part = {d->kind == DOMAIN_SUFFIX ? name.p + (name.len - d->text.len) : name.p, d->text.len};
    return str_eq_nocase(part, d->text);
}

static const struct domain *find_domain(const struct route_table *t, enum domain_kind kind, struct str name)
{
    if (kind == DOMAIN_EXACT) {
        return find_exact(t, name);
    }
    for (uint32_t i = t->first_domain[kind]; i < t->first_domain[kind + 1]; i++) {
        if (wildcard_fits(&t->domains[i], name)) {
            return &t->domains[i];
        }
    }
    return NULL;
}

/* "greeter.shop.:50051" → "greeter.shop"; "[fd00::a]:50051" → "[fd00::a]"; "fd00::a" has no port. */
static struct str host_part(struct str authority)
{
    struct str host = authority;
    size_t digits = 0;

    while (digits < host.len && host.p[host.len - 1 - digits] >= '0' && host.p[host.len - 1 - digits] <= '9') {
        digits++;
    }
    if (digits > 0 && digits < host.len && host.p[host.len - 1 - digits] == ':') {
        struct str before = {host.p, host.len - 1 - digits};
        bool is_bare_ipv6 = str_find(before, ':') != before.len && before.p[before.len - 1] != ']';

        host = is_bare_ipv6 ? host : before;
    }
    if (host.len > 1 && host.p[host.len - 1] == '.') {
        host.len--;
    }
    return host;
}

static const struct host *find_host(const struct route_table *t, struct str authority)
{
    struct str host = host_part(authority);

    for (unsigned kind = 0; kind < DOMAIN_KIND_COUNT; kind++) {
        const struct domain *d = find_domain(t, (enum domain_kind)kind, authority);

        if (d == NULL && host.len != authority.len) {
            d = find_domain(t, (enum domain_kind)kind, host);
        }
        if (d != NULL) {
            return &t->hosts[d->host];
        }
    }
    return NULL;
}

static const struct route *find_route(const struct route_table *t, const struct host *h, struct str path)
{
    path.len = str_find(path, '?');
    for (uint32_t i = 0; i < h->route_count; i++) {
        const struct route *r = &t->routes[h->first_route + i];

        if (r->match == ROUTE_EXACT ? str_eq(path, r->path) : str_starts_with(path, r->path)) {
            return r;
        }
    }
    return NULL;
}

static int64_t choose_backend(const struct route_table *t, const struct route *r, struct rng *rng)
{
    if (r->weight == 0) {
        return -1;
    }
    uint64_t left = rng_below(rng, r->weight);
    for (uint32_t i = 0; i < r->backend_count; i++) {
        const struct backend *b = &t->backends[r->first_backend + i];

        if (left < b->weight) {
            return b->index;
        }
        left -= b->weight;
    }
    return -1; /* not reached: `left` is below the sum of the weights */
}

int64_t route_select(const struct route_table *t, struct str authority, struct str path, struct rng *rng)
{
    const struct host *h = find_host(t, authority);
    const struct route *r = h != NULL ? find_route(t, h, path) : NULL;

    return r != NULL ? choose_backend(t, r, rng) : -1;
}
