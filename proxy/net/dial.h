/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From "host:port" to a connected socket, under TLS if asked for: looks the name up and tries every address, in random order, until
 * one takes the connection and, with TLS, proves who it is.
 *
 * Owner:   embedded in whoever dials.
 * Threads: the loop's.
 * Errors:  told to on_done, never from within dial_start.
 * Limits:  RESOLVER_MAX_ADDRESSES addresses, `options->timeout` each, and DIAL_TLS_LIMIT for the handshake.
 */

#include "base/addr.h"
#include "net/connect.h"
#include "net/resolver.h"
#include "net/tls_context.h"

#define DIAL_TLS_LIMIT usec_from_s(10)

struct dial {
    struct loop *loop;
    struct resolver *resolver;
    struct resolver_query *query; /* NULL unless asking */
    struct connect connect;
    struct connect_options options;
    struct stream stream;    /* the result */
    struct tls_context *tls; /* link; NULL: plain TCP */
    const char *server_name; /* with tls: link */
    struct timer tls_timer;
    struct addr addresses[RESOLVER_MAX_ADDRESSES];
    size_t count;
    size_t next;
    /* Connected: `error` is NULL and the socket is in d->stream, to be moved from there. Else a sentence, valid during the call. */
    void (*on_done)(struct dial *d, const char *error);
};

void dial_init(struct dial *d, struct loop *l, struct connect_options options,
               void (*on_done)(struct dial *d, const char *error));
void dial_deinit(struct dial *d);

/* One at a time. */
void dial_start(struct dial *d, const char *host_port);

/* The same under TLS; `context` and `server_name` (net/tls.h) outlive the attempt. */
void dial_start_tls(struct dial *d, const char *host_port, struct tls_context *context, const char *server_name);
