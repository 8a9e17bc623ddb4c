/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One HTTP/1.1 request out of bytes that come in pieces (RFC 9112). llhttp reads them, without any of its leniencies; here are the
 * limits, and refusals of what two readers could understand differently.
 *
 * Owner:   embedded in a connection.
 * Threads: the owner's.
 * Errors:  the status to answer with, after which the connection has to close.
 * Limits:  head HTTP_HEAD_MAX, body HTTP_BODY_MAX, chunks with all their framing HTTP_CHUNKED_MAX. Each byte is looked at once.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define HTTP_HEAD_MAX ((size_t)16 * 1024)
#define HTTP_BODY_MAX ((size_t)1024 * 1024)
#define HTTP_CHUNKED_MAX ((size_t)4 * 1024 * 1024)

struct llhttp__internal_s;

struct http_parse {
    struct llhttp__internal_s *reader;
    int status;        /* as http_parse_run returns it */
    size_t len;        /* bytes of the request taken so far */
    const char *piece; /* what is being read, from the byte at `len` on */

    struct text target;
    struct text field; /* name and value of the one that is being read */
    size_t value_at;   /* where in `field` the value starts */
    size_t value_end;  /* where among the bytes of the request it ends */
    unsigned field_count;
    bool is_chunked;
    bool has_expect;
    struct text host_text;
    struct text origin_text;
    struct text body_text;

    /* Once the head is complete. */
    bool has_head;
    bool is_last;          /* HTTP/1.0 or "Connection: close" */
    bool expects_continue; /* "Expect: 100-continue" */
    struct str method;     /* static */
    struct str path;       /* still encoded, without the query */
    struct str query;
    struct str host;   /* "" if there is none (HTTP/1.0) */
    struct str origin; /* "" if there is none: the client is no browser, or it does not say */

    struct str body; /* once done */
};

void http_parse_init(struct http_parse *p);
void http_parse_deinit(struct http_parse *p);

/*
 * The next bytes. 0: more are needed, all of these are taken. 1: done; the first *ret_used of them belonged to the request. Otherwise a
 * status (400, 413, 501, 505). Not to be called again after one of those two. What is found lives as long as the parser.
 */
int http_parse_run(struct http_parse *p, struct str bytes, size_t *ret_used) MUST_CHECK;
