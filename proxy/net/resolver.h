/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names to addresses without blocking the loop (libevent's evdns: /etc/resolv.conf and /etc/hosts; A and AAAA).
 *
 * Owner:   one resolver a loop; a query belongs to the caller until it is done or cancelled.
 * Threads: the loop's.
 * Errors:  on_done gets a count of 0 and a static text.
 * Limits:  RESOLVER_MAX_ADDRESSES answers.
 */

#include <stddef.h>

#include "base/addr.h"
#include "net/loop.h"

#define RESOLVER_MAX_ADDRESSES 64

struct resolver;
struct resolver_query;

/* Reads /etc/resolv.conf and /etc/hosts. */
struct resolver *resolver_new(struct loop *l);

/* The same from other files. One that cannot be read counts as empty: then 127.0.0.1 is asked. */
struct resolver *resolver_new_from(struct loop *l, const char *resolv_conf, const char *hosts);

/* No query may be open; cancelled ones may. Accepts NULL. */
void resolver_free(struct resolver *r);

typedef void resolver_done_fn(void *ctx, const struct addr *addresses, size_t count, const char *error);

/* `host_port` is "name:port", "IP:port" or "[IPv6]:port". on_done is called later, once, never from within. */
struct resolver_query *resolver_start(struct resolver *r, const char *host_port, resolver_done_fn *on_done, void *ctx);

/* No report after this. Nulls the caller's link; accepts NULL inside. */
void resolver_cancel(struct resolver_query **q);
