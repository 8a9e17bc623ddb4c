/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The life of a session. All ends pass through CLOSING: whoever finds a reason records it there, and the pump, which nobody's call stack
 * runs through, ends streams and session in order (farewell.c).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "h2/session_internal.h"

#define PEER_STREAMS_BEFORE_SETTINGS 100
#define SEND_HEADER_BLOCK_MAX ((size_t)1024 * 1024)
#define OUTBOUND_ACK_MAX 1000
#define NO_LIMIT (1 << 30) /* where the guard counts, and better: h2/guard.h */
#define NOTICE_TIMEOUT_S 2 /* for the ACK of a drain's PING */

static const struct h2_session_ops no_ops = {0};

void h2_session_dirty(struct h2_session *s)
{
    if (s->state < H2_STATE_PARTING) {
        loop_defer(s->loop, &s->pump);
    }
}

void h2_session_set_state(struct h2_session *s, enum h2_state state)
{
    assert(state > s->state);
    s->state = state;
}

/* --- start --- */

static void *ng_malloc(size_t size, void *slab)
{
    return slab_alloc_raw(slab, size);
}

static void ng_free(void *p, void *slab)
{
    slab_release(slab, p);
}

static void *ng_calloc(size_t count, size_t size, void *slab)
{
    return size != 0 && count > SIZE_MAX / size ? NULL : slab_alloc(slab, count * size);
}

static void *ng_realloc(void *p, size_t size, void *slab)
{
    return slab_realloc(slab, p, size);
}

static nghttp2_option *new_option(void)
{
    nghttp2_option *option;

    if (nghttp2_option_new(&option) != 0) {
        abort();
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, SEND_HEADER_BLOCK_MAX);
    nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACK_MAX);
#ifdef HAVE_NGHTTP2_MAX_CONTINUATIONS
    nghttp2_option_set_max_continuations(option, NO_LIMIT);
#endif
#ifdef HAVE_NGHTTP2_RESET_RATE_LIMIT
    nghttp2_option_set_stream_reset_rate_limit(option, NO_LIMIT, NO_LIMIT);
#endif
    return option;
}

static nghttp2_session *new_ng(struct h2_session *s)
{
    nghttp2_mem mem = {s->slab, ng_malloc, ng_free, ng_calloc, ng_realloc};
    nghttp2_option *option = new_option();
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *ng;
    int r;

    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        abort();
    }
    h2_callbacks_set(callbacks);
    r = s->role == H2_SERVER ? nghttp2_session_server_new3(&ng, callbacks, s, option, &mem)
                             : nghttp2_session_client_new3(&ng, callbacks, s, option, &mem);
    if (r != 0) {
        abort(); /* memory is the only reason there can be, and our allocator has aborted before */
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return ng;
}

void h2_session_start(struct h2_session *s)
{
    const struct h2_options *o = s->options;
    nghttp2_settings_entry settings[5] = {
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->max_header_list_bytes},
    };
    size_t count = 3;

    if (s->is_started) {
        return;
    }
    s->is_started = true;
    if (s->role == H2_SERVER) {
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->offered_streams};
        if (s->offers_connect) {
            settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
        }
    } else {
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    }
    nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, count);
    nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)o->connection_window_bytes);
}

static void on_end_timer(struct timer *t)
{
    struct h2_session *s = container_of(t, struct h2_session, end_timer);

    if (s->state == H2_STATE_NOTICED) {
        h2_session_goaway_now(s, H2_NO_ERROR);
    } else if (s->state > H2_STATE_CLOSING) {
        h2_farewell_timeout(s);
    }
}

struct h2_session *h2_session_new(enum h2_role role, struct stream *from, const struct h2_options *options,
                                  const struct h2_session_ops *ops, void *ctx)
{
    struct slab *slab = loop_slab(from->loop);
    struct h2_session *s = slab_alloc(slab, sizeof *s);

    object_created(OBJECT_H2_SESSION);
    assert(options->connection_window_bytes <= INT32_MAX && options->stream_window_bytes <= INT32_MAX);
    s->magic = H2_SESSION_MAGIC;
    s->role = role;
    s->loop = from->loop;
    s->slab = slab;
    s->options = options;
    s->ops = ops;
    s->ctx = ctx;
    s->offered_streams = options->max_concurrent_streams;
    s->quiet_since = loop_now(s->loop);
    list_init(&s->streams);
    stream_move(&s->stream, from);
    window_init(&s->window, options->stream_window_bytes, options->max_window_bytes);
    h2_host_add(s);
    h2_pump_init(s);
    h2_keepalive_init(s);
    h2_guard_init(s);
    timer_init(&s->end_timer, s->loop, on_end_timer);
    s->ng = new_ng(s);
    stream_want_read(&s->stream, true);
    h2_session_dirty(s);
    return s;
}

void h2_session_preface(struct h2_session *s, const void *bytes, size_t len)
{
    assert(s->preface == NULL);
    if (len > 0) {
        s->preface = slab_alloc_raw(s->slab, len);
        memcpy(s->preface, bytes, len);
        s->preface_len = len;
    }
}

/* --- end --- */

static void reap(struct grave *g)
{
    struct h2_session *s = container_of(g, struct h2_session, grave);

    s->magic = 0;
    slab_release(s->slab, s);
    object_destroyed(OBJECT_H2_SESSION);
}

void h2_session_end(struct h2_session *s)
{
    struct list *node;

    h2_session_set_state(s, H2_STATE_CLOSED);
    h2_keepalive_stop(s);
    h2_guard_stop(s);
    timer_stop(&s->end_timer);
    h2_pump_deinit(s);
    stream_close(&s->stream);
    nghttp2_session_del(s->ng);
    s->ng = NULL;
    while ((node = list_pop_front(&s->streams)) != NULL) {
        h2_stream_end(list_entry(node, struct h2_stream, node), H2_NO_ERROR, s->reason, false); /* they have been told */
    }
    h2_host_remove(s);
    if (s->ops->on_closed != NULL) {
        s->ops->on_closed(s, s->reason);
    }
    loop_bury(s->loop, &s->grave, reap);
}

void h2_session_cut(struct h2_session *s)
{
    s->is_write_broken = true;
    if (s->state >= H2_STATE_PARTING) {
        if (s->state < H2_STATE_CLOSED) {
            h2_session_end(s);
        }
    } else {
        h2_session_close(s, H2_NO_ERROR, CLOSE_SHUTDOWN);
    }
}

void h2_session_drop_bodies(struct h2_session *s)
{
    list_for_each(node, &s->streams) {
        h2_stream_drop_body(list_entry(node, struct h2_stream, node));
    }
}

void h2_session_close(struct h2_session *s, uint32_t error, enum close_reason reason)
{
    if (!h2_session_is_live(s)) {
        return;
    }
    h2_session_set_state(s, H2_STATE_CLOSING);
    s->reason = reason;
    s->close_error = error;
    stream_want_read(&s->stream, false);
    loop_defer(s->loop, &s->pump);
}

void h2_session_abandon(struct h2_session *s, uint32_t error, enum close_reason reason)
{
    s->ops = &no_ops;
    s->is_abandoned = true;
    list_for_each(node, &s->streams) {
        struct h2_stream *st = list_entry(node, struct h2_stream, node);

        st->ops = NULL;
        st->ctx = NULL;
    }
    if (h2_session_is_live(s)) {
        h2_session_close(s, error, reason);
    } else if (s->host == NULL && s->state > H2_STATE_CLOSING && s->state < H2_STATE_CLOSED) {
        h2_session_end(s); /* nobody would wait for it */
    }
}

void h2_session_goaway_now(struct h2_session *s, uint32_t error)
{
    h2_session_set_state(s, H2_STATE_DRAINING);
    timer_stop(&s->end_timer);
    s->is_farewell_sent = true;
    nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s->ng), error, NULL, 0);
    h2_session_dirty(s);
}

void h2_session_goaway(struct h2_session *s, uint32_t error, enum close_reason reason)
{
    if (s->state > H2_STATE_NOTICED) {
        return;
    }
    s->reason = reason;
    s->is_drain_ordered = true;
    h2_session_start(s);
    h2_session_goaway_now(s, error);
}

void h2_session_drain(struct h2_session *s, enum close_reason reason)
{
    if (s->state != H2_STATE_OPEN) {
        return;
    }
    s->reason = reason;
    s->is_drain_ordered = true;
    if (s->role == H2_CLIENT) {
        h2_session_set_state(s, H2_STATE_DRAINING);
    } else {
        h2_session_set_state(s, H2_STATE_NOTICED);
        h2_session_start(s); /* SETTINGS come first (RFC 9113 §3.4) */
        nghttp2_submit_shutdown_notice(s->ng);
        timer_set(&s->end_timer, usec_from_s(NOTICE_TIMEOUT_S));
    }
    h2_session_dirty(s);
}

/* --- requests --- */

int h2_session_request(struct h2_session *s, struct h2_headers *headers, bool is_end, const struct h2_stream_ops *ops, void *ctx,
                       struct h2_stream **ret_stream)
{
    struct h2_stream *st;
    int id;

    assert(s->role == H2_CLIENT);
    if (h2_session_is_going_away(s)) {
        h2_headers_free(&headers);
        return -EPIPE;
    }
    if (h2_session_capacity(s) == 0) {
        h2_headers_free(&headers);
        return -EAGAIN;
    }
    st = h2_stream_new(s, 0);
    st->ops = ops;
    st->ctx = ctx;
    id = h2_stream_submit_request(st, headers, is_end);
    if (id < 0) {
        st->ops = NULL;
        h2_stream_end(st, H2_REFUSED_STREAM, CLOSE_INTERNAL, true);
        return -EPIPE;
    }
    st->id = id;
    h2_session_dirty(s);
    *ret_stream = st;
    return 0;
}

/* --- queries --- */

void *h2_session_ctx(const struct h2_session *s)
{
    return s->ctx;
}

struct stream *h2_session_stream(struct h2_session *s)
{
    return &s->stream;
}

struct loop *h2_session_loop(struct h2_session *s)
{
    return s->loop;
}

uint32_t h2_session_stream_count(const struct h2_session *s)
{
    return s->stream_count;
}

bool h2_session_has_settings(const struct h2_session *s)
{
    return s->has_settings;
}

uint32_t h2_session_peer_max_streams(const struct h2_session *s)
{
    uint32_t own =
        s->options->max_concurrent_streams; /* a request cancelled before it was sent holds memory until it would have been */
    uint32_t offered;

    if (!s->has_settings || s->ng == NULL) {
        return PEER_STREAMS_BEFORE_SETTINGS;
    }
    offered = nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return s->role == H2_CLIENT && own > 0 && own < offered ? own : offered;
}

uint32_t h2_session_capacity(const struct h2_session *s)
{
    uint32_t max = h2_session_peer_max_streams(s);

    return h2_session_is_going_away(s) || h2_host_refuses(s) || max <= s->stream_count ? 0 : max - s->stream_count;
}

bool h2_session_is_going_away(const struct h2_session *s)
{
    if (s->state != H2_STATE_OPEN || s->is_goaway_received) {
        return true;
    }
    return s->role == H2_CLIENT && nghttp2_session_check_request_allowed(s->ng) == 0; /* also when the stream ids are used up */
}

bool h2_session_takes_connect(const struct h2_session *s)
{
    return s->ng != NULL && nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void h2_session_offer_connect(struct h2_session *s)
{
    nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};

    if (s->offers_connect || !h2_session_is_live(s)) {
        return;
    }
    s->offers_connect = true;
    if (s->is_started) {
        nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, &entry, 1);
        h2_session_dirty(s);
    } /* otherwise the first SETTINGS carry it */
}

void h2_session_offer_streams(struct h2_session *s, uint32_t max_concurrent_streams)
{
    nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_concurrent_streams};

    if (s->offered_streams == max_concurrent_streams || !h2_session_is_live(s)) {
        return;
    }
    s->offered_streams = max_concurrent_streams;
    if (s->is_started) {
        nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, &entry, 1);
        h2_session_dirty(s);
    } /* otherwise the first SETTINGS carry it */
}
