/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Orders on one stream. Headers are lent to nghttp2 (NO_COPY) and kept on `sending` until it has serialised them; body bytes wait in
 * chunks until nghttp2 asks for them (read_body says how many, callbacks.c copies them into the out buffer).
 */

#include <string.h>

#include "base/object.h"
#include "h2/session_internal.h"

#define CHUNK_SIZE ((size_t)16 * 1024) /* with its head: a slab class */
#define SMALL_CHUNK_SIZE ((size_t)1024)
#define FEW_FIELDS 32 /* header blocks up to this size need no memory to be submitted */

struct chunk {
    struct list node;
    uint32_t start;
    uint32_t end;
    uint32_t size;
    uint8_t bytes[];
};

struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id)
{
    struct h2_stream *st = slab_alloc(s->slab, sizeof *st);

    object_created(OBJECT_H2_STREAM);
    st->session = s;
    st->id = id;
    st->window_bytes = s->options->stream_window_bytes;
    list_init(&st->sending);
    list_init(&st->out_chunks);
    list_push_back(&s->streams, &st->node);
    if (s->stream_count++ == 0) {
        h2_keepalive_stream_opened(s);
        h2_guard_stream_opened(s);
    }
    return st;
}

/* May an order still have an effect? */
static bool can_order(const struct h2_stream *st)
{
    return h2_session_is_live(st->session) && !st->is_reset_ordered;
}

/* --- header blocks --- */

static void fill_nv(nghttp2_nv *nv, const struct h2_field *f)
{
    *nv = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)f->name.p, /* nghttp2 only reads them; its type lacks the const */
        .value = (uint8_t *)(uintptr_t)f->value.p,
        .namelen = f->name.len,
        .valuelen = f->value.len,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
    if (f->is_never_indexed) {
        nv->flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    }
}

static int submit_nv(struct h2_stream *st, enum h2_block block, const nghttp2_nv *nv, size_t count, bool is_end)
{
    nghttp2_session *ng = st->session->ng;
    nghttp2_data_provider body = {.source.ptr = st, .read_callback = h2_stream_read_body};

    switch (block) {
    case H2_REQUEST:
        return nghttp2_submit_request(ng, NULL, nv, count, is_end ? NULL : &body, st);
    case H2_INFORMATIONAL:
        return nghttp2_submit_headers(ng, NGHTTP2_FLAG_NONE, st->id, NULL, nv, count, NULL);
    case H2_RESPONSE:
        return nghttp2_submit_response(ng, st->id, nv, count, is_end ? NULL : &body);
    case H2_TRAILERS:
        return nghttp2_submit_trailer(ng, st->id, nv, count);
    }
    return NGHTTP2_ERR_INVALID_ARGUMENT;
}

/* Hands a block to nghttp2; it stays on `sending` until serialised. Returns nghttp2's answer. */
static int submit_block(struct h2_stream *st, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    struct slab *slab = st->session->slab;
    nghttp2_nv few[FEW_FIELDS];
    nghttp2_nv *nv = headers->count <= FEW_FIELDS ? few : slab_alloc_raw(slab, headers->count * sizeof *nv);
    int r;

    for (size_t i = 0; i < headers->count; i++) {
        fill_nv(&nv[i], &headers->field[i]);
    }
    r = submit_nv(st, block, nv, headers->count, is_end);
    if (nv != few) {
        slab_release(slab, nv);
    }
    if (r < 0) {
        h2_headers_free(&headers);
        return r;
    }
    list_push_back(&st->sending, &headers->node);
    st->session->waiting_bytes += headers->list_bytes;
    return r;
}

void h2_stream_block_done(struct h2_stream *st)
{
    struct list *node = list_pop_front(&st->sending);

    if (node != NULL) {
        struct h2_headers *done = list_entry(node, struct h2_headers, node);

        st->session->waiting_bytes -= done->list_bytes;
        h2_headers_free(&done);
    }
}

int h2_stream_submit_request(struct h2_stream *st, struct h2_headers *headers, bool is_end)
{
    st->is_headers_sent = true;
    st->is_out_ended = is_end;
    return submit_block(st, H2_REQUEST, headers, is_end);
}

static void resume(struct h2_stream *st)
{
    if (st->is_deferred) {
        st->is_deferred = false;
        nghttp2_session_resume_data(st->session->ng, st->id);
    }
    h2_session_dirty(st->session);
}

static void send_response(struct h2_stream *st, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    assert(st->session->role == H2_SERVER);
    assert(!st->is_headers_sent);
    if (block == H2_RESPONSE) {
        st->is_headers_sent = true;
        st->is_out_ended = is_end;
    }
    if (submit_block(st, block, headers, is_end) < 0) {
        h2_stream_reset(st, H2_INTERNAL_ERROR);
    }
    h2_session_dirty(st->session);
}

void h2_stream_send_headers(struct h2_stream *st, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    if (!can_order(st)) {
        h2_headers_free(&headers);
        return;
    }
    if (block != H2_TRAILERS) {
        send_response(st, block, headers, is_end);
        return;
    }
    assert(st->is_headers_sent && !st->is_out_ended);
    /* Submitted only when the body is out (read_body): HEADERS would overtake queued DATA. */
    st->trailers = headers;
    st->session->waiting_bytes += headers->list_bytes;
    st->is_out_ended = true;
    resume(st);
}

static struct h2_headers *take_trailers(struct h2_stream *st)
{
    struct h2_headers *trailers = st->trailers;

    if (trailers != NULL) {
        st->session->waiting_bytes -= trailers->list_bytes;
        st->trailers = NULL;
    }
    return trailers;
}

static void drop_trailers(struct h2_stream *st)
{
    struct h2_headers *trailers = take_trailers(st);

    h2_headers_free(&trailers);
}

/* --- body --- */

static struct chunk *add_chunk(struct h2_stream *st, size_t wanted)
{
    size_t room = wanted + sizeof(struct chunk) <= SMALL_CHUNK_SIZE ? SMALL_CHUNK_SIZE : CHUNK_SIZE;
    struct chunk *c = slab_alloc_raw(st->session->slab, room);

    list_init(&c->node);
    c->start = 0;
    c->end = 0;
    c->size = (uint32_t)(room - sizeof *c);
    list_push_back(&st->out_chunks, &c->node);
    return c;
}

/* The last one, or a new one. */
static struct chunk *chunk_with_room(struct h2_stream *st, size_t wanted)
{
    if (!list_is_empty(&st->out_chunks)) {
        struct chunk *last = list_entry(st->out_chunks.prev, struct chunk, node);

        if (last->end < last->size) {
            return last;
        }
    }
    return add_chunk(st, wanted);
}

void h2_stream_send_data(struct h2_stream *st, const uint8_t *data, size_t len)
{
    if (!can_order(st) || len == 0) {
        return;
    }
    assert(st->is_headers_sent && !st->is_out_ended);
    st->out_bytes += len;
    st->session->waiting_bytes += len;
    while (len > 0) {
        struct chunk *c = chunk_with_room(st, len);
        size_t n = c->size - c->end < len ? c->size - c->end : len;

        memcpy(c->bytes + c->end, data, n);
        c->end += (uint32_t)n;
        data += n;
        len -= n;
    }
    resume(st);
}

void h2_stream_drop_body(struct h2_stream *st)
{
    struct list *node;

    while ((node = list_pop_front(&st->out_chunks)) != NULL) {
        slab_release(st->session->slab, list_entry(node, struct chunk, node));
    }
    st->session->waiting_bytes -= st->out_bytes;
    st->out_bytes = 0;
}

void h2_stream_take(struct h2_stream *st, uint8_t *to, size_t len)
{
    assert(len <= st->out_bytes);
    st->out_bytes -= len;
    st->session->waiting_bytes -= len;
    st->sent_bytes += len;
    while (len > 0) {
        struct chunk *c = list_entry(st->out_chunks.next, struct chunk, node);
        size_t n = c->end - c->start < len ? c->end - c->start : len;

        memcpy(to, c->bytes + c->start, n);
        c->start += (uint32_t)n;
        to += n;
        len -= n;
        if (c->start == c->end) {
            list_unlink(&c->node);
            slab_release(st->session->slab, c);
        }
    }
}

void h2_stream_send_end(struct h2_stream *st)
{
    if (!can_order(st) || st->is_out_ended) {
        return;
    }
    assert(st->is_headers_sent);
    st->is_out_ended = true;
    resume(st);
}

/* In a session's last words: only answers that are whole. */
static bool can_finish(const struct h2_stream *st)
{
    const struct h2_session *s = st->session;

    return s->role == H2_SERVER && s->is_last_words && s->close_error == H2_NO_ERROR && st->is_out_ended;
}

/* nghttp2 asks how many body bytes the next DATA frame takes. Always NO_COPY: below 2 KiB it costs the same, and there is one path. */
/* NOLINTNEXTLINE(readability-function-size,readability-non-const-parameter): the signature is nghttp2's */
ssize_t h2_stream_read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                            nghttp2_data_source *source, void *user_data)
{
    struct h2_stream *st = source->ptr;
    size_t n = st->out_bytes < length ? st->out_bytes : length;

    (void)ng;
    (void)id;
    (void)buf;
    if (h2_out_is_full(h2_session_from(user_data))) {
        return NGHTTP2_ERR_PAUSE;
    }
    if (!h2_session_is_live(st->session) && !can_finish(st)) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n == 0 && !st->is_out_ended) {
        st->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n < st->out_bytes || !st->is_out_ended) {
        return (ssize_t)n;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (st->trailers != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_block(st, H2_TRAILERS, take_trailers(st), true) < 0) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
        }
    }
    return (ssize_t)n;
}

void h2_stream_output_ended(struct h2_stream *st)
{
    st->is_out_serialised = true;
    /* A response that is complete before its request: without this the stream would count against the peer's limit for ever
     * (RFC 9113 §8.1). */
    if (st->session->role == H2_SERVER && !st->keeps_request && !st->is_in_ended && !st->is_reset_ordered) {
        st->is_reset_ordered = true;
        nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, st->drop_error);
    }
}

void h2_stream_keep_request(struct h2_stream *st)
{
    assert(st->session->role == H2_SERVER);
    st->keeps_request = true;
}

void h2_stream_drop_request(struct h2_stream *st, uint32_t error)
{
    st->keeps_request = false;
    st->drop_error = error;
    if (st->is_out_serialised && !st->is_in_ended) {
        h2_stream_reset(st, error);
    }
}

/* --- ends --- */

void h2_stream_reset(struct h2_stream *st, uint32_t error)
{
    if (!can_order(st)) {
        return;
    }
    st->is_reset_ordered = true;
    h2_stream_drop_body(st);
    drop_trailers(st);
    nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, error);
    h2_session_dirty(st->session);
}

/* Whether what is ordered ends the stream without a reset. */
static bool will_end(const struct h2_stream *st)
{
    if (st->session->role == H2_SERVER) {
        return st->is_out_ended;
    }
    return st->is_out_ended && st->is_in_ended; /* what is queued goes out yet */
}

void h2_stream_detach(struct h2_stream *st, uint32_t error)
{
    st->ops = NULL;
    st->ctx = NULL;
    h2_stream_consume(st, st->unconsumed);
    if (!will_end(st)) {
        h2_stream_reset(st, error);
    }
}

void h2_stream_refuse(struct h2_stream *st, enum close_reason reason)
{
    struct h2_session *s = st->session;
    struct h2_headers *answer = h2_headers_new(s->slab);
    bool is_too_large = reason == CLOSE_HEADER_LIMIT;

    st->end_reason = reason;
    if (st->is_grpc) {
        h2_headers_add_literal(answer, STR(":status"), STR("200"));
        h2_headers_add_literal(answer, STR("content-type"), STR("application/grpc"));
        h2_headers_add_literal(answer, STR("grpc-status"), is_too_large ? STR("8") : STR("3"));
        h2_headers_add_literal(answer, STR("grpc-message"), str_from(close_reason_text(reason)));
    } else {
        h2_headers_add_literal(answer, STR(":status"), is_too_large ? STR("431") : STR("400"));
        h2_headers_add_literal(answer, STR("content-length"), STR("0"));
    }
    h2_stream_send_headers(st, H2_RESPONSE, answer, true);
    if (s->ops->on_refused != NULL) {
        s->ops->on_refused(s, reason);
    }
}

void h2_stream_tell_end(struct h2_stream *st, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    const struct h2_stream_ops *ops = st->ops;

    if (ops != NULL) {
        ops->on_closed(st, error, reason, is_unprocessed);
        st->ops = NULL;
        st->ctx = NULL;
    }
}

void h2_stream_end(struct h2_stream *st, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    struct h2_session *s = st->session;

    list_unlink(&st->node);
    s->stream_count--;
    if (s->receiving == st) {
        s->receiving = NULL;
    }
    h2_stream_tell_end(st, error, reason, is_unprocessed);
    h2_stream_drop_body(st);
    while (!list_is_empty(&st->sending)) {
        h2_stream_block_done(st);
    }
    h2_headers_free(&st->receiving);
    drop_trailers(st);
    slab_release(s->slab, st);
    object_destroyed(OBJECT_H2_STREAM);
    if (s->ops->on_stream_ended != NULL) {
        s->ops->on_stream_ended(s);
    }
}
