/* SPDX-License-Identifier: Apache-2.0 */

/* A RouteConfiguration becomes a route table whose backends are indexes into the names of the clusters that it uses. */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "policy/route.h"
#include "xds/decode.h"

typedef Envoy__Config__Route__V3__Route route_message;
typedef Envoy__Config__Route__V3__RouteMatch match_message;

struct route_decode {
    struct decode *d;
    struct route_builder *builder;
    size_t cluster_size;
};

static bool check_limit(const struct route_decode *r, int result, const char *what, const char *text)
{
    switch (result) {
    case 0:
        return true;
    case -EEXIST:
        return decode_fail(r->d, "%s \"%.100s\" comes twice", what, text);
    case -E2BIG:
        return decode_fail(r->d, "%s \"%.100s\" is beyond the limit of number or size", what, text);
    default:
        return decode_fail(r->d, "%s \"%.100s\" is not valid", what, text);
    }
}

/* The cluster's index, found or added. */
static uint32_t intern_cluster(struct route_decode *r, const char *name)
{
    struct config *c = r->d->out;

    for (size_t i = 0; i < c->cluster_count; i++) {
        if (strcmp(c->clusters[i], name) == 0) {
            return (uint32_t)i;
        }
    }
    if (c->cluster_count == r->cluster_size) {
        r->cluster_size = r->cluster_size == 0 ? 4 : r->cluster_size * 2;
        c->clusters = mem_realloc_array(c->clusters, r->cluster_size, sizeof *c->clusters);
    }
    c->clusters[c->cluster_count] = mem_strdup(name);
    return (uint32_t)c->cluster_count++;
}

static bool add_backend(struct route_decode *r, const char *name, uint32_t weight)
{
    if (!decode_check_name(r->d, name, "cluster name")) {
        return false;
    }
    if (r->d->out->cluster_count >= CONFIG_CLUSTERS_MAX) {
        return decode_fail(r->d, "names more than %u clusters", CONFIG_CLUSTERS_MAX);
    }
    return check_limit(r, route_builder_backend(r->builder, intern_cluster(r, name), weight), "cluster", name);
}

static bool add_weighted(struct route_decode *r, const Envoy__Config__Route__V3__WeightedCluster *m)
{
    uint64_t total = 0;

    for (size_t i = 0; i < m->n_clusters; i++) {
        uint32_t weight = m->clusters[i]->weight != NULL ? m->clusters[i]->weight->value : 0;

        if (!add_backend(r, m->clusters[i]->name, weight)) {
            return false;
        }
        total += weight;
    }
    return total > 0 || decode_fail(r->d, "weighted clusters have no weight");
}

static bool add_action(struct route_decode *r, const route_message *m)
{
    if (m->action_case != ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE) {
        return decode_fail(r->d, "route \"%.100s\" has another action than to route", m->name);
    }
    if (m->route->cluster_specifier_case == ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER) {
        return add_backend(r, m->route->cluster, 1);
    }
    if (m->route->cluster_specifier_case == ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS) {
        return add_weighted(r, m->route->weighted_clusters);
    }
    return decode_fail(r->d, "route \"%.100s\" names no cluster", m->name);
}

/* Only the path decides here; a condition that cannot be checked must not be taken as met. */
static bool check_match(struct route_decode *r, const match_message *m)
{
    if (m->n_headers > 0 || m->n_query_parameters > 0 || m->runtime_fraction != NULL) {
        return decode_fail(r->d, "matches on headers, query or chance are not supported");
    }
    if (m->case_sensitive != NULL && !m->case_sensitive->value) {
        return decode_fail(r->d, "matches without regard to case are not supported");
    }
    return true;
}

static bool add_match(struct route_decode *r, const match_message *m)
{
    if (m->path_specifier_case == ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX) {
        return check_limit(r, route_builder_route(r->builder, ROUTE_PREFIX, str_from(m->prefix)), "prefix", m->prefix);
    }
    if (m->path_specifier_case == ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PATH) {
        return check_limit(r, route_builder_route(r->builder, ROUTE_EXACT, str_from(m->path)), "path", m->path);
    }
    return decode_fail(r->d, "a route matches neither a prefix nor a path");
}

static bool add_route(struct route_decode *r, const route_message *m)
{
    if (m->match == NULL) {
        return decode_fail(r->d, "route \"%.100s\" has no match", m->name);
    }
    return check_match(r, m->match) && add_match(r, m->match) && add_action(r, m);
}

static bool add_host(struct route_decode *r, const Envoy__Config__Route__V3__VirtualHost *m)
{
    if (!check_limit(r, route_builder_host(r->builder), "virtual host", m->name)) {
        return false;
    }
    if (m->n_domains == 0) {
        return decode_fail(r->d, "virtual host \"%.100s\" has no domain", m->name);
    }
    for (size_t i = 0; i < m->n_domains; i++) {
        if (!check_limit(r, route_builder_domain(r->builder, str_from(m->domains[i])), "domain", m->domains[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < m->n_routes; i++) {
        if (!add_route(r, m->routes[i])) {
            return false;
        }
    }
    return true;
}

bool decode_route(struct decode *d, const Envoy__Config__Route__V3__RouteConfiguration *m)
{
    struct route_decode r = {.d = d, .builder = route_builder_new()};

    for (size_t i = 0; i < m->n_virtual_hosts; i++) {
        if (!add_host(&r, m->virtual_hosts[i])) {
            route_builder_free(r.builder);
            return false;
        }
    }
    d->out->table = route_builder_finish(r.builder);
    return true;
}
