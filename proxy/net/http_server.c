/* SPDX-License-Identifier: Apache-2.0 */

#include "net/http_server.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "net/socket.h"
#include "net/timer.h"

#define HEAD_MAX ((ev_ssize_t)16 * 1024)
#define BODY_MAX ((ev_ssize_t)1024 * 1024)
#define TIMEOUT_S 10
#define PAUSE_MS 100
#define RESPONSE_MAX ((size_t)64 * 1024 * 1024) /* /metrics of a mesh with an endpoint's every bucket */

struct http_server {
    struct evhttp *http;
    struct evconnlistener *listener; /* evhttp's */
    struct timer resume;
    struct addr addr;
    const struct http_page *pages;
    size_t page_count;
    void *ctx;
    struct http_server *next;
};

/* libevent's callback for a failed accept does not tell whose it was. A server lives on one thread. */
static _Thread_local struct http_server *open_servers;

/* --- %XX --- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In fresh memory; NULL for a broken escape or an escaped NUL. */
static char *decode(struct str s, bool is_form)
{
    CLEANUP_FREE char *out = mem_alloc(s.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (c == '%') {
            int high = i + 2 < s.len ? hex_value(s.p[i + 1]) : -1;
            int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;

            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && is_form) {
            c = ' ';
        }
        out[len++] = c;
    }
    return mem_copy_string(out, len);
}

char *http_query_value(struct str query, const char *name)
{
    struct str wanted = str_from(name);
    struct str part;

    while (str_split(&query, '&', &part)) {
        size_t equals = str_find(part, '=');

        if (str_eq((struct str){part.p, equals}, wanted)) {
            size_t start = equals < part.len ? equals + 1 : part.len;

            return decode((struct str){part.p + start, part.len - start}, true);
        }
    }
    return NULL;
}

/* --- answering --- */

static const char *method_name(enum http_method method)
{
    switch (method) {
    case HTTP_GET:
        return "GET";
    case HTTP_POST:
        return "POST";
    case HTTP_PUT:
        return "PUT";
    }
    return "";
}

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
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Status"; /* the phrase means nothing to a client (RFC 9112 §4) */
    }
}

static void add_header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static void send_response(struct evhttp_request *request, const struct http_response *response)
{
    char len[24];

    snprintf(len, sizeof len, "%zu", response->body.len);
    add_header(request, "Content-Type", response->content_type);
    add_header(request, "Content-Length", len);
    add_header(request, "X-Content-Type-Options", "nosniff");
    if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD) {
        evbuffer_add(evhttp_request_get_output_buffer(request), response->body.p, response->body.len);
    }
    evhttp_send_reply(request, response->status, status_text(response->status), NULL);
}

static void fail(struct http_response *response, int status, const char *text)
{
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    text_clear(&response->body);
    text_printf(&response->body, "%s\n", text);
}

static void list_pages(const struct http_server *s, struct http_response *response)
{
    for (size_t i = 0; i < s->page_count; i++) {
        const struct http_page *page = &s->pages[i];

        text_printf(&response->body, "%-4s %-20s %s\n", method_name(page->method), page->path,
                    page->help != NULL ? page->help : "");
    }
}

/* 404, or 405 with the methods that would do (RFC 9110 §15.5.6). */
static void answer_without_page(const struct http_server *s, struct evhttp_request *request, const struct http_request *view,
                                struct http_response *response)
{
    CLEANUP_TEXT struct text allowed;

    text_init(&allowed, 256);
    for (size_t i = 0; i < s->page_count; i++) {
        if (str_eq(view->path, str_from(s->pages[i].path))) {
            text_printf(&allowed, "%s%s", allowed.len > 0 ? ", " : "", method_name(s->pages[i].method));
        }
    }
    if (allowed.len > 0) {
        add_header(request, "Allow", allowed.p);
        fail(response, 405, "wrong method");
    } else if (str_eq(view->path, STR("/")) && view->method == HTTP_GET) {
        list_pages(s, response);
    } else {
        fail(response, 404, "no such page; / lists them");
    }
}

static const struct http_page *find_page(const struct http_server *s, const struct http_request *view)
{
    for (size_t i = 0; i < s->page_count; i++) {
        if (s->pages[i].method == view->method && str_eq(view->path, str_from(s->pages[i].path))) {
            return &s->pages[i];
        }
    }
    return NULL;
}

static void answer(const struct http_server *s, struct evhttp_request *request, const struct http_request *view,
                   struct http_response *response)
{
    const struct http_page *page = find_page(s, view);

    if (page == NULL) {
        answer_without_page(s, request, view, response);
    } else if (page->is_loopback_only && !addr_is_loopback(&view->peer)) {
        fail(response, 403, "only from loopback");
    } else {
        page->handle(s->ctx, view, response);
        if (response->body.is_cut) {
            fail(response, 500, "page too large");
        }
    }
}

/* --- evhttp --- */

static enum http_method method_of(struct evhttp_request *request)
{
    enum evhttp_cmd_type command = evhttp_request_get_command(request);

    return command == EVHTTP_REQ_POST ? HTTP_POST : command == EVHTTP_REQ_PUT ? HTTP_PUT : HTTP_GET;
}

static struct str body_of(struct evhttp_request *request)
{
    struct evbuffer *buffer = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(buffer);

    return (struct str){len > 0 ? (const char *)evbuffer_pullup(buffer, -1) : NULL, len};
}

static void on_request(struct evhttp_request *request, void *ctx)
{
    const struct http_server *s = ctx;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const struct sockaddr *peer = evhttp_connection_get_addr(evhttp_request_get_connection(request));
    CLEANUP_FREE char *path = decode(str_from(evhttp_uri_get_path(uri)), false);
    struct http_request view = {
        .method = method_of(request),
        .path = str_from(path),
        .query = str_from(evhttp_uri_get_query(uri)),
        .body = body_of(request),
    };
    struct http_response response = {.status = 200, .content_type = "text/plain; charset=utf-8"};

    text_init(&response.body, RESPONSE_MAX);
    if (path == NULL) {
        fail(&response, 400, "broken escape in the path");
    } else if (peer == NULL || !addr_from_sockaddr(peer, &view.peer)) {
        fail(&response, 403, "unknown peer");
    } else {
        answer(s, request, &view, &response);
    }
    send_response(request, &response);
    text_deinit(&response.body);
}

/* Out of descriptors: libevent's listener would try again in each turn, so it pauses. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
    (void)ctx; /* evhttp's */
    for (struct http_server *s = open_servers; s != NULL; s = s->next) {
        if (s->listener == listener) {
            evconnlistener_disable(listener);
            timer_set(&s->resume, usec_from_ms(PAUSE_MS));
        }
    }
}

static void on_resume(struct timer *t)
{
    struct http_server *s = container_of(t, struct http_server, resume);

    evconnlistener_enable(s->listener);
}

static void configure(struct http_server *s)
{
    evhttp_set_max_headers_size(s->http, HEAD_MAX);
    evhttp_set_max_body_size(s->http, BODY_MAX);
    evhttp_set_timeout(s->http, TIMEOUT_S);
    evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT);
    evhttp_set_gencb(s->http, on_request, s);
}

int http_server_open(struct loop *l, const struct addr *addr, const struct http_page *pages, size_t page_count, void *ctx,
                     struct http_server **ret_server)
{
    CLEANUP_FD int fd = socket_listen(addr);
    struct addr bound = {0};
    int r = fd < 0 ? fd : socket_local_addr(fd, &bound);

    if (r < 0) {
        return r;
    }
    struct http_server *s = mem_alloc(sizeof *s);

    *s = (struct http_server){.addr = bound, .pages = pages, .page_count = page_count, .ctx = ctx, .next = open_servers};
    timer_init(&s->resume, l, on_resume);
    s->http = evhttp_new(loop_base(l));
    s->listener = evconnlistener_new(loop_base(l), NULL, NULL, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, 0, fd);
    if (s->http == NULL || s->listener == NULL || evhttp_bind_listener(s->http, s->listener) == NULL) {
        abort(); /* only without memory */
    }
    steal_fd(&fd); /* the listener's */
    evconnlistener_set_error_cb(s->listener, on_accept_error);
    configure(s);
    open_servers = s;
    *ret_server = s;
    return 0;
}

static void forget(const struct http_server *gone)
{
    struct http_server **link = &open_servers;

    while (*link != gone) {
        assert(*link != NULL); /* closed on the thread that opened it */
        link = &(*link)->next;
    }
    *link = gone->next;
}

void http_server_close(struct http_server **s)
{
    struct http_server *closed = *s;

    if (closed == NULL) {
        return;
    }
    *s = NULL;
    forget(closed);
    timer_stop(&closed->resume);
    evhttp_free(closed->http);
    mem_free(closed);
}

struct addr http_server_addr(const struct http_server *s)
{
    return s->addr;
}
