/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/object.h"
#include "net/loop.h"

struct loop *loop;
struct h2_options options;
struct end client;
struct end server;

/* --- streams --- */

static void on_headers(struct h2_stream *s, enum h2_block kind, struct h2_headers *headers, bool is_end)
{
    struct heard *h = s->ctx;

    h->is_ended = h->is_ended || is_end;
    if (kind == H2_INFORMATIONAL) {
        h->informational++;
        h2_headers_free(&headers);
    } else if (kind == H2_RESPONSE) {
        ck_assert_ptr_null(h->response);
        h->response = headers;
    } else {
        ck_assert_ptr_null(h->trailers);
        h->trailers = headers;
    }
}

static void on_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    struct heard *h = s->ctx;
    size_t room = h->received < sizeof h->bytes ? sizeof h->bytes - h->received : 0;

    memcpy(h->bytes + sizeof h->bytes - room, data, len < room ? len : room);
    h->received += len;
    if (!h->is_holding) {
        h2_stream_consume(s, len);
    }
}

static void on_end(struct h2_stream *s)
{
    struct heard *h = s->ctx;

    h->is_ended = true;
}

static void on_sent(struct h2_stream *s, size_t len)
{
    struct heard *h = s->ctx;

    h->sent += len;
}

static void on_stream_closed(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    struct heard *h = s->ctx;

    ck_assert(!h->is_closed);
    h->is_closed = true;
    h->error = error;
    h->reason = reason;
    h->is_unprocessed = is_unprocessed;
    h->stream = NULL;
}

const struct h2_stream_ops heard_ops = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_closed = on_stream_closed,
};

void heard_clear(struct heard *h)
{
    h2_headers_free(&h->request);
    h2_headers_free(&h->response);
    h2_headers_free(&h->trailers);
}

/* --- sessions --- */

static void on_request(struct h2_session *s, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    struct end *e = h2_session_ctx(s);

    ck_assert_uint_lt(e->requests, ARRAY_LEN(e->heard));
    struct heard *h = &e->heard[e->requests++];

    h->stream = stream;
    h->request = headers;
    h->is_ended = is_end;
    stream->ops = &heard_ops;
    stream->ctx = h;
}

static void on_settings(struct h2_session *s)
{
    struct end *e = h2_session_ctx(s);

    e->settings++;
}

static void on_goaway(struct h2_session *s, uint32_t error, int32_t last_stream_id)
{
    struct end *e = h2_session_ctx(s);

    e->goaways++;
    e->goaway_error = error;
    e->goaway_last_id = last_stream_id;
}

static void on_closed(struct h2_session *s, enum close_reason reason)
{
    struct end *e = h2_session_ctx(s);

    e->session = NULL;
    e->is_closed = true;
    e->reason = reason;
}

static void on_refused(struct h2_session *s, enum close_reason reason)
{
    struct end *e = h2_session_ctx(s);

    e->refusals++;
    e->refusal = reason;
}

const struct h2_session_ops end_ops = {
    .on_request = on_request,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_refused = on_refused,
    .on_closed = on_closed,
};

void end_start(struct end *e, enum h2_role role, int fd, const void *preface, size_t preface_len)
{
    struct stream stream;

    *e = (struct end){0};
    stream_init(&stream, loop, fd);
    e->session = h2_session_new(role, &stream, &options, &end_ops, e);
    h2_session_preface(e->session, preface, preface_len);
}

static void end_stop(struct end *e)
{
    if (e->session != NULL) {
        h2_session_abandon(e->session, H2_NO_ERROR, CLOSE_SHUTDOWN);
        e->session = NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(e->heard); i++) {
        heard_clear(&e->heard[i]);
    }
}

void socket_pair(int fds[static 2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

void pair_start(void)
{
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    end_start(&server, H2_SERVER, fds[1], NULL, 0);
    settle();
    ck_assert_uint_eq(client.settings, 1);
    ck_assert_uint_eq(server.settings, 1);
}

void fixture_setup(void)
{
    loop = loop_new(1);
    client = (struct end){0};
    server = (struct end){0};
    options = (struct h2_options){
        .max_concurrent_streams = 100,
        .stream_window_bytes = 65535,
        .connection_window_bytes = 1 << 20,
        .max_header_list_bytes = 64 * 1024,
        .out_buffer_bytes = 32 * 1024,
    };
}

void fixture_teardown(void)
{
    end_stop(&client);
    end_stop(&server);
    settle();
    ck_assert_int_eq(object_live(OBJECT_GRPC_CALL), 0);
    ck_assert_int_eq(object_live(OBJECT_H2_STREAM), 0);
    ck_assert_int_eq(object_live(OBJECT_H2_SESSION), 0);
    loop_free(loop);
}

void settle(void)
{
    for (int i = 0; i < 60; i++) {
        loop_turn(loop, false);
    }
}

void turn_until(const bool *flag)
{
    while (!*flag) {
        loop_turn(loop, true);
    }
}

/* --- blocks and requests --- */

struct h2_headers *block(const char *name, ...)
{
    struct h2_headers *headers = h2_headers_new(loop_slab(loop));
    va_list fields;

    va_start(fields, name);
    while (name != NULL) {
        h2_headers_add(headers, str_from(name), str_from(va_arg(fields, const char *)));
        name = va_arg(fields, const char *);
    }
    va_end(fields);
    return headers;
}

struct h2_headers *request_block(void)
{
    return block(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a", NULL);
}

struct h2_headers *response_block(void)
{
    return block(":status", "200", NULL);
}

void request_with(struct heard *heard, struct h2_headers *headers, bool is_end)
{
    ck_assert_int_eq(h2_session_request(client.session, headers, is_end, &heard_ops, heard, &heard->stream), 0);
}

void request(struct heard *heard, bool is_end)
{
    request_with(heard, request_block(), is_end);
}

struct heard *served(unsigned index)
{
    ck_assert_uint_lt(index, server.requests);
    return &server.heard[index];
}

const char *value_of(const struct h2_headers *headers, const char *name)
{
    static char text[4096];
    struct str value = headers != NULL ? h2_headers_value(headers, str_from(name)) : STR("");

    snprintf(text, sizeof text, "%.*s", (int)value.len, value.len > 0 ? value.p : "");
    return text;
}

void send_filler(struct h2_stream *s, size_t len)
{
    static const uint8_t filler[10000];

    while (len > 0) {
        size_t n = len < sizeof filler ? len : sizeof filler;

        h2_stream_send_data(s, filler, n);
        len -= n;
    }
}
