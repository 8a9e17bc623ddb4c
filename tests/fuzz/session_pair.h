/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A client's and a server's HTTP/2 session, joined by a socket pair on one loop: what a target sends as one, the other must take. */

#include <assert.h>
#include <sys/socket.h>

#include "base/object.h"
#include "h2/grpc_call.h"
#include "h2/session.h"

struct session_pair {
    struct loop *loop;
    struct h2_session *client;
    struct h2_session *server;
};

static const struct h2_options pair_options = {
    .max_concurrent_streams = 100,
    .stream_window_bytes = 65535,
    .connection_window_bytes = 1 << 20,
    .max_header_list_bytes = 65536,
    .out_buffer_bytes = 32768,
};

static void pair_on_closed(struct h2_session *s, enum close_reason reason)
{
    struct session_pair *p = h2_session_ctx(s);

    (void)reason;
    *(s == p->client ? &p->client : &p->server) = NULL;
}

static const struct h2_session_ops pair_client_ops = {.on_closed = pair_on_closed};

/* `server_ops->on_closed` is pair_on_closed; the context of both is `p`. */
static inline void pair_open(struct session_pair *p, const struct h2_session_ops *server_ops)
{
    struct stream streams[2];
    int fds[2];
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);

    assert(r == 0);
    p->loop = loop_new(1);
    stream_init(&streams[0], p->loop, fds[0]);
    stream_init(&streams[1], p->loop, fds[1]);
    p->client = h2_session_new(H2_CLIENT, &streams[0], &pair_options, &pair_client_ops, p);
    p->server = h2_session_new(H2_SERVER, &streams[1], &pair_options, server_ops, p);
}

static inline void pair_turn(struct session_pair *p, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        loop_turn(p->loop, false);
    }
}

/* Everything must be gone afterwards. */
static inline void pair_close(struct session_pair *p)
{
    if (p->client != NULL) {
        h2_session_close(p->client, H2_NO_ERROR, CLOSE_DONE);
    }
    if (p->server != NULL) {
        h2_session_close(p->server, H2_NO_ERROR, CLOSE_DONE);
    }
    pair_turn(p, 2);
    loop_free(p->loop);
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        assert(object_live((enum object_kind)kind) == 0);
    }
}
