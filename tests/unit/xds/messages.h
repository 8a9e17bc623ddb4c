/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Resources as an xDS server would encode them, for tests. */

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *p; /* mem_free */
    size_t len;
};

struct bytes http_listener(const char *route_name);
struct bytes inline_listener(const char *cluster); /* a Route for every path comes along */
struct bytes tcp_listener(const char *cluster);
struct bytes route_to(const char *cluster);
struct bytes weighted_route(const char *const *clusters, const uint32_t *weights, size_t count);
struct bytes eds_cluster(const char *endpoints_name);

/* "10.0.0.1:80" each; "!" in front: draining. One locality. */
struct bytes endpoints_at(const char *const *addresses, size_t count);
