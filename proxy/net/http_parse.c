/* SPDX-License-Identifier: Apache-2.0 */

#include "net/http_parse.h"

#include <llhttp.h>

#include "base/mem.h"

#define FIELDS_MAX 100

enum { MORE = 0, DONE = 1 };

static struct str from(struct str s, size_t at)
{
    return (struct str){s.p + at, s.len - at};
}

/* What a callback returns: anything but MORE ends the reading. */
static int give(struct http_parse *p, int status)
{
    p->status = status;
    return status == MORE ? 0 : -1;
}

/* --- the head --- */

static int on_target(llhttp_t *reader, const char *bytes, size_t len)
{
    struct http_parse *p = reader->data;

    text_append(&p->target, bytes, len);
    return 0;
}

/* A piece of a name or value. */
static int on_field(llhttp_t *reader, const char *bytes, size_t len)
{
    struct http_parse *p = reader->data;
    size_t at = p->len + (size_t)(bytes - p->piece);
    bool is_folded = p->value_at > 0 && p->field.len > p->value_at && at != p->value_end; /* RFC 9112 §5.2 */

    text_append(&p->field, bytes, len);
    p->value_end = at + len;
    return give(p, is_folded ? 400 : MORE);
}

static int on_name_complete(llhttp_t *reader)
{
    struct http_parse *p = reader->data;

    p->value_at = p->field.len;
    return 0;
}

/* Twice the same field would be anybody's choice. */
static int keep(struct text *t, struct str value, struct str *ret_kept)
{
    if (ret_kept->p != NULL) {
        return 400;
    }
    text_append_str(t, value);
    *ret_kept = (struct str){t->p, t->len};
    return MORE;
}

static int take_field(struct http_parse *p, struct str name, struct str value)
{
    if (name.len == 0 || ++p->field_count > FIELDS_MAX) {
        return 400;
    }
    if (str_eq_nocase(name, STR("host"))) {
        return keep(&p->host_text, value, &p->host);
    }
    if (str_eq_nocase(name, STR("origin"))) {
        return keep(&p->origin_text, value, &p->origin);
    }
    if (str_eq_nocase(name, STR("transfer-encoding"))) {
        bool is_second = p->is_chunked;

        p->is_chunked = str_eq_nocase(value, STR("chunked"));
        return is_second ? 400 : p->is_chunked ? MORE : 501; /* llhttp takes "gzip, chunked" too; nobody here unpacks that */
    }
    p->has_expect = p->has_expect || (str_eq_nocase(name, STR("expect")) && str_eq_nocase(value, STR("100-continue")));
    return MORE;
}

static int on_value_complete(llhttp_t *reader)
{
    struct http_parse *p = reader->data;
    struct str field = {p->field.p, p->field.len};
    int status = p->has_head ? MORE /* nothing is made of trailers */
                             : take_field(p, (struct str){field.p, p->value_at}, str_trim(from(field, p->value_at)));

    text_clear(&p->field);
    p->value_at = 0;
    return give(p, status);
}

/* "/path?query", or all of "http://host/path?query", whose host goes before the field's (RFC 9112 §3.2.2). */
static int read_target(struct http_parse *p, struct str target)
{
    struct str scheme = STR("http://");

    if (target.len >= scheme.len && str_eq_nocase((struct str){target.p, scheme.len}, scheme)) {
        target = from(target, scheme.len);
        p->host = (struct str){target.p, str_find(target, '/')};
        target = p->host.len < target.len ? from(target, p->host.len) : STR("/");
        if (p->host.len == 0 || str_find(p->host, '?') < p->host.len) {
            return 400;
        }
    }
    size_t mark = str_find(target, '?');

    p->path = (struct str){target.p, mark};
    p->query = mark < target.len ? from(target, mark + 1) : (struct str){0};
    return target.len > 0 && target.p[0] == '/' && str_find(target, '#') == target.len ? MORE : 400;
}

static int on_head_complete(llhttp_t *reader)
{
    struct http_parse *p = reader->data;
    bool is_http_1_0 = reader->http_major == 1 && reader->http_minor == 0;

    if (!is_http_1_0 && (reader->http_major != 1 || reader->http_minor != 1)) {
        return give(p, 505);
    }
    if (reader->method == HTTP_CONNECT) {
        return give(p, 501); /* llhttp would not read its body */
    }
    if (is_http_1_0 ? p->is_chunked : p->host.p == NULL) {
        return give(p, 400);
    }
    if ((reader->flags & F_CONTENT_LENGTH) != 0 && reader->content_length > HTTP_BODY_MAX) {
        return give(p, 413);
    }
    p->has_head = true;
    p->is_last = is_http_1_0 || (reader->flags & F_CONNECTION_CLOSE) != 0;
    p->expects_continue = p->has_expect;
    p->method = str_from(llhttp_method_name((llhttp_method_t)reader->method));
    return give(p, read_target(p, (struct str){p->target.p, p->target.len}));
}

/* --- the body --- */

static int on_chunk_header(llhttp_t *reader)
{
    struct http_parse *p = reader->data;

    return give(p, reader->content_length > HTTP_BODY_MAX - p->body_text.len ? 413 : MORE);
}

static int on_body(llhttp_t *reader, const char *bytes, size_t len)
{
    struct http_parse *p = reader->data;

    text_append(&p->body_text, bytes, len);
    return 0;
}

static int on_message_complete(llhttp_t *reader)
{
    struct http_parse *p = reader->data;

    p->body = (struct str){p->body_text.p, p->body_text.len};
    p->status = DONE;
    return HPE_PAUSED; /* what follows is the next request's */
}

/* --- all of it --- */

static const llhttp_settings_t settings = {
    .on_url = on_target,
    .on_header_field = on_field,
    .on_header_field_complete = on_name_complete,
    .on_header_value = on_field,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_parse_init(struct http_parse *p)
{
    *p = (struct http_parse){.reader = mem_alloc(sizeof(llhttp_t))};
    llhttp_init(p->reader, HTTP_REQUEST, &settings);
    p->reader->data = p;
    text_init(&p->target, HTTP_HEAD_MAX);
    text_init(&p->field, HTTP_HEAD_MAX);
    text_init(&p->host_text, HTTP_HEAD_MAX);
    text_init(&p->origin_text, HTTP_HEAD_MAX);
    text_init(&p->body_text, HTTP_BODY_MAX);
}

void http_parse_deinit(struct http_parse *p)
{
    mem_free(p->reader);
    text_deinit(&p->target);
    text_deinit(&p->field);
    text_deinit(&p->host_text);
    text_deinit(&p->origin_text);
    text_deinit(&p->body_text);
}

/* What llhttp's verdict on the byte at `at` means. */
static int status_of(const struct http_parse *p, llhttp_errno_t error, const char *at)
{
    if (error == HPE_INVALID_METHOD) { /* it knows no others than its own; other bytes than letters are none */
        return (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') ? 501 : 400;
    }
    if (error != HPE_OK) {
        return error == HPE_INVALID_VERSION || error == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
    }
    if (!p->has_head) {
        return p->len < HTTP_HEAD_MAX ? MORE : 400;
    }
    return p->len <= HTTP_CHUNKED_MAX ? MORE : 413;
}

int http_parse_run(struct http_parse *p, struct str bytes, size_t *ret_used)
{
    size_t used = 0;

    while (p->status == MORE && used < bytes.len) {
        size_t left = bytes.len - used;
        size_t len = p->has_head || left < HTTP_HEAD_MAX - p->len ? left : HTTP_HEAD_MAX - p->len;

        p->piece = bytes.p + used;
        llhttp_errno_t error = llhttp_execute(p->reader, p->piece, len);
        const char *end = error == HPE_OK ? p->piece + len : llhttp_get_error_pos(p->reader);

        used = (size_t)(end - bytes.p);
        p->len += (size_t)(end - p->piece);
        p->status = p->status == MORE ? status_of(p, error, end) : p->status;
    }
    *ret_used = used;
    return p->status;
}
