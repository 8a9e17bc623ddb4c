/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A route table and a question about it, all from the input's lines: the first two are authority and path, then "h" begins a host,
 * "d…" adds a domain, "p…" and "e…" a prefix or exact route with a backend. The answer is a backend that fits, and the same each time.
 */

#include <assert.h>

#include "policy/route.h"

#define BACKENDS_MAX 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct paths {
    struct str path[BACKENDS_MAX]; /* by backend */
    enum route_match match[BACKENDS_MAX];
    uint32_t count;
};

static void add_line(struct route_builder *b, struct str line, bool *has_host, struct paths *paths)
{
    struct str rest = {line.p + 1, line.len - 1};
    enum route_match match = line.p[0] == 'e' ? ROUTE_EXACT : ROUTE_PREFIX;

    if (line.p[0] == 'h') {
        *has_host = route_builder_host(b) == 0 || *has_host;
    } else if (*has_host && line.p[0] == 'd') {
        (void)!route_builder_domain(b, rest);
    } else if (*has_host && paths->count < BACKENDS_MAX && route_builder_route(b, match, rest) == 0 &&
               route_builder_backend(b, paths->count, 1) == 0) {
        paths->path[paths->count] = rest;
        paths->match[paths->count++] = match;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size};
    struct str authority = {0};
    struct str path = {0};
    struct str line;
    struct paths paths = {.count = 0};
    struct route_builder *b = route_builder_new();
    struct rng rng;
    bool has_host = false;

    rng_init(&rng, 1);
    if (size > 0 && str_split(&rest, '\n', &authority) && str_split(&rest, '\n', &path)) {
        while (str_split(&rest, '\n', &line)) {
            if (line.len > 0) {
                add_line(b, line, &has_host, &paths);
            }
        }
    }
    struct route_table *t = route_builder_finish(b);
    int64_t chosen = route_select(t, authority, path, &rng);

    assert(chosen == route_select(t, authority, path, &rng));
    if (chosen >= 0) {
        assert(chosen < paths.count);
        path.len = str_find(path, '?');
        assert(paths.match[chosen] == ROUTE_EXACT ? str_eq(path, paths.path[chosen]) : str_starts_with(path, paths.path[chosen]));
    }
    route_table_free(t);
    return 0;
}
