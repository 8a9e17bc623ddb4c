/* SPDX-License-Identifier: Apache-2.0 */

/*
 * nghttp2's callbacks become the handlers' events. They run inside mem_recv and mem_send, where orders are allowed (they only queue) and
 * mem_recv, mem_send and the end of the session are not. Once the session is closing every callback fails, which stops mem_recv.
 */

#include <string.h>

#include "h2/frame_log.h"
#include "h2/request_check.h"
#include "h2/session_internal.h"

#define INFORMATIONAL_MAX 100 /* 1xx blocks before one response */

static struct h2_stream *stream_of(struct h2_session *s, int32_t id)
{
    return nghttp2_session_get_stream_user_data(s->ng, id);
}

static int gate(const struct h2_session *s)
{
    return s->is_last_words ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Events of this stream still go to a handler. */
static bool is_heard(const struct h2_stream *st)
{
    return st->ops != NULL && !st->is_reset_ordered;
}

/* --- header blocks --- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);
    struct h2_stream *st;

    if (!h2_session_is_live(s)) {
        h2_farewell_refuse(s, frame->hd.stream_id);
        return gate(s);
    }
    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    if (s->role == H2_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        st = h2_stream_new(s, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, st);
    } else {
        st = stream_of(s, frame->hd.stream_id);
    }
    s->receiving = st;
    s->guard.block_decoded_bytes = 0;
    if (st != NULL) {
        h2_headers_free(&st->receiving);
        st->receiving = h2_headers_new(s->slab);
        st->is_over_limit = false;
    }
    return 0;
}

static bool is_grpc_type(nghttp2_vec name, nghttp2_vec value)
{
    static const char type[] = "application/grpc";

    return name.len == 12 && memcmp(name.base, "content-type", 12) == 0 && value.len >= sizeof type - 1 &&
           memcmp(value.base, type, sizeof type - 1) == 0;
}

/* A field that is only decoded: nobody waits for it, or its list is over the limit. */
static int skip_field(struct h2_session *s, nghttp2_vec name, nghttp2_vec value)
{
    return h2_guard_field(s, name.len + value.len + H2_FIELD_OVERHEAD) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                     void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);
    struct h2_stream *st = s->receiving;

    (void)ng;
    (void)frame;
    if (!h2_session_is_live(s)) {
        return gate(s);
    }
    if (st == NULL) {
        return skip_field(s, nghttp2_rcbuf_get_buf(name), nghttp2_rcbuf_get_buf(value));
    }
    if (!st->is_over_limit) {
        h2_headers_add_received(st->receiving, name, value, (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
        if (st->receiving->list_bytes <= s->options->max_header_list_bytes && st->receiving->count <= H2_FIELDS_MAX) {
            return 0;
        }
        /* The decoder must see the rest, or the connection's HPACK state would be lost; we need not keep it. */
        st->is_over_limit = true;
        st->is_grpc = str_starts_with(h2_headers_value(st->receiving, STR("content-type")), STR("application/grpc"));
        h2_headers_free(&st->receiving);
    } else if (is_grpc_type(nghttp2_rcbuf_get_buf(name), nghttp2_rcbuf_get_buf(value))) {
        st->is_grpc = true;
    }
    return skip_field(s, nghttp2_rcbuf_get_buf(name), nghttp2_rcbuf_get_buf(value));
}

/* By default nghttp2 drops an invalid field and lets the message pass; a proxy must not (RFC 9113 §8.2.1). */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                             uint8_t flags, void *user_data)
{
    (void)ng;
    (void)frame;
    (void)name;
    (void)value;
    (void)flags;
    (void)user_data;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void headers_over_limit(struct h2_session *s, struct h2_stream *st)
{
    bool is_request = s->role == H2_SERVER && !st->is_headers_received;

    if (st->is_reset_ordered) {
        return;
    }
    if (is_request) {
        st->is_headers_received = true;
        h2_stream_refuse(st, CLOSE_HEADER_LIMIT);
        return;
    }
    st->end_reason = CLOSE_HEADER_LIMIT;
    h2_stream_reset(st, s->role == H2_SERVER ? H2_ENHANCE_YOUR_CALM : H2_CANCEL);
}

/* The final response after a 1xx and trailers both come as HCAT_HEADERS: what was received before tells them apart. */
static enum h2_block kind_of(struct h2_session *s, struct h2_stream *st, const struct h2_headers *headers)
{
    if (st->is_headers_received) {
        return H2_TRAILERS;
    }
    if (s->role == H2_CLIENT && str_starts_with(h2_headers_value(headers, STR(":status")), STR("1"))) {
        return H2_INFORMATIONAL;
    }
    st->is_headers_received = true;
    return s->role == H2_SERVER ? H2_REQUEST : H2_RESPONSE;
}

static void request_received(struct h2_session *s, struct h2_stream *st, struct h2_headers *headers, bool is_end)
{
    if (h2_host_refuses(s)) {
        s->host->counts.refused++;
        st->end_reason = CLOSE_BUFFER_LIMIT;
        h2_headers_free(&headers);
        h2_stream_reset(st, H2_REFUSED_STREAM);
        return;
    }
    if (h2_request_is_sound(headers)) {
        s->ops->on_request(s, st, headers, is_end);
        return;
    }
    st->is_grpc = str_starts_with(h2_headers_value(headers, STR("content-type")), STR("application/grpc"));
    h2_headers_free(&headers);
    h2_stream_refuse(st, CLOSE_BAD_REQUEST);
}

/* 1xx end nothing, and each is passed on: a server could send them for ever. */
static bool is_informational_flood(struct h2_stream *st)
{
    if (++st->informational_count <= INFORMATIONAL_MAX) {
        return false;
    }
    st->end_reason = CLOSE_INFORMATIONAL_FLOOD;
    h2_stream_reset(st, H2_ENHANCE_YOUR_CALM);
    return true;
}

static void headers_received(struct h2_session *s, const nghttp2_frame *frame)
{
    struct h2_stream *st = s->receiving;
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    s->receiving = NULL;
    if (st == NULL) {
        return;
    }
    st->is_in_ended = is_end;
    if (st->is_over_limit) {
        headers_over_limit(s, st);
        return;
    }
    struct h2_headers *headers = st->receiving;
    enum h2_block block = kind_of(s, st, headers);

    st->receiving = NULL;
    if (block == H2_REQUEST) {
        request_received(s, st, headers, is_end);
    } else if (is_heard(st) && (block != H2_INFORMATIONAL || !is_informational_flood(st))) {
        st->ops->on_headers(st, block, headers, is_end);
    } else {
        h2_headers_free(&headers);
    }
}

/* --- other frames --- */

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);
    struct h2_stream *st;

    (void)flags;
    if (!h2_session_is_live(s)) {
        return gate(s);
    }
    st = stream_of(s, id);
    h2_credit_received(s, len);
    if (st == NULL) {
        nghttp2_session_consume_stream(ng, id, len);
        return 0;
    }
    st->received_bytes += len;
    if (is_heard(st)) {
        st->unconsumed += len;
        st->ops->on_data(st, data, len);
    } else {
        h2_stream_discard(st, len);
    }
    return 0;
}

static void data_received(struct h2_session *s, const nghttp2_frame *frame)
{
    struct h2_stream *st;

    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return;
    }
    st = stream_of(s, frame->hd.stream_id);
    if (st == NULL) {
        return;
    }
    st->is_in_ended = true;
    if (is_heard(st)) {
        st->ops->on_end(st);
    }
}

static void reset_received(struct h2_session *s, const nghttp2_frame *frame)
{
    struct h2_stream *st = stream_of(s, frame->hd.stream_id);

    if (st == NULL) {
        return;
    }
    st->is_reset_received = true;
    if (st->end_reason != CLOSE_DONE) {
        return;
    }
    if (s->role == H2_SERVER) {
        st->end_reason = CLOSE_CLIENT_RESET;
    } else if (!st->is_in_ended) {
        st->end_reason = frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM ? CLOSE_STREAM_REFUSED : CLOSE_STREAM_RESET;
    }
}

static void settings_received(struct h2_session *s, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        return;
    }
    s->has_settings = true;
    if (s->ops->on_settings != NULL) {
        s->ops->on_settings(s);
    }
}

static void goaway_received(struct h2_session *s, const nghttp2_frame *frame)
{
    s->is_goaway_received = true;
    if (s->ops->on_goaway != NULL) {
        s->ops->on_goaway(s, frame->goaway.error_code, frame->goaway.last_stream_id);
    }
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);

    (void)ng;
    if (!h2_session_is_live(s)) {
        return gate(s);
    }
    if (s->is_traced) {
        frame_log_read(s, frame);
    }
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        headers_received(s, frame);
        break;
    case NGHTTP2_DATA:
        if (frame->data.padlen > 0 && frame->data.padlen == frame->hd.length && !h2_guard_padding(s)) {
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        data_received(s, frame);
        break;
    case NGHTTP2_RST_STREAM:
        reset_received(s, frame);
        break;
    case NGHTTP2_SETTINGS:
        settings_received(s, frame);
        break;
    case NGHTTP2_GOAWAY:
        goaway_received(s, frame);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            h2_ping_answered(s, frame->ping.opaque_data);
        }
        break;
    default:
        break;
    }
    return 0;
}

/* --- the end of a stream --- */

static enum close_reason reason_of(const struct h2_session *s, const struct h2_stream *st, uint32_t error)
{
    if (st->end_reason != CLOSE_DONE) {
        return st->end_reason;
    }
    if (error == NGHTTP2_NO_ERROR || st->is_reset_ordered) {
        return CLOSE_DONE;
    }
    if (s->role == H2_CLIENT && error == NGHTTP2_REFUSED_STREAM) {
        return CLOSE_GOAWAY; /* the peer's RST_STREAM would have been noted: its GOAWAY left this stream out */
    }
    return CLOSE_PROTOCOL_ERROR; /* nghttp2 itself found fault with what the peer sent */
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);
    struct h2_stream *st;

    (void)ng;
    if (!h2_session_is_live(s)) {
        return gate(s);
    }
    st = stream_of(s, id);
    if (st != NULL) {
        bool is_refused = error == NGHTTP2_REFUSED_STREAM && !st->is_reset_ordered && !st->is_headers_received;

        nghttp2_session_set_stream_user_data(ng, id, NULL);
        h2_stream_end(st, error, reason_of(s, st, error), s->role == H2_CLIENT && (is_refused || !st->is_serialised));
    }
    return 0;
}

/* --- what was serialised --- */

static void goaway_sent(struct h2_session *s, uint32_t error)
{
    s->goaway_sent_error = error;
    if (s->state == H2_STATE_NOTICED) {
        /* Ordered together with the notice it would overtake it, and its ACK prove nothing. */
        nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, H2_PING_DRAIN);
    }
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);
    struct h2_stream *st;

    (void)ng;
    if (s->is_traced) {
        frame_log_wrote(s, frame);
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        h2_guard_reset_sent(s, stream_of(s, frame->hd.stream_id), frame->rst_stream.error_code);
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        goaway_sent(s, frame->goaway.error_code);
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    st = stream_of(s, frame->hd.stream_id);
    if (st == NULL || !h2_session_is_live(s)) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS) {
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            st->is_serialised = true;
            st->wire_offset = s->serialised_bytes;
            h2_guard_request_sent(s, frame->hd.stream_id);
        }
        h2_stream_block_done(st);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        h2_stream_output_ended(st);
    }
    return 0;
}

/* A block that nghttp2 would not serialise: too large for it, or its stream is no more. A response would just vanish. */
static int on_frame_not_send(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);
    struct h2_stream *st;

    (void)ng;
    if (frame->hd.type != NGHTTP2_HEADERS || !h2_session_is_live(s)) {
        return 0;
    }
    st = stream_of(s, frame->hd.stream_id);
    if (st == NULL) {
        return 0;
    }
    h2_stream_block_done(st);
    if (error != NGHTTP2_ERR_STREAM_CLOSED && error != NGHTTP2_ERR_STREAM_CLOSING && frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        st->end_reason = CLOSE_INTERNAL;
        h2_stream_reset(st, H2_INTERNAL_ERROR);
    }
    return 0;
}

static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len, nghttp2_data_source *source,
                     void *user_data)
{
    struct h2_session *s = h2_session_from(user_data);
    struct h2_stream *st = source->ptr;
    uint8_t *to;

    (void)ng;
    (void)frame;
    if (!h2_session_is_live(s) && !s->is_last_words) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    h2_guard_data_sent(s);
    to = h2_out_reserve(s, H2_FRAME_HEAD_SIZE + len); /* no padding: we never ask for it */
    memcpy(to, head, H2_FRAME_HEAD_SIZE);
    h2_stream_take(st, to + H2_FRAME_HEAD_SIZE, len);
    if (len > 0 && st->ops != NULL && st->ops->on_sent != NULL) {
        st->ops->on_sent(st, len);
    }
    return 0;
}

void h2_callbacks_set(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
}
