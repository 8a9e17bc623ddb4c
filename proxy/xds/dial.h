/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From "host:port" to a connected socket: looks the name up and tries every address, in random order, until one takes the connection.
 *
 * Owner:   embedded in whoever dials.
 * Threads: the loop's.
 * Errors:  told to on_done, never from within dial_start.
 * Limits:  RESOLVER_MAX_ADDRESSES addresses, `options->timeout` each.
 */

#include "base/addr.h"
#include "net/connect.h"
#include "net/resolver.h"

struct dial {
    struct loop *loop;
    struct resolver *resolver;
    struct resolver_query *query; /* NULL unless asking */
    struct connect connect;
    struct connect_options options;
    struct addr addresses[RESOLVER_MAX_ADDRESSES];
    size_t count;
    size_t next;
    /*
     * Connected: `error` is NULL and the socket is in d->connect.stream, to be moved from there. Else a sentence, valid during the
     * call.
     */
    void (*on_done)(struct dial *d, const char *error);
};

void dial_init(struct dial *d, struct loop *l, struct connect_options options,
               void (*on_done)(struct dial *d, const char *error));
void dial_deinit(struct dial *d);

/* One at a time. */
void dial_start(struct dial *d, const char *host_port);
