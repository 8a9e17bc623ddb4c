/* SPDX-License-Identifier: Apache-2.0 */

#include "net/http_parse.h"

#include <string.h>

#define CHUNK_LINE_MAX 256
#define FIELDS_MAX 100

enum { MORE = 0, DONE = 1 };

void http_parse_init(struct http_parse *p)
{
    *p = (struct http_parse){0};
    text_init(&p->chunks, HTTP_BODY_MAX);
}

void http_parse_deinit(struct http_parse *p)
{
    text_deinit(&p->chunks);
}

static struct str from(struct str s, size_t at)
{
    return (struct str){s.p + at, s.len - at};
}

/* --- pieces of a head --- */

static bool is_token(struct str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 §5.6.2 */

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_letter && (c == '\0' || strchr(others, c) == NULL)) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_printable(struct str s, bool may_have_blanks)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == 0x7f || (c < 0x20 && !(may_have_blanks && c == '\t')) || (c == ' ' && !may_have_blanks)) {
            return false;
        }
    }
    return true;
}

/* "/path?query", or all of "http://host/path?query". */
static int parse_target(struct http_parse *p, struct str target)
{
    struct str scheme = STR("http://");

    if (!is_printable(target, false) || str_find(target, '#') < target.len) {
        return 400;
    }
    if (target.len >= scheme.len && str_eq_nocase((struct str){target.p, scheme.len}, scheme)) {
        target = from(target, scheme.len);
        p->host = (struct str){target.p, str_find(target, '/')};
        target = from(target, p->host.len);
        if (p->host.len == 0 || str_find(p->host, '?') < p->host.len) {
            return 400;
        }
        target = target.len == 0 ? STR("/") : target;
    }
    if (target.len == 0 || target.p[0] != '/') {
        return 400;
    }
    size_t mark = str_find(target, '?');

    p->path = (struct str){target.p, mark};
    p->query = mark < target.len ? from(target, mark + 1) : (struct str){0};
    return MORE;
}

static int parse_request_line(struct http_parse *p, struct str line)
{
    struct str target;
    bool is_complete = str_split(&line, ' ', &p->method) && str_split(&line, ' ', &target) && line.p != NULL;

    if (!is_complete || !is_token(p->method) || !str_starts_with(line, STR("HTTP/")) || line.len != strlen("HTTP/1.1")) {
        return 400;
    }
    p->is_http_1_0 = str_eq(line, STR("HTTP/1.0"));
    if (!p->is_http_1_0 && !str_eq(line, STR("HTTP/1.1"))) {
        return 505;
    }
    return parse_target(p, target);
}

/* What the fields say of the body, before they have all been read. */
struct framing {
    bool has_host;
    bool has_length;
    bool is_chunked;
    size_t length;
};

static int parse_length(struct framing *f, struct str value)
{
    uint64_t length = 0;

    if (!str_to_u64(value, UINT64_MAX, &length)) {
        return 400;
    }
    if (length > HTTP_BODY_MAX) {
        return 413;
    }
    if (f->has_length && f->length != length) {
        return 400;
    }
    f->has_length = true;
    f->length = (size_t)length;
    return MORE;
}

static int parse_host(struct http_parse *p, struct framing *f, struct str value)
{
    if (f->has_host) {
        return 400;
    }
    f->has_host = true;
    p->host = p->host.len > 0 ? p->host : value; /* the target's own goes before (RFC 9112 §3.2.2) */
    return MORE;
}

static int parse_encoding(struct http_parse *p, struct framing *f, struct str value)
{
    if (p->is_http_1_0 || f->is_chunked) {
        return 400;
    }
    f->is_chunked = str_eq_nocase(value, STR("chunked"));
    return f->is_chunked ? MORE : 501;
}

static void parse_connection(struct http_parse *p, struct str value)
{
    struct str option;

    while (str_split(&value, ',', &option)) {
        p->has_close = p->has_close || str_eq_nocase(str_trim(option), STR("close"));
    }
}

static int parse_field(struct http_parse *p, struct framing *f, struct str line)
{
    size_t colon = str_find(line, ':');
    struct str name = {line.p, colon};

    if (colon == line.len || !is_token(name)) {
        return 400; /* folded lines and blanks before the colon are among these */
    }
    struct str value = str_trim(from(line, colon + 1));

    if (!is_printable(value, true)) {
        return 400;
    }
    if (str_eq_nocase(name, STR("host"))) {
        return parse_host(p, f, value);
    }
    if (str_eq_nocase(name, STR("content-length"))) {
        return parse_length(f, value);
    }
    if (str_eq_nocase(name, STR("transfer-encoding"))) {
        return parse_encoding(p, f, value);
    }
    if (str_eq_nocase(name, STR("connection"))) {
        parse_connection(p, value);
    } else if (str_eq_nocase(name, STR("origin"))) {
        p->origin = value;
    } else if (str_eq_nocase(name, STR("expect"))) {
        p->expects_continue = str_eq_nocase(value, STR("100-continue"));
    }
    return MORE;
}

/* The next line without its CRLF. */
static bool cut_line(struct str *rest, struct str *ret_line)
{
    const char *end = rest->len > 1 ? memmem(rest->p, rest->len, "\r\n", 2) : NULL;

    if (end == NULL) {
        return false;
    }
    *ret_line = (struct str){rest->p, (size_t)(end - rest->p)};
    *rest = from(*rest, ret_line->len + 2);
    return true;
}

/* `head` ends in an empty line. */
static int read_head(struct http_parse *p, struct str head, struct framing *ret_framing)
{
    struct str line;
    int status;

    *ret_framing = (struct framing){0};
    p->host = (struct str){0};
    status = cut_line(&head, &line) ? parse_request_line(p, line) : 400;
    for (unsigned i = 0; status == MORE && cut_line(&head, &line) && line.len > 0; i++) {
        status = i < FIELDS_MAX ? parse_field(p, ret_framing, line) : 400;
    }
    if (status == MORE && ((!ret_framing->has_host && !p->is_http_1_0) || (ret_framing->is_chunked && ret_framing->has_length))) {
        return 400;
    }
    return status;
}

/* --- stages: each takes what it can; -1: on to the next one --- */

#define NEXT (-1)

static int run_head(struct http_parse *p, struct str bytes)
{
    while (p->at == p->seen && bytes.len - p->at >= 2 && memcmp(bytes.p + p->at, "\r\n", 2) == 0 && p->at < CHUNK_LINE_MAX) {
        p->at += 2; /* empty lines before a request (RFC 9112 §2.2) */
        p->seen = p->at;
    }
    bytes.len = bytes.len < HTTP_HEAD_MAX + 1 ? bytes.len : HTTP_HEAD_MAX + 1;
    const char *end = bytes.len - p->seen >= 4 ? memmem(bytes.p + p->seen, bytes.len - p->seen, "\r\n\r\n", 4) : NULL;
    size_t len = end != NULL ? (size_t)(end - bytes.p) + 4 : bytes.len;

    if (len > HTTP_HEAD_MAX) {
        return 400;
    }
    if (end == NULL) {
        p->seen = bytes.len > p->at + 3 ? bytes.len - 3 : p->at;
        return MORE;
    }
    struct framing f;
    int status = read_head(p, (struct str){bytes.p + p->at, len - p->at}, &f);

    p->head_at = p->at;
    p->head_len = len - p->at;
    p->at = len;
    p->seen = len;
    p->left = f.length;
    p->stage = f.is_chunked ? HTTP_PARSE_CHUNK_SIZE : HTTP_PARSE_BODY;
    return status == MORE ? NEXT : status;
}

static int run_body(struct http_parse *p, struct str bytes)
{
    if (bytes.len - p->at < p->left) {
        return MORE;
    }
    p->body = (struct str){bytes.p + p->at, p->left};
    p->at += p->left;
    p->stage = HTTP_PARSE_DONE;
    return NEXT;
}

/* The line at p->at; NEXT, MORE or a status. */
static int run_line(struct http_parse *p, struct str bytes, struct str *ret_line)
{
    size_t limit = p->at + CHUNK_LINE_MAX + 2;
    struct str rest = from((struct str){bytes.p, bytes.len < limit ? bytes.len : limit}, p->seen);
    struct str part;

    if (!cut_line(&rest, &part)) {
        p->seen = bytes.len > p->at + 1 ? bytes.len - 1 : p->at;
        return bytes.len >= limit ? 400 : MORE;
    }
    *ret_line = (struct str){bytes.p + p->at, (size_t)(part.p + part.len - (bytes.p + p->at))};
    p->at = (size_t)(rest.p - bytes.p);
    p->seen = p->at;
    return NEXT;
}

static bool parse_hex(struct str s, size_t *ret_value)
{
    size_t value = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0 || value > HTTP_CHUNKED_MAX) {
            return false;
        }
        value = value * 16 + (size_t)digit;
    }
    *ret_value = value;
    return s.len > 0;
}

static int run_chunk_size(struct http_parse *p, struct str bytes)
{
    struct str line = {0};
    int r = run_line(p, bytes, &line);

    if (r != NEXT) {
        return r;
    }
    struct str size = str_trim((struct str){line.p, str_find(line, ';')});

    if (!parse_hex(size, &p->left) || !is_printable(line, true)) {
        return 400;
    }
    if (p->left > HTTP_BODY_MAX - p->chunks.len) {
        return 413;
    }
    p->stage = p->left > 0 ? HTTP_PARSE_CHUNK : HTTP_PARSE_TRAILERS;
    return NEXT;
}

static int run_chunk(struct http_parse *p, struct str bytes)
{
    if (bytes.len - p->at < p->left + 2) {
        return MORE;
    }
    if (memcmp(bytes.p + p->at + p->left, "\r\n", 2) != 0) {
        return 400;
    }
    text_append(&p->chunks, bytes.p + p->at, p->left);
    p->at += p->left + 2;
    p->seen = p->at;
    p->stage = HTTP_PARSE_CHUNK_SIZE;
    return NEXT;
}

/* Nothing is made of them. */
static int run_trailers(struct http_parse *p, struct str bytes)
{
    struct str line = {0};
    int r = run_line(p, bytes, &line);

    if (r == NEXT && line.len == 0) {
        p->body = (struct str){p->chunks.p, p->chunks.len};
        p->stage = HTTP_PARSE_DONE;
    }
    return r;
}

/* The bytes may have moved since the head was read. */
static int finish(struct http_parse *p, struct str bytes)
{
    struct framing f;

    (void)read_head(p, (struct str){bytes.p + p->head_at, p->head_len}, &f); /* well-formed: it has been read before */
    return DONE;
}

static int run_stage(struct http_parse *p, struct str bytes)
{
    switch (p->stage) {
    case HTTP_PARSE_HEAD:
        return run_head(p, bytes);
    case HTTP_PARSE_BODY:
        return run_body(p, bytes);
    case HTTP_PARSE_CHUNK_SIZE:
        return run_chunk_size(p, bytes);
    case HTTP_PARSE_CHUNK:
        return run_chunk(p, bytes);
    case HTTP_PARSE_TRAILERS:
        return run_trailers(p, bytes);
    case HTTP_PARSE_DONE:
        return finish(p, bytes);
    }
    return 400;
}

int http_parse_run(struct http_parse *p, struct str bytes)
{
    int r;

    do {
        r = run_stage(p, bytes);
    } while (r == NEXT);
    return r == MORE && bytes.len > HTTP_CHUNKED_MAX ? 413 : r;
}
