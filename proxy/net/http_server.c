/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nothing that a client does lasts: from the start of its wait a request has HTTP_DEADLINE_S to arrive whole, and its answer as long
 * again to be taken. When all places are taken the newcomer gets that of whoever has waited longest, so that clients that are slow on
 * purpose cannot keep the probes out.
 */

#include "net/http_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/http_pages.h"
#include "net/http_parse.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/timer.h"

#define RESPONSE_MAX ((size_t)64 * 1024 * 1024) /* /metrics of a mesh with an endpoint's every bucket */
#define HEADER_MAX 1024
#define LINGER_S 2 /* a client that is still sending what nobody will read gets its answer before the end */

enum state { READING, WRITING, LINGERING, STATE_COUNT };

struct http_server {
    struct loop *loop;
    struct listener *listener;
    struct listener *twin; /* the other family's; NULL where there is none */
    struct addr addr;
    struct http_pages pages;
    struct list connections[STATE_COUNT]; /* each: the longest in that state first */
    unsigned counts[STATE_COUNT];
    size_t input_bytes; /* of requests that are not complete, all connections */
};

struct http_connection {
    struct http_server *server; /* owner */
    struct loop *loop;
    struct list node;
    struct grave grave;
    struct stream stream;
    struct timer deadline;
    struct addr peer;
    enum state state;
    bool is_last; /* closes after this answer */
    bool has_told_continue;
    struct http_parse parse;
    struct text in; /* what the parser has not taken; nothing is read while there is something */
    struct text out;
    size_t out_sent;
    struct deferred again; /* there may be another request in what was read */
};

/* --- life --- */

static void reap(struct grave *g)
{
    mem_free(container_of(g, struct http_connection, grave));
}

static void leave_state(struct http_connection *c)
{
    list_unlink(&c->node);
    c->server->counts[c->state]--;
}

static void enter_state(struct http_connection *c, enum state state)
{
    c->state = state;
    list_push_back(&c->server->connections[state], &c->node);
    c->server->counts[state]++;
    timer_set(&c->deadline, usec_from_s(state == LINGERING ? LINGER_S : HTTP_DEADLINE_S));
}

static void connection_close(struct http_connection *c)
{
    if (!stream_is_open(&c->stream)) {
        return;
    }
    leave_state(c);
    c->server->input_bytes -= c->parse.len + c->in.len;
    timer_stop(&c->deadline);
    loop_undefer(&c->again);
    stream_close(&c->stream);
    http_parse_deinit(&c->parse);
    text_deinit(&c->in);
    text_deinit(&c->out);
    loop_bury(c->loop, &c->grave, reap);
}

static void on_deadline(struct timer *t)
{
    connection_close(container_of(t, struct http_connection, deadline));
}

/* --- answering --- */

static const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "Content Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Status"; /* the phrase means nothing to a client (RFC 9112 §4) */
    }
}

static void append_date(struct text *out)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[64];

    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    text_printf(out, "Date: %s\r\n", text);
}

static void write_response(struct http_connection *c, const struct http_response *response, struct str allowed, bool has_body)
{
    struct text *out = &c->out;

    text_printf(out, "HTTP/1.1 %d %s\r\n", response->status, status_text(response->status));
    append_date(out);
    text_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\nX-Content-Type-Options: nosniff\r\n", response->content_type,
                response->body.len);
    if (allowed.len > 0) {
        text_printf(out, "Allow: %.*s\r\n", (int)allowed.len, allowed.p);
    }
    text_printf(out, "%s\r\n", c->is_last ? "Connection: close\r\n" : "");
    if (has_body) {
        text_append(out, response->body.p, response->body.len);
    }
}

/* The request could not be read. */
static void answer_error(struct http_connection *c, int status)
{
    struct http_response response = {0};

    text_init(&response.body, HEADER_MAX);
    http_fail(&response, status, status_text(status));
    c->is_last = true;
    write_response(c, &response, (struct str){0}, true);
    text_deinit(&response.body);
}

static bool method_of(struct str name, enum http_method *ret_method)
{
    if (str_eq(name, STR("GET")) || str_eq(name, STR("HEAD"))) {
        *ret_method = HTTP_GET;
    } else if (str_eq(name, STR("POST"))) {
        *ret_method = HTTP_POST;
    } else if (str_eq(name, STR("PUT"))) {
        *ret_method = HTTP_PUT;
    } else {
        return false;
    }
    return true;
}

static void answer_request(struct http_connection *c)
{
    const struct http_parse *p = &c->parse;
    CLEANUP_FREE char *path = http_decode(p->path, false);
    CLEANUP_TEXT struct text allowed;
    struct http_request request = {
        .path = str_from(path), .query = p->query, .body = p->body, .peer = c->peer, .host = p->host, .origin = p->origin};
    struct http_response response = {.status = 200, .content_type = "text/plain; charset=utf-8"};

    text_init(&allowed, HEADER_MAX);
    text_init(&response.body, RESPONSE_MAX);
    c->is_last = c->is_last || p->is_last;
    if (!method_of(p->method, &request.method)) {
        http_fail(&response, 501, "only GET, HEAD, POST and PUT");
    } else if (path == NULL) {
        http_fail(&response, 400, "broken escape in the path");
    } else {
        http_pages_answer(&c->server->pages, &request, &response, &allowed);
    }
    write_response(c, &response, (struct str){allowed.p, allowed.len}, !str_eq(p->method, STR("HEAD")));
    text_deinit(&response.body);
}

/* --- in and out --- */

static void evict(struct http_server *s, enum state state)
{
    struct list *node = list_pop_front(&s->connections[state]);

    if (node != NULL) {
        connection_close(list_entry(node, struct http_connection, node));
    }
}

/* True once all of it is out. */
static bool flush(struct http_connection *c)
{
    while (c->out_sent < c->out.len) {
        ssize_t n = stream_send(&c->stream, c->out.p + c->out_sent, c->out.len - c->out_sent);

        if (n == -EAGAIN) {
            stream_want_write(&c->stream, true);
            return false;
        }
        if (n < 0) {
            connection_close(c);
            return false;
        }
        c->out_sent += (size_t)n;
    }
    stream_want_write(&c->stream, false);
    text_clear(&c->out);
    c->out_sent = 0;
    return true;
}

static void forget_request(struct http_connection *c)
{
    c->server->input_bytes -= c->parse.len;
    c->has_told_continue = false;
    http_parse_deinit(&c->parse);
    http_parse_init(&c->parse);
}

/* The parser has what it took of the bytes that wait. */
static int parse_input(struct http_connection *c)
{
    size_t used;
    int r = http_parse_run(&c->parse, (struct str){c->in.p, c->in.len}, &used);

    c->in.len -= used;
    if (used > 0) {
        memmove(c->in.p, c->in.p + used, c->in.len + 1);
    }
    return r;
}

/* The next request is answered if it is there. False: it is not, yet. */
static bool take_request(struct http_connection *c)
{
    int r = parse_input(c);

    if (r == 0 && c->parse.expects_continue && !c->has_told_continue) {
        c->has_told_continue = true;
        text_printf(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        (void)flush(c);
    }
    if (r == 0) {
        return false;
    }
    if (r == 1) {
        answer_request(c);
        forget_request(c);
    } else {
        answer_error(c, r);
    }
    return true;
}

static void after_answer(struct http_connection *c)
{
    leave_state(c);
    enter_state(c, c->is_last ? LINGERING : READING);
    stream_want_read(&c->stream, c->is_last || c->in.len == 0);
    if (c->is_last) {
        stream_shutdown_write(&c->stream);
    } else if (c->in.len > 0) {
        loop_defer(c->loop, &c->again);
    }
}

/* One request at a time: of those that came in one piece the next has its turn when others have had theirs. */
static void serve(struct http_connection *c)
{
    if (!take_request(c)) {
        stream_want_read(&c->stream, true);
        return;
    }
    leave_state(c);
    enter_state(c, WRITING);
    stream_want_read(&c->stream, false);
    if (flush(c)) {
        after_answer(c);
    }
    if (c->server->counts[WRITING] > HTTP_WRITING_MAX) {
        evict(c->server, WRITING);
    }
}

static void serve_again(struct deferred *d)
{
    struct http_connection *c = container_of(d, struct http_connection, again);

    if (c->state == READING) {
        serve(c);
    }
}

static void on_readable(struct stream *stream)
{
    struct http_connection *c = container_of(stream, struct http_connection, stream);
    ssize_t n = stream_recv(stream, loop_read_buffer(c->loop), LOOP_READ_BUFFER_SIZE);

    if (n == -EAGAIN) {
        return;
    }
    if (n <= 0) {
        connection_close(c);
    } else if (c->state == READING) {
        text_append(&c->in, loop_read_buffer(c->loop), (size_t)n);
        c->server->input_bytes += (size_t)n;
        serve(c);
        if (c->server->input_bytes > HTTP_INPUT_MAX) {
            evict(c->server, READING);
        }
    }
}

static void on_writable(struct stream *stream)
{
    struct http_connection *c = container_of(stream, struct http_connection, stream);

    if (flush(c) && c->state == WRITING) {
        after_answer(c);
    }
}

static unsigned connection_count(const struct http_server *s)
{
    return s->counts[READING] + s->counts[WRITING] + s->counts[LINGERING];
}

static void on_accept(void *ctx, int fd, const struct addr *peer)
{
    struct http_server *s = ctx;
    struct http_connection *c = mem_alloc(sizeof *c);

    if (connection_count(s) >= HTTP_CONNECTIONS_MAX) {
        evict(s, s->counts[LINGERING] > 0 ? LINGERING : s->counts[READING] > 0 ? READING : WRITING);
    }
    *c = (struct http_connection){.server = s, .loop = s->loop, .peer = *peer};
    stream_init(&c->stream, s->loop, fd);
    stream_set_handlers(&c->stream, on_readable, on_writable);
    timer_init(&c->deadline, s->loop, on_deadline);
    deferred_init(&c->again, serve_again);
    http_parse_init(&c->parse);
    text_init(&c->in, LOOP_READ_BUFFER_SIZE);
    text_init(&c->out, RESPONSE_MAX + HEADER_MAX);
    enter_state(c, READING);
    stream_want_read(&c->stream, true);
}

/* --- the server --- */

/* A host without the other family is no error. */
static int open_twin(struct http_server *s, const struct addr *addr)
{
    struct addr twin = {.family = addr->family == ADDR_V4 ? ADDR_V6 : ADDR_V4, .port = s->addr.port};
    int r = addr_is_any(addr) ? listener_open(s->loop, &twin, on_accept, s, &s->twin) : 0;

    return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL ? 0 : r;
}

int http_server_open(struct loop *l, const struct addr *addr, const struct http_page *pages, size_t page_count, void *ctx,
                     struct http_server **ret_server)
{
    struct http_server *s = mem_alloc(sizeof *s);

    *s = (struct http_server){.loop = l, .pages = {pages, page_count, ctx}};
    for (unsigned i = 0; i < STATE_COUNT; i++) {
        list_init(&s->connections[i]);
    }
    int r = listener_open(l, addr, on_accept, s, &s->listener);

    if (r == 0) {
        s->addr = listener_addr(s->listener);
        r = open_twin(s, addr);
    }
    if (r < 0) {
        http_server_close(&s);
        return r;
    }
    *ret_server = s;
    return 0;
}

void http_server_close(struct http_server **s)
{
    struct http_server *closed = *s;

    if (closed == NULL) {
        return;
    }
    *s = NULL;
    listener_close(&closed->listener);
    listener_close(&closed->twin);
    for (unsigned i = 0; i < STATE_COUNT; i++) {
        while (!list_is_empty(&closed->connections[i])) {
            evict(closed, (enum state)i);
        }
    }
    mem_free(closed);
}

struct addr http_server_addr(const struct http_server *s)
{
    return s->addr;
}
