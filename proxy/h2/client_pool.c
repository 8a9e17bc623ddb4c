/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A member is one connection: first being dialled, then a session without SETTINGS, then one that takes requests. Whenever room may have
 * appeared (SETTINGS, a stream's end) or a member went, `serve` runs at the end of the turn: it hands out room, then dials for who is
 * left.
 */

#include "h2/client_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include "net/connect.h"
#include "net/timer.h"
#include "policy/backoff.h"

#define PEER_STREAMS_ASSUMED 100 /* for the number of dials, until a peer has said (RFC 9113 §6.5.2 recommends no less) */
#define AGE_JITTER_PERCENT 20

struct member {
    struct list node;
    struct client_pool *pool;
    struct h2_session *session; /* NULL while dialling */
    struct connect connect;
    struct timer settings_timer;
    struct usec idle_since;
    struct usec expires; /* from then on it gets nothing new */
    uint32_t requests;   /* given to it */
    bool is_pending;     /* no SETTINGS yet */
};

/* Of all pools: what a session's frames are found by (base/trace). */
static _Atomic uint64_t last_number;

struct client_pool {
    struct loop *loop;
    struct addr addr;
    const struct pool_options *options;
    const struct pool_ops *ops;
    void *ctx;
    uint64_t service;    /* of the tags */
    struct list members; /* in the order dialled */
    struct list waiters;
    uint32_t waiting;
    uint32_t pending;          /* members that have no SETTINGS yet */
    uint32_t peer_max_streams; /* as the last peer said */
    struct deferred serve;
    struct timer watch_timer; /* over idle and old sessions */
    struct grave grave;       /* a waiter's on_ready may make the owner free the pool: its memory lasts to the end of the turn */
    bool is_closed;
    bool is_empty_told;
};

static void dial(struct client_pool *p);

/* --- waiters --- */

static struct h2_session *take_session_with_room(struct client_pool *p)
{
    list_for_each(node, &p->members) {
        struct member *m = list_entry(node, struct member, node);

        if (m->session == NULL || !h2_session_has_settings(m->session) || h2_session_capacity(m->session) == 0) {
            continue;
        }
        if (m->requests >= p->options->max_requests) {
            h2_session_drain(m->session, CLOSE_DRAINED);
            continue;
        }
        m->requests++;
        return m->session;
    }
    return NULL;
}

static struct pool_waiter *next_waiter(struct client_pool *p, struct list *waiters)
{
    struct list *node = list_pop_front(waiters);

    if (node == NULL) {
        return NULL;
    }
    p->waiting--;
    return list_entry(node, struct pool_waiter, node);
}

/* Those that start waiting again meanwhile are not failed again. */
static void fail_waiters(struct client_pool *p, enum close_reason reason)
{
    struct list failing;
    struct pool_waiter *w;

    list_init(&failing);
    list_splice(&failing, &p->waiters);
    while ((w = next_waiter(p, &failing)) != NULL) {
        w->on_ready(w, NULL, reason);
    }
}

/* As many dials as the waiters need at the stream limit last seen. */
static void dial_for_waiters(struct client_pool *p)
{
    uint64_t each = p->peer_max_streams > 0 ? p->peer_max_streams : 1;
    uint32_t awaited = p->pending; /* that will serve waiters, or fail them */
    uint32_t counted = p->pending; /* against the maximum */

    list_for_each(node, &p->members) {
        const struct member *m = list_entry(node, struct member, node);
        bool is_leaving = !m->is_pending && h2_session_is_going_away(m->session);

        counted += !m->is_pending && !is_leaving;
        awaited += is_leaving && m->requests == 0; /* about to fail them */
    }
    while (p->waiting > awaited * each && counted < p->options->max_connections) {
        dial(p);
        awaited++;
        counted++;
    }
}

static void tell_empty(struct client_pool *p)
{
    if (!p->is_closed || p->is_empty_told || p->waiting > 0 || !list_is_empty(&p->members)) {
        return;
    }
    p->is_empty_told = true;
    if (p->ops->on_empty != NULL) {
        p->ops->on_empty(p->ctx); /* may free the pool */
    }
}

static void on_serve(struct deferred *d)
{
    struct client_pool *p = container_of(d, struct client_pool, serve);
    struct h2_session *session;

    if (p->is_closed) {
        fail_waiters(p, CLOSE_NO_ENDPOINT);
        tell_empty(p);
        return;
    }
    while (p->waiting > 0 && (session = take_session_with_room(p)) != NULL) {
        struct pool_waiter *w = next_waiter(p, &p->waiters);

        if (w == NULL) {
            break; /* the rest of `waiting` is being failed right now, further up the stack */
        }
        w->on_ready(w, session, CLOSE_DONE);
    }
    dial_for_waiters(p);
}

/* --- members --- */

static void set_settled(struct member *m)
{
    if (m->is_pending) {
        m->is_pending = false;
        m->pool->pending--;
    }
}

static void member_free(struct member *m)
{
    struct client_pool *p = m->pool;

    set_settled(m);
    connect_cancel(&m->connect);
    timer_stop(&m->settings_timer);
    list_unlink(&m->node);
    slab_release(loop_slab(p->loop), m);
    loop_defer(p->loop, &p->serve);
}

static void connect_failed(struct client_pool *p, enum close_reason reason)
{
    if (p->ops->on_connect_failed != NULL) {
        p->ops->on_connect_failed(p->ctx, reason);
    }
    fail_waiters(p, reason);
}

static void on_settings(struct h2_session *s)
{
    struct member *m = h2_session_ctx(s);
    struct client_pool *p = m->pool;
    bool is_first = m->is_pending;

    timer_stop(&m->settings_timer);
    if (is_first && h2_session_peer_max_streams(s) == 0) {
        /* It takes no request at all: as if it had refused the connection. Else requests would wait for it without end. */
        h2_session_close(s, H2_NO_ERROR, CLOSE_STREAM_REFUSED);
        return;
    }
    set_settled(m);
    if (is_first && p->ops->on_connected != NULL) {
        /* Only now: behind another proxy, or a full backlog, a TCP connection proves nothing about the endpoint. */
        p->ops->on_connected(p->ctx, usec_since(loop_clock(), m->connect.started));
    }
    p->peer_max_streams = h2_session_peer_max_streams(s);
    loop_defer(p->loop, &p->serve);
}

static void on_stream_ended(struct h2_session *s)
{
    struct member *m = h2_session_ctx(s);
    struct client_pool *p = m->pool;

    if (p->waiting > 0) {
        loop_defer(p->loop, &p->serve);
    }
    if (h2_session_stream_count(s) == 0) {
        m->idle_since = loop_now(p->loop);
    }
}

static void on_closed(struct h2_session *s, enum close_reason reason)
{
    struct member *m = h2_session_ctx(s);
    struct client_pool *p = m->pool;
    /* A peer that says GOAWAY to every fresh connection would be dialled again for ever while somebody waits. */
    bool has_failed = !p->is_closed && (m->is_pending || (m->requests == 0 && p->waiting > 0));

    m->session = NULL;
    member_free(m);
    if (has_failed) {
        connect_failed(p, reason);
    } else if (p->ops->on_session_closed != NULL) {
        p->ops->on_session_closed(p->ctx, reason);
    }
}

static const struct h2_session_ops session_ops = {
    .on_settings = on_settings,
    .on_stream_ended = on_stream_ended,
    .on_closed = on_closed,
};

static void on_settings_timer(struct timer *t)
{
    struct member *m = container_of(t, struct member, settings_timer);

    h2_session_close(m->session, H2_NO_ERROR, CLOSE_CONNECT_TIMEOUT);
}

/* Together with others they were dialled; apart from them they end. */
static struct usec expiry(struct client_pool *p)
{
    if (p->options->max_age.v == 0) {
        return USEC_NEVER;
    }
    return usec_add(loop_now(p->loop), backoff_shorten(p->options->max_age, AGE_JITTER_PERCENT, loop_rng(p->loop)));
}

/* Looks at the sessions in that time, or earlier if it was to do so. */
static void watch(struct client_pool *p, struct usec delay)
{
    struct usec due = usec_add(loop_now(p->loop), delay);

    if (due.v != USEC_NEVER.v && (!timer_is_set(&p->watch_timer) || usec_before(due, p->watch_timer.due))) {
        timer_set(&p->watch_timer, delay);
    }
}

static void on_dialled(struct connect *c, int result)
{
    struct member *m = container_of(c, struct member, connect);
    struct client_pool *p = m->pool;

    if (result < 0) {
        member_free(m);
        connect_failed(p, close_reason_of_connect(result));
        return;
    }
    m->idle_since = loop_now(p->loop);
    m->expires = expiry(p);
    m->session = h2_session_new(H2_CLIENT, &c->stream, &p->options->h2, &session_ops, m);
    h2_session_tag(m->session, &(struct trace_tag){.kind = "endpoint",
                                                   .number = atomic_fetch_add(&last_number, 1) + 1,
                                                   .peer = p->addr,
                                                   .service = p->service});
    timer_set(&m->settings_timer, p->options->connect_timeout);
    watch(p, usec_since(m->expires, m->idle_since));
    if (p->options->idle_timeout.v != 0) {
        watch(p, p->options->idle_timeout);
    }
}

static void dial(struct client_pool *p)
{
    struct member *m = slab_alloc(loop_slab(p->loop), sizeof *m);
    struct connect_options options = {.timeout = p->options->connect_timeout, .user_timeout = p->options->user_timeout};

    m->pool = p;
    m->is_pending = true;
    timer_init(&m->settings_timer, p->loop, on_settings_timer);
    list_push_back(&p->members, &m->node);
    p->pending++;
    connect_start(&m->connect, p->loop, &p->addr, &options, on_dialled);
}

/* --- idle and old sessions --- */

/* Lets a session go whose time is over. Otherwise: when to look again. */
static struct usec look_at(struct client_pool *p, struct member *m, struct usec now)
{
    struct usec left = usec_since(m->expires, now);
    struct usec idle = p->options->idle_timeout;

    if (left.v == 0) {
        h2_session_drain(m->session, CLOSE_DRAINED);
        return USEC_NEVER;
    }
    if (idle.v != 0 && h2_session_stream_count(m->session) == 0) {
        idle = usec_since(idle, usec_since(now, m->idle_since));
        if (idle.v == 0) {
            h2_session_drain(m->session, CLOSE_IDLE);
            return USEC_NEVER;
        }
    }
    return idle.v != 0 && usec_before(idle, left) ? idle : left;
}

static void on_watch_timer(struct timer *t)
{
    struct client_pool *p = container_of(t, struct client_pool, watch_timer);
    struct usec now = loop_now(p->loop);

    list_for_each(node, &p->members) {
        struct member *m = list_entry(node, struct member, node);

        if (m->session != NULL && !h2_session_is_going_away(m->session)) {
            watch(p, look_at(p, m, now));
        }
    }
}

/* --- interface --- */

struct client_pool *client_pool_new(struct loop *l, const struct addr *addr, const struct pool_options *options,
                                    const struct pool_ops *ops, void *ctx)
{
    struct client_pool *p = slab_alloc(loop_slab(l), sizeof *p);

    p->loop = l;
    p->addr = *addr;
    p->options = options;
    p->ops = ops;
    p->ctx = ctx;
    p->peer_max_streams = PEER_STREAMS_ASSUMED;
    list_init(&p->members);
    list_init(&p->waiters);
    deferred_init(&p->serve, on_serve);
    timer_init(&p->watch_timer, l, on_watch_timer);
    return p;
}

void client_pool_set_service(struct client_pool *p, uint64_t service)
{
    p->service = service;
}

void client_pool_close(struct client_pool *p)
{
    if (p->is_closed) {
        return;
    }
    p->is_closed = true;
    timer_stop(&p->watch_timer);
    list_for_each(node, &p->members) {
        struct member *m = list_entry(node, struct member, node);

        if (m->session != NULL) {
            h2_session_drain(m->session, CLOSE_DRAINED);
        } else {
            member_free(m);
        }
    }
    loop_defer(p->loop, &p->serve);
}

void client_pool_open(struct client_pool *p)
{
    p->is_closed = false;
    p->is_empty_told = false;
}

void client_pool_abort(struct client_pool *p)
{
    client_pool_close(p);
    list_for_each(node, &p->members) {
        h2_session_close(list_entry(node, struct member, node)->session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    }
}

static void reap(struct grave *g)
{
    struct client_pool *p = container_of(g, struct client_pool, grave);

    slab_release(loop_slab(p->loop), p);
}

void client_pool_free(struct client_pool **pool)
{
    struct client_pool *p = *pool;

    if (p == NULL) {
        return;
    }
    *pool = NULL;
    assert(list_is_empty(&p->members) && p->waiting == 0);
    loop_undefer(&p->serve);
    timer_stop(&p->watch_timer);
    p->is_closed = true;
    p->is_empty_told = true;
    loop_bury(p->loop, &p->grave, reap);
}

enum pool_outcome client_pool_acquire(struct client_pool *p, struct pool_waiter *w, struct h2_session **ret_session)
{
    struct h2_session *session;

    if (p->is_closed) {
        return POOL_FULL;
    }
    session = p->waiting == 0 ? take_session_with_room(p) : NULL;
    if (session != NULL) {
        *ret_session = session;
        return POOL_READY;
    }
    if (p->waiting >= p->options->max_waiting) {
        return POOL_FULL;
    }
    list_push_back(&p->waiters, &w->node);
    p->waiting++;
    loop_defer(p->loop, &p->serve);
    return POOL_WAITING;
}

void client_pool_cancel(struct client_pool *p, struct pool_waiter *w)
{
    if (list_is_linked(&w->node)) {
        list_unlink(&w->node);
        p->waiting--;
    }
}

uint32_t client_pool_connections(const struct client_pool *p)
{
    uint32_t count = 0;

    list_for_each(node, &p->members) {
        count += list_entry(node, struct member, node)->session != NULL;
    }
    return count;
}

uint32_t client_pool_waiting(const struct client_pool *p)
{
    return p->waiting;
}

bool client_pool_is_empty(const struct client_pool *p)
{
    return list_is_empty(&p->members);
}
