/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One HTTP/1.1 request out of bytes that come in pieces (RFC 9112), strictly: what two readers could understand differently is refused.
 *
 * Owner:   embedded in a connection.
 * Threads: the owner's.
 * Errors:  the status to answer with, after which the connection has to close.
 * Limits:  head HTTP_HEAD_MAX, body HTTP_BODY_MAX, chunks with all their framing HTTP_CHUNKED_MAX. Each byte is looked at a bounded
 *          number of times, however small the pieces are.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define HTTP_HEAD_MAX ((size_t)16 * 1024)
#define HTTP_BODY_MAX ((size_t)1024 * 1024)
#define HTTP_CHUNKED_MAX ((size_t)4 * 1024 * 1024)

enum http_parse_stage {
    HTTP_PARSE_HEAD,
    HTTP_PARSE_BODY,
    HTTP_PARSE_CHUNK_SIZE,
    HTTP_PARSE_CHUNK,
    HTTP_PARSE_TRAILERS,
    HTTP_PARSE_DONE
};

struct http_parse {
    enum http_parse_stage stage;
    size_t at;       /* bytes before this one are done with */
    size_t seen;     /* bytes before this one hold no end of the line or head that is looked for */
    size_t head_len; /* 0 until it is complete */
    size_t left;     /* of the body or chunk */
    struct text chunks;
    size_t head_at; /* after empty lines */

    /* Once the head is complete. */
    bool is_http_1_0;
    bool has_close;        /* "Connection: close" */
    bool expects_continue; /* "Expect: 100-continue" */

    /* Once done: views into the bytes. */
    struct str method; /* any token */
    struct str path;   /* still encoded, without the query */
    struct str query;
    struct str host;   /* "" if there is none (HTTP/1.0) */
    struct str origin; /* "" if there is none: the client is no browser, or it does not say */
    struct str body;   /* into the bytes or `chunks` */
};

void http_parse_init(struct http_parse *p);
void http_parse_deinit(struct http_parse *p);

/*
 * `bytes` from the start of the request, more of them each time (they may have moved). 0: more are needed. 1: done; the request took
 * p->at bytes. Otherwise a status (400, 413, 501, 505).
 */
int http_parse_run(struct http_parse *p, struct str bytes) MUST_CHECK;
