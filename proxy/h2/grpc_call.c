/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A message is a 5-byte head (compressed?, length) and its bytes; DATA frames cut it anywhere. One that lies whole in the received bytes is
 * handed on from there, others are gathered first. A call freed by its own handler, from within an event, goes to the graveyard, so the
 * event may look at `is_over` and stop.
 */

#include "h2/grpc_call.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/object.h"
#include "h2/grpc_status.h"
#include "net/loop.h"

#define HEAD_SIZE 5
#define FIRST_GATHER_SIZE ((size_t)4096)

struct reader {
    uint8_t head[HEAD_SIZE];
    size_t head_len;
    size_t message_len; /* valid once the head is whole */
    uint8_t *gathered;
    size_t gathered_len;
    size_t gathered_size;
};

struct grpc_call {
    struct h2_stream *stream; /* link; NULL once gone */
    struct h2_session *session;
    struct slab *slab;
    struct loop *loop;
    struct grave grave;
    struct deferred half_close; /* of a request without a body */
    const struct grpc_call_ops *ops;
    void *ctx;
    size_t max_message_bytes;
    struct reader reader;
    size_t pending;
    int http_status;
    int status; /* -1 until known */
    struct text message;
    bool is_server;
    bool is_finished;    /* nothing more is read: the status is decided */
    bool is_half_closed; /* our last message is ordered */
    bool is_over;        /* in the graveyard */
};

/* --- status --- */

/* The first word on how the call ended stays. */
static void decide(struct grpc_call *c, int status, struct str message)
{
    if (c->status < 0) {
        c->status = status;
        text_clear(&c->message);
        text_append_str(&c->message, message);
    }
    c->is_finished = true;
}

/* Takes grpc-status out of a trailers-only response or trailers. */
static void read_status(struct grpc_call *c, const struct h2_headers *headers)
{
    const struct h2_field *field = h2_headers_find(headers, STR("grpc-status"));
    uint64_t number;
    struct text message;

    if (field == NULL) {
        int status = c->http_status == 200 ? GRPC_UNKNOWN : (int)grpc_status_of_http(c->http_status);

        decide(c, status, STR("the response has no grpc-status"));
        return;
    }
    if (!str_to_u64(field->value, 999, &number)) {
        number = GRPC_UNKNOWN;
    }
    text_init(&message, GRPC_MESSAGE_MAX);
    grpc_decode_message(h2_headers_value(headers, STR("grpc-message")), &message);
    decide(c, (int)number, (struct str){message.p, message.len});
    text_deinit(&message);
}

/* --- life --- */

static void call_reap(struct grave *g)
{
    struct grpc_call *c = container_of(g, struct grpc_call, grave);

    slab_release(c->slab, c->reader.gathered);
    text_deinit(&c->message);
    slab_release(c->slab, c);
    object_destroyed(OBJECT_GRPC_CALL);
}

static void bury(struct grpc_call *c)
{
    c->is_over = true;
    c->is_finished = true;
    c->stream = NULL;
    loop_undefer(&c->half_close);
    loop_bury(c->loop, &c->grave, call_reap);
}

/* Ends the call for a fault of the peer's. */
static void fail(struct grpc_call *c, int status, struct str message)
{
    if (c->is_server) {
        grpc_call_finish(c, (enum grpc_status)status, message);
    } else {
        decide(c, status, message);
        h2_stream_reset(c->stream, H2_CANCEL);
    }
}

/* --- messages --- */

static void message_done(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    c->reader.head_len = 0;
    c->ops->on_message(c, bytes, len);
    if (!c->is_over && c->reader.gathered_size > FIRST_GATHER_SIZE && c->reader.gathered_len > 0) {
        /* A large one was gathered: most are small. */
        slab_release(c->slab, c->reader.gathered);
        c->reader.gathered = NULL;
        c->reader.gathered_size = 0;
    }
    c->reader.gathered_len = 0;
}

/* Takes what is missing of the head. Returns the bytes taken. */
static size_t read_head(struct grpc_call *c, const uint8_t *data, size_t len)
{
    struct reader *r = &c->reader;
    size_t n = HEAD_SIZE - r->head_len < len ? HEAD_SIZE - r->head_len : len;

    memcpy(r->head + r->head_len, data, n);
    r->head_len += n;
    if (r->head_len < HEAD_SIZE) {
        return n;
    }
    r->message_len = (size_t)r->head[1] << 24 | (size_t)r->head[2] << 16 | (size_t)r->head[3] << 8 | r->head[4];
    if (r->head[0] != 0) {
        fail(c, GRPC_UNIMPLEMENTED, STR("compressed messages are not understood"));
    } else if (r->message_len > c->max_message_bytes) {
        fail(c, GRPC_RESOURCE_EXHAUSTED, STR("message is larger than the limit"));
    }
    return n;
}

static size_t gather(struct grpc_call *c, const uint8_t *data, size_t len)
{
    struct reader *r = &c->reader;
    size_t missing = r->message_len - r->gathered_len;
    size_t n = missing < len ? missing : len;

    if (r->gathered_size - r->gathered_len < n) {
        size_t size = r->gathered_size == 0 ? FIRST_GATHER_SIZE : r->gathered_size;

        while (size - r->gathered_len < n) {
            size *= 2;
        }
        r->gathered = slab_realloc(c->slab, r->gathered, size);
        r->gathered_size = size;
    }
    memcpy(r->gathered + r->gathered_len, data, n);
    r->gathered_len += n;
    if (r->gathered_len == r->message_len) {
        message_done(c, r->gathered, r->message_len);
    }
    return n;
}

static void read_messages(struct grpc_call *c, const uint8_t *data, size_t len)
{
    struct reader *r = &c->reader;

    while (!c->is_finished && (len > 0 || (r->head_len == HEAD_SIZE && r->message_len == 0))) {
        size_t n;

        if (r->head_len < HEAD_SIZE) {
            n = read_head(c, data, len);
        } else if (r->gathered_len == 0 && r->message_len <= len) {
            n = r->message_len;
            message_done(c, data, n);
        } else {
            n = gather(c, data, len);
        }
        data += n;
        len -= n;
    }
}

/* --- events of the stream --- */

static void request_ended(struct grpc_call *c)
{
    if (c->is_finished) {
        return;
    }
    if (c->reader.head_len > 0) {
        fail(c, GRPC_INTERNAL, STR("the request ends within a message"));
    } else if (c->ops->on_half_closed != NULL) {
        c->ops->on_half_closed(c);
    } else {
        grpc_call_finish(c, GRPC_OK, STR(""));
    }
}

static void on_response(struct grpc_call *c, const struct h2_headers *headers, bool is_end)
{
    uint64_t status = 0;
    bool is_grpc = str_starts_with(h2_headers_value(headers, STR("content-type")), STR("application/grpc"));

    if (str_to_u64(h2_headers_value(headers, STR(":status")), 999, &status)) {
        c->http_status = (int)status;
    }
    if (is_end) {
        read_status(c, headers);
    } else if (c->http_status != 200 || !is_grpc) {
        decide(c, c->http_status == 200 ? (int)GRPC_UNKNOWN : (int)grpc_status_of_http(c->http_status),
               STR("the response is not gRPC"));
        h2_stream_reset(c->stream, H2_CANCEL);
    }
}

static void on_headers(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    struct grpc_call *c = s->ctx;

    if (block == H2_RESPONSE) {
        on_response(c, headers, is_end);
    } else if (block == H2_TRAILERS && !c->is_server) {
        read_status(c, headers);
    } else if (block == H2_TRAILERS) {
        request_ended(c);
    }
    h2_headers_free(&headers);
}

static void on_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    struct grpc_call *c = s->ctx;

    h2_stream_consume(s, len); /* handlers take messages at once: their memory is the caller's bound */
    read_messages(c, data, len);
}

static void on_end(struct h2_stream *s)
{
    struct grpc_call *c = s->ctx;

    if (c->is_server) {
        request_ended(c);
    } else {
        decide(c, GRPC_UNKNOWN, STR("the response has no grpc-status"));
    }
}

static void on_half_close_deferred(struct deferred *d)
{
    request_ended(container_of(d, struct grpc_call, half_close));
}

static void on_sent(struct h2_stream *s, size_t len)
{
    struct grpc_call *c = s->ctx;

    c->pending -= len;
    if (c->pending == 0 && c->ops->on_drained != NULL && !c->is_finished) {
        c->ops->on_drained(c);
    }
}

static void on_closed(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    struct grpc_call *c = s->ctx;

    (void)is_unprocessed;
    if (reason == CLOSE_STREAM_RESET || reason == CLOSE_CLIENT_RESET) {
        decide(c, (int)(int)grpc_status_of_reset(error), str_from(close_reason_text(reason)));
    } else if (reason == CLOSE_DONE || close_reason_grpc_status(reason) < 0) {
        decide(c, c->is_server ? GRPC_CANCELLED : GRPC_UNAVAILABLE, str_from(close_reason_text(reason)));
    } else {
        decide(c, close_reason_grpc_status(reason), str_from(close_reason_text(reason)));
    }
    bury(c);
    c->ops->on_closed(c, (enum grpc_status)c->status, (struct str){c->message.p, c->message.len});
}

static const struct h2_stream_ops stream_ops = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_closed = on_closed,
};

/* --- interface --- */

static struct grpc_call *call_new(struct h2_session *session, size_t max_message_bytes, const struct grpc_call_ops *ops,
                                  void *ctx)
{
    struct loop *loop = h2_session_loop(session);
    struct grpc_call *c = slab_alloc(loop_slab(loop), sizeof *c);

    object_created(OBJECT_GRPC_CALL);
    c->session = session;
    c->loop = loop;
    c->slab = loop_slab(loop);
    c->ops = ops;
    c->ctx = ctx;
    c->max_message_bytes = max_message_bytes;
    c->status = -1;
    text_init(&c->message, GRPC_MESSAGE_MAX);
    deferred_init(&c->half_close, on_half_close_deferred);
    return c;
}

struct grpc_call *grpc_call_start(struct h2_session *session, const struct grpc_call_options *options,
                                  const struct grpc_call_ops *ops, void *ctx, int *ret_error)
{
    struct grpc_call *c = call_new(session, options->max_message_bytes, ops, ctx);
    struct h2_headers *headers = h2_headers_new(c->slab);
    int r;

    h2_headers_add_literal(headers, STR(":method"), STR("POST"));
    h2_headers_add_literal(headers, STR(":scheme"), STR("http"));
    h2_headers_add(headers, STR(":path"), options->path);
    h2_headers_add(headers, STR(":authority"), options->authority);
    h2_headers_add_literal(headers, STR("te"), STR("trailers"));
    h2_headers_add_literal(headers, STR("content-type"), STR("application/grpc"));
    h2_headers_add_literal(headers, STR("user-agent"), STR("outrigger"));
    r = h2_session_request(session, headers, false, &stream_ops, c, &c->stream);
    if (r < 0) {
        bury(c);
        *ret_error = r;
        return NULL;
    }
    return c;
}

static void refuse_http(struct h2_stream *stream, struct str status)
{
    struct h2_headers *answer = h2_headers_new(loop_slab(h2_session_loop(stream->session)));

    h2_headers_add_literal(answer, STR(":status"), status);
    h2_headers_add_literal(answer, STR("content-length"), STR("0"));
    h2_stream_send_headers(stream, H2_RESPONSE, answer, true);
}

struct grpc_call *grpc_call_accept(struct h2_stream *stream, struct h2_headers *headers, bool is_end, size_t max_message_bytes,
                                   const struct grpc_call_ops *ops, void *ctx)
{
    bool is_post = str_eq(h2_headers_value(headers, STR(":method")), STR("POST"));
    struct str type = h2_headers_value(headers, STR("content-type"));
    bool is_grpc = str_starts_with(type, STR("application/grpc")) && !str_starts_with(type, STR("application/grpc-web"));
    struct h2_headers *answer;
    struct grpc_call *c;

    h2_headers_free(&headers);
    if (!is_post || !is_grpc) {
        refuse_http(stream, is_post ? STR("415") : STR("405"));
        return NULL;
    }
    c = call_new(stream->session, max_message_bytes, ops, ctx);
    c->is_server = true;
    c->stream = stream;
    stream->ops = &stream_ops;
    stream->ctx = c;
    answer = h2_headers_new(c->slab);
    h2_headers_add_literal(answer, STR(":status"), STR("200"));
    h2_headers_add_literal(answer, STR("content-type"), STR("application/grpc"));
    h2_stream_send_headers(stream, H2_RESPONSE, answer, false);
    if (is_end) {
        loop_defer(c->loop, &c->half_close);
    }
    return c;
}

void grpc_refuse(struct h2_stream *stream, enum grpc_status status, struct str message)
{
    struct h2_headers *answer = h2_headers_new(loop_slab(h2_session_loop(stream->session)));

    h2_headers_add_literal(answer, STR(":status"), STR("200"));
    h2_headers_add_literal(answer, STR("content-type"), STR("application/grpc"));
    grpc_add_status(answer, (int)status, message);
    h2_stream_send_headers(stream, H2_RESPONSE, answer, true);
}

void *grpc_call_ctx(const struct grpc_call *c)
{
    return c->ctx;
}

void grpc_call_send(struct grpc_call *c, const uint8_t *message, size_t len)
{
    uint8_t head[HEAD_SIZE] = {0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

    assert(len <= UINT32_MAX);
    if (c->is_finished || c->is_half_closed) {
        return;
    }
    c->pending += HEAD_SIZE + len;
    h2_stream_send_data(c->stream, head, HEAD_SIZE);
    h2_stream_send_data(c->stream, message, len);
}

size_t grpc_call_pending(const struct grpc_call *c)
{
    return c->pending;
}

void grpc_call_half_close(struct grpc_call *c)
{
    if (!c->is_finished) {
        c->is_half_closed = true;
        h2_stream_send_end(c->stream);
    }
}

void grpc_call_finish(struct grpc_call *c, enum grpc_status status, struct str message)
{
    struct h2_headers *trailers;

    assert(c->is_server);
    if (c->is_finished) {
        return;
    }
    decide(c, (int)status, message);
    trailers = h2_headers_new(c->slab);
    grpc_add_status(trailers, (int)status, message);
    h2_stream_send_headers(c->stream, H2_TRAILERS, trailers, true);
}

void grpc_call_cancel(struct grpc_call **call)
{
    struct grpc_call *c = *call;

    if (c == NULL) {
        return;
    }
    *call = NULL;
    h2_stream_detach(c->stream, H2_CANCEL);
    bury(c);
}
