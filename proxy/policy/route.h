/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which backend a request is for, by its authority and path:
 *
 *     route table ─▶ virtual host (best domain) ─▶ first route that matches ─▶ one of its backends, by weight
 *
 * Domains: "host" and "host:port" exactly, "*.suffix", "prefix.*", "*", without regard to case; a '*' stands for one byte or more.
 * Exact beats suffix, suffix beats prefix, prefix beats "*", and of one kind the longest wins. Each kind is tried with the authority
 * as it is, then without its port and a final dot. A host whose routes do not match is not passed over for another.
 *
 * Owner:   a builder belongs to who builds; the finished table is immutable and belongs to who finished it.
 * Threads: any may read a finished table.
 * Errors:  a builder call that would break a limit or a rule answers −E2BIG, −EINVAL or −EEXIST and changes nothing.
 * Limits:  the constants below.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/container.h"
#include "base/rng.h"
#include "base/str.h"

#define ROUTE_HOSTS_MAX 1024u
#define ROUTE_DOMAINS_MAX 4096u   /* over all hosts */
#define ROUTE_ROUTES_MAX 4096u    /* over all hosts */
#define ROUTE_BACKENDS_MAX 16384u /* over all routes */
#define ROUTE_TEXT_MAX 4096u      /* bytes of one domain or path */

enum route_match {
    ROUTE_PREFIX, /* "" matches every path; else byte by byte, as in "/shop.Cart/" */
    ROUTE_EXACT,
};

struct route_builder;
struct route_table;

struct route_builder *route_builder_new(void);
void route_builder_free(struct route_builder *b); /* accepts NULL */

/* Begins a virtual host; what follows belongs to it. */
int route_builder_host(struct route_builder *b) MUST_CHECK;

/* −EINVAL: empty, or a '*' anywhere but at one end. −EEXIST: some host has this domain already. */
int route_builder_domain(struct route_builder *b, struct str domain) MUST_CHECK;

/* Begins a route of the current host; order counts. The path excludes the query. */
int route_builder_route(struct route_builder *b, enum route_match match, struct str path) MUST_CHECK;

/* Adds a backend to the current route: the caller's index of it, and its weight (0: never). −EINVAL: the weights pass 2³²−1. */
int route_builder_backend(struct route_builder *b, uint32_t backend, uint32_t weight) MUST_CHECK;

/* The table; the builder is gone. */
struct route_table *route_builder_finish(struct route_builder *b) MUST_CHECK;

void route_table_free(struct route_table *t); /* accepts NULL */

/* The backend's index; −1 if no host or route matches, or the route has no backend of any weight. */
int64_t route_select(const struct route_table *t, struct str authority, struct str path, struct rng *rng);
