/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small HTTP/1.1 server for admin pages of all programs and the webhook; never on the proxied path.
 *
 *     http_server: connections and their time  ─▶  http_parse: one request out of bytes  ─▶  http_pages: which page, for whom
 *
 * Owner:   the program.
 * Threads: the loop's.
 * Errors:  negative errno from http_server_open. A handler always answers.
 * Limits:  HTTP_CONNECTIONS_MAX connections, HTTP_WRITING_MAX answers that clients have not taken, HTTP_INPUT_MAX
 *          bytes of unfinished requests: one more closes the oldest. A
 *          request has HTTP_DEADLINE_S to come, its answer as long to be taken. Head 16 KiB, body 1 MiB; only GET, HEAD, POST, PUT
 *          (others get 501); a page of more than 64 MiB is a 500.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/container.h"
#include "base/str.h"
#include "net/loop.h"

#define HTTP_CONNECTIONS_MAX 128
#define HTTP_WRITING_MAX 16
#define HTTP_INPUT_MAX ((size_t)16 * 1024 * 1024)
#define HTTP_DEADLINE_S 10

struct http_server;

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT };

struct http_request {
    enum http_method method; /* HEAD is shown as GET */
    struct str path;         /* decoded, without the query */
    struct str query;        /* "level=debug&x=1", still encoded */
    struct str body;
    struct addr peer;
    struct str host;   /* as the client wrote it; "" if it did not (HTTP/1.0) */
    struct str origin; /* what a browser says of the page that asks; "" otherwise */
};

struct http_response {
    int status;               /* 200 unless set */
    const char *content_type; /* "text/plain; charset=utf-8" unless set; static */
    struct text body;
};

typedef void http_handler_fn(void *ctx, const struct http_request *request, struct http_response *response);

struct http_page {
    enum http_method method;
    const char *path;      /* exact */
    bool is_loopback_only; /* others get 403 (http_pages.h); whatever changes state is */
    http_handler_fn *handle;
    const char *help; /* shown by GET / */
};

/* `pages` (static) are served with `ctx`; on 0.0.0.0 also on [::] with the same port, and the other way round. Wrong path: 404; wrong method: 405. */
int http_server_open(struct loop *l, const struct addr *addr, const struct http_page *pages, size_t page_count, void *ctx,
                     struct http_server **ret_server) MUST_CHECK;

/* Open connections end at once. Not from within a handler. Accepts NULL inside. */
void http_server_close(struct http_server **s);
struct addr http_server_addr(const struct http_server *s);

/* The decoded value of the first `name` in the query, in fresh memory (mem_free); NULL if there is none or its escapes are broken. */
char *http_query_value(struct str query, const char *name);
