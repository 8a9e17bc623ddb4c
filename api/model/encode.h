/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * xDS messages as bytes, from plain arguments. What each must and must not contain for real gRPC clients to take it is decided here
 * and only here.
 *
 * Owner:   the bytes are the caller's (mem_free).
 * Threads: any; pure. Equal arguments give equal bytes.
 * Errors:  none.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "api/model/eligible.h"

struct encoded {
    uint8_t *bytes;
    size_t len;
};

/* Balanced request by request: an api_listener whose routes come as the RouteConfiguration of the same name. */
struct encoded encode_http_listener(const char *name);

/* Left as raw TCP: a filter chain with a TCP proxy and no api_listener. */
struct encoded encode_tcp_listener(const char *name, const char *cluster);

struct encode_virtual_host {
    char *cluster; /* also the virtual host's name */
    size_t domain_count;
    char **domains; /* none twice in one RouteConfiguration */
};

struct encoded encode_route(const char *name, const struct encode_virtual_host *hosts, size_t host_count);
struct encoded encode_cluster(const char *name);

/* `endpoints` sorted by zone. */
struct encoded encode_endpoints(const char *name, const struct eligible *endpoints, size_t count);
