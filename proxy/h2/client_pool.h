/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The client sessions to one endpoint: dialled when first needed, more when the peer's MAX_CONCURRENT_STREAMS is reached, closed when
 * idle. A request is given to a session only once the peer's SETTINGS have come, so none is ever refused because the limit was not
 * known yet; they come within the round trip that dialling costs anyway.
 *
 *     pool_acquire ─▶ a session with room?  yes: POOL_READY
 *                                           no:  wait (bounded); dial as many more as the waiters need (bounded)
 *
 * Sessions are filled in the order they were dialled, so that what a burst needed becomes idle after it. Only a session without streams
 * is closed, so that no request of ours can be on its way when it happens; the peer's own idle close may cross a request, which then ends
 * as unprocessed if the peer's GOAWAY left it out, or if it had not gone out.
 *
 * Owner:   one for each endpoint and worker (flow/cluster).
 * Threads: the loop's.
 * Errors:  a failed dial, also a peer that sends no SETTINGS within connect_timeout or offers no stream, fails all that wait, with its close reason.
 * Limits:  struct pool_options. Sessions that only finish their last streams do not count as connections.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/close_reason.h"
#include "base/list.h"
#include "h2/session.h"

struct pool_options {
    struct h2_options h2;
    struct usec connect_timeout;
    struct usec user_timeout; /* TCP_USER_TIMEOUT */
    struct usec idle_timeout; /* a session without streams for this long is closed; 0: never */
    struct usec max_age;      /* a session this old (up to a fifth less, at random) gets nothing new; 0: any age will do */
    uint32_t max_requests;    /* after so many a session gets nothing new, long before its stream ids are used up; ≥ 1 */
    uint32_t max_connections; /* per endpoint and worker */
    uint32_t max_waiting;     /* requests waiting for a connection */
};

struct client_pool;

struct pool_waiter {
    struct list node;
    /* Called from the loop, never from within pool_acquire: a session with room (CLOSE_DONE), or NULL and why not. */
    void (*on_ready)(struct pool_waiter *w, struct h2_session *session, enum close_reason reason);
};

/* What the pool tells its owner, for the connect back-off and metrics. Any may be NULL. */
struct pool_ops {
    void (*on_connected)(void *ctx, struct usec connect_time);      /* the peer's SETTINGS have come */
    void (*on_connect_failed)(void *ctx, enum close_reason reason); /* also: it ended before it could serve */
    void (*on_session_closed)(void *ctx, enum close_reason reason);
    void (*on_empty)(void *ctx); /* the last session of a closed pool is gone: it may be freed (it is not freed by itself) */
};

enum pool_outcome { POOL_READY, POOL_WAITING, POOL_FULL };

/* `options` outlive the pool. */
struct client_pool *client_pool_new(struct loop *l, const struct addr *addr, const struct pool_options *options,
                                    const struct pool_ops *ops, void *ctx);

/* The Service whose endpoint it is (trace_service_key), for the tags of sessions dialled from now on. */
void client_pool_set_service(struct client_pool *p, uint64_t service);

/* No new dials; sessions drain; waiters fail with CLOSE_NO_ENDPOINT at the end of the turn. on_empty follows. */
void client_pool_close(struct client_pool *p);

/* The same at once: sessions end in this turn, whatever their peers still owe. */
void client_pool_abort(struct client_pool *p);

/* Takes back a close: dials again when asked to. What is draining drains on. */
void client_pool_open(struct client_pool *p);

/* Only from on_empty on, or when it was never used. Nulls the link; accepts NULL inside. */
void client_pool_free(struct client_pool **p);

/* POOL_FULL: max_waiting already wait, or the pool is closed. */
enum pool_outcome client_pool_acquire(struct client_pool *p, struct pool_waiter *w, struct h2_session **ret_session) MUST_CHECK;

/* Stops waiting. Accepts one that does not wait. */
void client_pool_cancel(struct client_pool *p, struct pool_waiter *w);

uint32_t client_pool_connections(const struct client_pool *p); /* established, those that only finish their streams included */
uint32_t client_pool_waiting(const struct client_pool *p);
bool client_pool_is_empty(const struct client_pool *p); /* no session and no dial */
