/* SPDX-License-Identifier: Apache-2.0 */

#include "net/http_pages.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

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

char *http_decode(struct str s, bool is_form)
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

            return http_decode((struct str){part.p + start, part.len - start}, true);
        }
    }
    return NULL;
}

void http_fail(struct http_response *response, int status, const char *why)
{
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    text_clear(&response->body);
    text_printf(&response->body, "%s\n", why);
}

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

static void list_pages(const struct http_pages *p, struct http_response *response)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct http_page *page = &p->pages[i];

        text_printf(&response->body, "%-4s %-20s %s\n", method_name(page->method), page->path,
                    page->help != NULL ? page->help : "");
    }
}

/* 404, or 405 with the methods that would do (RFC 9110 §15.5.6). */
static void answer_without_page(const struct http_pages *p, const struct http_request *request, struct http_response *response,
                                struct text *ret_allowed)
{
    for (size_t i = 0; i < p->count; i++) {
        if (str_eq(request->path, str_from(p->pages[i].path))) {
            text_printf(ret_allowed, "%s%s", ret_allowed->len > 0 ? ", " : "", method_name(p->pages[i].method));
        }
    }
    if (ret_allowed->len > 0) {
        http_fail(response, 405, "wrong method");
    } else if (str_eq(request->path, STR("/")) && request->method == HTTP_GET) {
        list_pages(p, response);
    } else {
        http_fail(response, 404, "no such page; / lists them");
    }
}

static const struct http_page *find_page(const struct http_pages *p, const struct http_request *request)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->pages[i].method == request->method && str_eq(request->path, str_from(p->pages[i].path))) {
            return &p->pages[i];
        }
    }
    return NULL;
}

/* "localhost:15191", "127.0.0.1", "[::1]:80". HTTP/1.0 knows programs without a Host, and no browser is one of them. */
static bool is_loopback_host(struct str host)
{
    struct addr addr;
    size_t colon = str_find(host, ':');
    bool is_bracketed = host.len > 0 && host.p[0] == '[';
    size_t bracket = str_find(host, ']');
    struct str name = is_bracketed ? (struct str){host.p + 1, bracket > 0 ? bracket - 1 : 0} : (struct str){host.p, colon};

    return host.len == 0 || str_eq_nocase(name, STR("localhost")) || (addr_parse_ip(name, &addr) && addr_is_loopback(&addr));
}

/* Why not, or NULL. */
static const char *refusal(const struct http_page *page, const struct http_request *request)
{
    if (!page->is_loopback_only) {
        return NULL;
    }
    if (!addr_is_loopback(&request->peer)) {
        return "only from loopback";
    }
    if (!is_loopback_host(request->host)) {
        return "only for Host localhost or a loopback address";
    }
    if (page->method != HTTP_GET && request->origin.len > 0) {
        return "not for web pages: the request has an Origin";
    }
    return NULL;
}

void http_pages_answer(const struct http_pages *p, const struct http_request *request, struct http_response *response,
                       struct text *ret_allowed)
{
    const struct http_page *page = find_page(p, request);
    const char *why = page != NULL ? refusal(page, request) : NULL;

    if (page == NULL) {
        answer_without_page(p, request, response, ret_allowed);
    } else if (why != NULL) {
        http_fail(response, 403, why);
    } else {
        page->handle(p->ctx, request, response);
        if (response->body.is_cut) {
            http_fail(response, 500, "page too large");
        }
    }
}
