/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A peer that speaks HTTP/2 frame by frame and checks nothing: what a test sends is what goes out, what comes back is looked at one
 * frame at a time. Header fields are literals without Huffman, so a block reads as it is written.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"

enum raw_type {
    RAW_DATA,
    RAW_HEADERS,
    RAW_PRIORITY,
    RAW_RST,
    RAW_SETTINGS,
    RAW_PUSH,
    RAW_PING,
    RAW_GOAWAY,
    RAW_WINDOW,
    RAW_CONT
};

#define RAW_END_STREAM 0x1
#define RAW_ACK 0x1
#define RAW_END_HEADERS 0x4
#define RAW_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define RAW_PREFACE_LEN 24

struct raw {
    int fd;
    bool is_server; /* the first bytes it gets are the preface */
    bool has_ended; /* the other side's FIN has come */
    uint8_t in[1 << 19];
    size_t end;
    size_t at;
};

struct raw_frame {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    uint32_t len;
    const uint8_t *payload;
};

struct raw_block {
    uint8_t bytes[200000];
    size_t len;
};

static inline uint32_t raw_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void raw_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* --- out --- */

static inline void raw_send(struct raw *r, const void *bytes, size_t len)
{
    ck_assert_int_eq(send(r->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void raw_frame(struct raw *r, enum raw_type type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
    uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)type, flags};

    raw_put32(head + 5, stream);
    raw_send(r, head, sizeof head);
    if (len > 0) {
        raw_send(r, payload, len);
    }
}

static inline void raw_settings(struct raw *r, uint16_t id, uint32_t value)
{
    uint8_t entry[6] = {(uint8_t)(id >> 8), (uint8_t)id};

    raw_put32(entry + 2, value);
    raw_frame(r, RAW_SETTINGS, 0, 0, entry, sizeof entry);
}

static inline void raw_rst(struct raw *r, uint32_t stream, uint32_t error)
{
    uint8_t payload[4];

    raw_put32(payload, error);
    raw_frame(r, RAW_RST, 0, stream, payload, sizeof payload);
}

static inline void raw_goaway(struct raw *r, uint32_t last_id, uint32_t error)
{
    uint8_t payload[8];

    raw_put32(payload, last_id);
    raw_put32(payload + 4, error);
    raw_frame(r, RAW_GOAWAY, 0, 0, payload, sizeof payload);
}

/* RFC 7541 §5.1, with a 7-bit prefix and no Huffman bit. */
static inline void raw_string(struct raw_block *b, const char *text, size_t len)
{
    if (len < 127) {
        b->bytes[b->len++] = (uint8_t)len;
    } else {
        size_t rest = len - 127;

        b->bytes[b->len++] = 127;
        for (; rest >= 128; rest /= 128) {
            b->bytes[b->len++] = (uint8_t)(rest % 128 + 128);
        }
        b->bytes[b->len++] = (uint8_t)rest;
    }
    memcpy(b->bytes + b->len, text, len);
    b->len += len;
}

/* `kind` 0x00: literal without indexing; 0x10: never indexed (RFC 7541 §6.2). */
static inline void raw_field_kind(struct raw_block *b, uint8_t kind, const char *name, const char *value)
{
    b->bytes[b->len++] = kind;
    raw_string(b, name, strlen(name));
    raw_string(b, value, strlen(value));
}

static inline void raw_field(struct raw_block *b, const char *name, const char *value)
{
    raw_field_kind(b, 0x00, name, value);
}

static inline void raw_request(struct raw_block *b)
{
    b->len = 0;
    raw_field(b, ":method", "POST");
    raw_field(b, ":scheme", "http");
    raw_field(b, ":path", "/");
    raw_field(b, ":authority", "a");
}

static inline void raw_headers(struct raw *r, uint32_t stream, bool is_end, const struct raw_block *b)
{
    uint8_t flags = is_end ? RAW_END_STREAM : 0;
    size_t at = b->len < 16384 ? b->len : 16384;

    raw_frame(r, RAW_HEADERS, (uint8_t)(flags | (at == b->len ? RAW_END_HEADERS : 0)), stream, b->bytes, at);
    while (at < b->len) {
        size_t n = b->len - at < 16384 ? b->len - at : 16384;

        raw_frame(r, RAW_CONT, at + n == b->len ? RAW_END_HEADERS : 0, stream, b->bytes + at, n);
        at += n;
    }
}

/* --- in --- */

/* Takes what has come. */
static inline void raw_receive(struct raw *r)
{
    ssize_t n;

    while ((n = recv(r->fd, r->in + r->end, sizeof r->in - r->end, MSG_DONTWAIT)) > 0) {
        r->end += (size_t)n;
    }
    r->has_ended = r->has_ended || n == 0;
    if (r->is_server && r->at == 0 && r->end >= RAW_PREFACE_LEN) {
        ck_assert_mem_eq(r->in, RAW_PREFACE, RAW_PREFACE_LEN);
        r->at = RAW_PREFACE_LEN;
    }
}

/* The next whole frame; false if there is none. */
static inline bool raw_next(struct raw *r, struct raw_frame *ret_frame)
{
    const uint8_t *p = r->in + r->at;
    struct raw_frame f;

    raw_receive(r);
    p = r->in + r->at;
    if (r->end - r->at < 9) {
        return false;
    }
    f = (struct raw_frame){p[3], p[4], raw_u32(p + 5) & 0x7fffffff, raw_u32(p) >> 8, p + 9};
    if (r->end - r->at < 9 + f.len) {
        return false;
    }
    r->at += 9 + f.len;
    *ret_frame = f;
    return true;
}

/* The next frame of that type, passing over others; false if there is none. */
static inline bool raw_find(struct raw *r, enum raw_type type, struct raw_frame *ret_frame)
{
    while (raw_next(r, ret_frame)) {
        if (ret_frame->type == (uint8_t)type) {
            return true;
        }
    }
    return false;
}

/* As raw_find; fails the test if there is none. */
static inline struct raw_frame raw_expect(struct raw *r, enum raw_type type)
{
    struct raw_frame f = {0};

    ck_assert_msg(raw_find(r, type, &f), "no frame of type %d came", (int)type);
    return f;
}
