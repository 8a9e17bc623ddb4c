/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which page answers a request of the admin port, and who may see it.
 *
 * A page for loopback only is for people and programs in this very pod (or behind a port-forward), not for the web pages that a person
 * there has open: the peer is loopback, `Host` is too (a name that was made to point here is DNS rebinding), and what changes state has
 * no `Origin`.
 *
 * Owner:   stateless.
 * Threads: any.
 * Errors:  are answers.
 */

#include "net/http_server.h"

struct http_pages {
    const struct http_page *pages;
    size_t count;
    void *ctx;
};

/* `ret_allowed` gets the methods that would do, where this one does not. */
void http_pages_answer(const struct http_pages *p, const struct http_request *request, struct http_response *response,
                       struct text *ret_allowed);

/* An answer that is only a status and why. */
void http_fail(struct http_response *response, int status, const char *why);

/* Undoes %XX (and '+', in a form), in fresh memory; NULL for a broken escape or an escaped NUL. */
char *http_decode(struct str s, bool is_form);
