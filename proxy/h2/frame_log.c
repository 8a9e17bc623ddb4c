/* SPDX-License-Identifier: Apache-2.0 */

#include "h2/frame_log.h"

#include <stdio.h>

#include "base/log.h"

#define FRAME_TEXT_MAX ((size_t)6 * 1024) /* the rest of a log line is for its head */
#define GOAWAY_DEBUG_MAX 128

/* --- names --- */

static const char *const type_names[] = {
    [NGHTTP2_DATA] = "DATA",
    [NGHTTP2_HEADERS] = "HEADERS",
    [NGHTTP2_PRIORITY] = "PRIORITY",
    [NGHTTP2_RST_STREAM] = "RST_STREAM",
    [NGHTTP2_SETTINGS] = "SETTINGS",
    [NGHTTP2_PUSH_PROMISE] = "PUSH_PROMISE",
    [NGHTTP2_PING] = "PING",
    [NGHTTP2_GOAWAY] = "GOAWAY",
    [NGHTTP2_WINDOW_UPDATE] = "WINDOW_UPDATE",
    [NGHTTP2_CONTINUATION] = "CONTINUATION",
};

static const char *const setting_names[] = {
    [1] = "HEADER_TABLE_SIZE", /* RFC 9113 §6.5.2 */
    [2] = "ENABLE_PUSH",           [3] = "MAX_CONCURRENT_STREAMS", [4] = "INITIAL_WINDOW_SIZE",
    [5] = "MAX_FRAME_SIZE",        [6] = "MAX_HEADER_LIST_SIZE",   [8] = "ENABLE_CONNECT_PROTOCOL", /* RFC 8441 */
    [9] = "NO_RFC7540_PRIORITIES",                                                                  /* RFC 9218 */
};

struct flag {
    uint8_t bit;
    const char *name;
};

static const struct flag data_flags[] = {{NGHTTP2_FLAG_END_STREAM, "END_STREAM"}, {NGHTTP2_FLAG_PADDED, "PADDED"}, {0}};
static const struct flag headers_flags[] = {{NGHTTP2_FLAG_END_STREAM, "END_STREAM"},
                                            {NGHTTP2_FLAG_END_HEADERS, "END_HEADERS"},
                                            {NGHTTP2_FLAG_PADDED, "PADDED"},
                                            {NGHTTP2_FLAG_PRIORITY, "PRIORITY"},
                                            {0}};
static const struct flag ack_flags[] = {{NGHTTP2_FLAG_ACK, "ACK"}, {0}};
static const struct flag no_flags[] = {{0}};

static const struct flag *flags_of(uint8_t type)
{
    switch (type) {
    case NGHTTP2_DATA:
        return data_flags;
    case NGHTTP2_HEADERS:
        return headers_flags;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
        return ack_flags;
    default:
        return no_flags;
    }
}

static void append_flags(struct text *out, const nghttp2_frame_hd *hd)
{
    const char *before = " flags=";

    for (const struct flag *f = flags_of(hd->type); f->name != NULL; f++) {
        if ((hd->flags & f->bit) != 0) {
            text_printf(out, "%s%s", before, f->name);
            before = "|";
        }
    }
}

/* --- fields --- */

static bool contains(struct str s, struct str part)
{
    for (size_t i = 0; i + part.len <= s.len; i++) {
        if (str_starts_with((struct str){s.p + i, s.len - i}, part)) {
            return true;
        }
    }
    return false;
}

/* Names that carry secrets, and words that make a name one of them ("x-session-token", "x-api-key-id"). */
static bool is_secret(struct str name)
{
    static const char *const names[] = {"authorization", "proxy-authorization", "cookie", "set-cookie", "authentication-info"};
    static const char *const words[] = {"token",  "secret",    "passw",   "credential", "api-key",
                                        "apikey", "signature", "session", "jwt",        "client-cert"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(name, str_from(names[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (contains(name, str_from(words[i]))) {
            return true;
        }
    }
    return false;
}

/* What may carry a URL: a query is for the server alone. */
static bool is_url(struct str name)
{
    return str_eq(name, STR(":path")) || str_eq(name, STR("referer")) || str_eq(name, STR("location")) ||
           str_eq(name, STR("content-location"));
}

void frame_log_field(struct text *out, struct str name, struct str value, bool is_never_indexed)
{
    size_t query = is_url(name) ? str_find(value, '?') : value.len;
    struct str shown = {value.p, query < FRAME_LOG_VALUE_MAX ? query : FRAME_LOG_VALUE_MAX};

    text_append(out, " ", 1);
    text_append_str(out, name);
    if (is_secret(name) || is_never_indexed) {
        text_printf(out, "=*** (%zu bytes)", value.len);
        return;
    }
    text_append(out, "=", 1);
    text_append_json(out, shown);
    if (shown.len < query) {
        text_printf(out, "… (%zu bytes)", value.len);
    } else if (query < value.len) {
        text_printf(out, "?*** (%zu bytes)", value.len - query - 1);
    }
}

static void append_received(struct text *out, const struct h2_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct h2_field *f = &headers->field[i];

        frame_log_field(out, f->name, f->value, f->is_never_indexed);
    }
}

static void append_sent(struct text *out, const nghttp2_headers *frame)
{
    for (size_t i = 0; i < frame->nvlen; i++) {
        const nghttp2_nv *nv = &frame->nva[i];

        frame_log_field(out, (struct str){(const char *)nv->name, nv->namelen},
                        (struct str){(const char *)nv->value, nv->valuelen}, (nv->flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
    }
}

/* --- frames --- */

static void append_settings(struct text *out, const nghttp2_settings *frame)
{
    for (size_t i = 0; i < frame->niv; i++) {
        int32_t id = frame->iv[i].settings_id;

        if (id > 0 && id < (int32_t)ARRAY_LEN(setting_names) && setting_names[id] != NULL) {
            text_printf(out, " %s=%u", setting_names[id], frame->iv[i].value);
        } else {
            text_printf(out, " 0x%x=%u", (unsigned)id, frame->iv[i].value);
        }
    }
}

static void append_goaway(struct text *out, const nghttp2_goaway *frame)
{
    size_t len = frame->opaque_data_len < GOAWAY_DEBUG_MAX ? frame->opaque_data_len : GOAWAY_DEBUG_MAX;

    text_printf(out, " last_stream=%d error=%s", frame->last_stream_id, nghttp2_http2_strerror(frame->error_code));
    if (len > 0) {
        text_printf(out, " debug=");
        text_append_json(out, (struct str){(const char *)frame->opaque_data, len});
    }
}

static void append_ping(struct text *out, const nghttp2_ping *frame)
{
    text_printf(out, " data=");
    for (size_t i = 0; i < sizeof frame->opaque_data; i++) {
        text_printf(out, "%02x", (unsigned)frame->opaque_data[i]);
    }
}

static void append_payload(struct text *out, const nghttp2_frame *frame, const struct h2_headers *headers)
{
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (headers != NULL) {
            append_received(out, headers);
        } else {
            append_sent(out, &frame->headers);
        }
        break;
    case NGHTTP2_SETTINGS:
        append_settings(out, &frame->settings);
        break;
    case NGHTTP2_RST_STREAM:
        text_printf(out, " error=%s", nghttp2_http2_strerror(frame->rst_stream.error_code));
        break;
    case NGHTTP2_GOAWAY:
        append_goaway(out, &frame->goaway);
        break;
    case NGHTTP2_PING:
        append_ping(out, &frame->ping);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        text_printf(out, " increment=%d", frame->window_update.window_size_increment);
        break;
    default:
        break;
    }
}

void frame_log_format(struct text *out, const nghttp2_frame *frame, const struct h2_headers *headers)
{
    const nghttp2_frame_hd *hd = &frame->hd;

    if (hd->type < ARRAY_LEN(type_names)) {
        text_printf(out, "%s", type_names[hd->type]);
    } else {
        text_printf(out, "0x%x", (unsigned)hd->type);
    }
    if (hd->stream_id != 0) {
        text_printf(out, " stream=%d", hd->stream_id);
    }
    text_printf(out, " len=%zu", hd->length);
    append_flags(out, hd);
    append_payload(out, frame, headers);
}

/* --- lines --- */

void h2_session_tag(struct h2_session *s, const struct trace_tag *tag)
{
    s->tag = *tag;
}

void frame_log_look(struct h2_session *s)
{
    s->is_traced = log_is_enabled(LOG_H2, LOG_DEBUG) || trace_matches(&s->tag, loop_now(s->loop));
}

static void write_line(const struct h2_session *s, const char *direction, const nghttp2_frame *frame,
                       const struct h2_headers *headers)
{
    static struct log_site site = {.per_second = FRAME_LOG_LINES_PER_SECOND};
    char id[TRACE_ID_SIZE + 1 + ADDR_TEXT_SIZE];
    char number[TRACE_ID_SIZE];
    char peer[ADDR_TEXT_SIZE] = "";
    struct text line;

    if (s->tag.peer.family != ADDR_NONE) {
        addr_format(&s->tag.peer, peer);
    }
    snprintf(id, sizeof id, "%s %s", trace_id(&s->tag, number), peer);
    text_init(&line, FRAME_TEXT_MAX);
    frame_log_format(&line, frame, headers);
    log_write(&site, LOG_H2, LOG_DEBUG, id, "%s %s%s", direction, line.p, line.is_cut ? "…" : "");
    text_deinit(&line);
}

void frame_log_read(const struct h2_session *s, const nghttp2_frame *frame)
{
    const struct h2_headers *headers = frame->hd.type == NGHTTP2_HEADERS && s->receiving != NULL ? s->receiving->receiving : NULL;

    write_line(s, "read", frame, headers);
}

void frame_log_wrote(const struct h2_session *s, const nghttp2_frame *frame)
{
    write_line(s, "wrote", frame, NULL);
}
