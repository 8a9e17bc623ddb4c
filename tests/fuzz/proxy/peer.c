/* SPDX-License-Identifier: Apache-2.0 */

#include "peer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "headers.h"

#define HEAD_SIZE 9
#define FIRST_WINDOW 65535
#define BLOCK_MAX ((size_t)16 * 1024)
#define RESPONSE_BYTES 300
#define REFUSED 7
#define INTERNAL 2

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* The peer's own calls are not the proxy's: they are not cut into pieces. */
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);

/* --- life --- */

void peer_open(struct peer *p, int fd, bool is_endpoint, enum plan plan)
{
    memset(p, 0, offsetof(struct peer, in));
    p->fd = fd;
    p->is_endpoint = is_endpoint;
    p->plan = plan;
    p->is_reading = true;
    p->window = FIRST_WINDOW;
    p->next_id = 1;
}

void peer_close(struct peer *p)
{
    if (p->fd >= 0) {
        close(p->fd);
        p->fd = -1;
    }
}

/* --- out --- */

static void put(struct peer *p, const void *bytes, size_t len)
{
    memcpy(p->out + p->out_len, bytes, len);
    p->out_len += len;
}

static bool has_room(const struct peer *p, size_t len)
{
    return !p->is_out_ended && len <= PEER_OUT_MAX - p->out_len;
}

void peer_send(struct peer *p, const void *bytes, size_t len)
{
    if (has_room(p, len)) {
        put(p, bytes, len);
    }
}

void peer_frame(struct peer *p, enum frame_type type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
    uint8_t head[HEAD_SIZE] = {(uint8_t)(len >> 16),    (uint8_t)(len >> 8),     (uint8_t)len,           (uint8_t)type,  flags,
                               (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};

    if (has_room(p, HEAD_SIZE + len)) {
        put(p, head, HEAD_SIZE);
        put(p, payload, len);
    }
}

void peer_number_frame(struct peer *p, enum frame_type type, uint32_t stream, uint32_t number)
{
    uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};

    if (type == WINDOW_UPDATE && stream == 0) {
        p->window += number & INT32_MAX;
    }
    peer_frame(p, type, 0, stream, bytes, sizeof bytes);
}

void peer_greet(struct peer *p)
{
    if (!p->is_endpoint) {
        p->is_http2 = true;
        peer_send(p, preface, sizeof preface - 1);
    }
    peer_frame(p, SETTINGS, 0, 0, "", 0);
}

/* RFC 7541 §5.1 with a prefix of 7 bits. */
static void put_length(struct text *block, size_t len)
{
    uint8_t bytes[4] = {(uint8_t)len, 0, 0, 0};
    size_t count = 1;

    if (len >= 127) {
        bytes[0] = 127;
        bytes[1] = (uint8_t)((len - 127) | 0x80);
        bytes[2] = (uint8_t)((len - 127) >> 7);
        count = 3;
        assert(len - 127 < 1u << 14);
    }
    text_append(block, bytes, count);
}

/* Literal, not indexed, no Huffman. */
static void put_field(struct text *block, struct str name, struct str value)
{
    static char long_value[LONG_VALUE];
    static const char literal;

    if (value.len == 1 && value.p[0] == '*') {
        memset(long_value, 'v', sizeof long_value);
        value = (struct str){long_value, sizeof long_value};
    }
    text_append(block, &literal, 1);
    put_length(block, name.len);
    text_append_str(block, name);
    put_length(block, value.len);
    text_append_str(block, value);
}

static struct peer_stream *find_stream(struct peer *p, uint32_t id)
{
    for (unsigned i = 0; i < PEER_STREAMS && i < p->stream_count; i++) {
        if (p->streams[i].id == id) {
            return &p->streams[i];
        }
    }
    return NULL;
}

static void remember_stream(struct peer *p, uint32_t id)
{
    p->streams[p->stream_count++ % PEER_STREAMS] = (struct peer_stream){.id = id};
}

uint32_t peer_stream(const struct peer *p, unsigned choice)
{
    unsigned known = p->stream_count < PEER_STREAMS ? p->stream_count : PEER_STREAMS;

    return known > 0 ? p->streams[choice % known].id : 0;
}

void peer_headers(struct peer *p, uint32_t stream, unsigned set, uint8_t flags)
{
    struct str rest = str_from(header_sets[set % ARRAY_LEN(header_sets)]);
    struct text block;
    struct str line;

    text_init(&block, BLOCK_MAX);
    while (rest.len > 0 && str_split(&rest, '\n', &line) && line.len > 0) {
        size_t colon = 1 + str_find((struct str){line.p + 1, line.len - 1}, ':');

        put_field(&block, (struct str){line.p, colon}, (struct str){line.p + colon + 2, line.len - colon - 2});
    }
    if (stream == 0) {
        stream = p->next_id;
        p->next_id += 2;
        remember_stream(p, stream);
    }
    peer_frame(p, HEADERS, flags, stream, block.p, block.len);
    text_deinit(&block);
}

void peer_data(struct peer *p, uint32_t stream, size_t len, uint8_t flags, uint8_t padding)
{
    static uint8_t payload[PEER_FRAME_MAX];

    payload[0] = padding;
    peer_frame(p, DATA, flags, stream, payload, len);
}

void peer_finish(struct peer *p)
{
    p->is_out_ended = true;
}

/* --- answers --- */

static void credit(struct peer *p, uint32_t stream, uint32_t len, bool is_end)
{
    if (len == 0) {
        return;
    }
    peer_number_frame(p, WINDOW_UPDATE, 0, len);
    if (!is_end) {
        peer_number_frame(p, WINDOW_UPDATE, stream, len);
    }
}

static void answer_fully(struct peer *p, uint32_t stream)
{
    peer_headers(p, stream, HEADERS_RESPONSE, END_HEADERS);
    peer_data(p, stream, RESPONSE_BYTES, 0, 0);
    peer_headers(p, stream, HEADERS_TRAILERS, END_HEADERS | END_STREAM);
}

/* `is_new`: its headers have just come. */
static void follow_plan(struct peer *p, uint32_t stream, bool is_new, bool is_end)
{
    switch (p->plan) {
    case PLAN_ANSWER:
        if (is_end) {
            answer_fully(p, stream);
        }
        break;
    case PLAN_EARLY:
        if (is_new) {
            answer_fully(p, stream);
        }
        break;
    case PLAN_TRAILERS_ONLY:
        if (is_new) {
            peer_headers(p, stream, HEADERS_TRAILERS_ONLY, END_HEADERS | END_STREAM);
        }
        break;
    case PLAN_REFUSE:
        peer_number_frame(p, RST_STREAM, stream, REFUSED);
        break;
    case PLAN_RESET:
        if (is_new) {
            peer_headers(p, stream, HEADERS_RESPONSE, END_HEADERS);
            peer_number_frame(p, RST_STREAM, stream, INTERNAL);
        }
        break;
    case PLAN_GOAWAY:
        if (is_new) {
            const uint8_t payload[8] = {0, 0, 0, (uint8_t)(stream - 2)};

            peer_frame(p, GOAWAY, 0, 0, payload, sizeof payload);
        }
        break;
    case PLAN_UNENDING:
        if (is_new) {
            peer_headers(p, stream, HEADERS_EARLY_HINTS, END_HEADERS);
            peer_headers(p, stream, HEADERS_RESPONSE, END_HEADERS);
            peer_data(p, stream, RESPONSE_BYTES, 0, 0);
        }
        break;
    case PLAN_SILENT:
    case PLAN_MUTE:
    case PLAN_COUNT:
        break;
    }
}

/* --- in --- */

static void take_stream_frame(struct peer *p, uint8_t type, uint8_t flags, uint32_t id, uint32_t len)
{
    struct peer_stream *s = find_stream(p, id);
    bool is_new = s == NULL && type == HEADERS && p->is_endpoint;
    bool is_end = type != RST_STREAM && (flags & END_STREAM) != 0;

    if (is_new) {
        remember_stream(p, id);
        s = find_stream(p, id);
    }
    if (type == DATA) {
        p->window -= len;
        assert(p->is_wild || p->window >= 0);
        credit(p, id, len, is_end);
    }
    if (s != NULL) {
        assert(p->is_wild || !s->is_ended || type == RST_STREAM);
        s->is_ended = is_end || type == RST_STREAM;
    }
    if (p->is_endpoint && type != RST_STREAM && !p->is_wild) {
        follow_plan(p, id, is_new, is_end);
    }
}

static void take_frame(struct peer *p, const uint8_t *frame, uint32_t len)
{
    uint8_t type = frame[3];
    uint8_t flags = frame[4];
    uint32_t stream = (uint32_t)frame[5] << 24 | (uint32_t)frame[6] << 16 | (uint32_t)frame[7] << 8 | frame[8];

    assert(type == SETTINGS || p->has_settings || p->is_wild); /* RFC 9113 §3.4 */
    if (type == SETTINGS) {
        p->has_settings = true;
    }
    if ((type == SETTINGS || type == PING) && (flags & ACK) == 0 && p->plan != PLAN_MUTE) {
        peer_frame(p, type == SETTINGS ? SETTINGS : PING, ACK, 0, frame + HEAD_SIZE, type == PING ? len : 0);
    }
    if (type == DATA || type == HEADERS || type == RST_STREAM) {
        assert(stream > 0 || p->is_wild);
        take_stream_frame(p, type, flags, stream, len);
    }
}

static void take_frames(struct peer *p)
{
    size_t at = 0;

    while (p->in_len - at >= HEAD_SIZE) {
        const uint8_t *frame = p->in + at;
        uint32_t len = (uint32_t)frame[0] << 16 | (uint32_t)frame[1] << 8 | frame[2];

        if (HEAD_SIZE + len > PEER_FRAME_MAX) {
            assert(p->is_wild); /* we never allow more than 16384 */
            p->is_http2 = false;
            return;
        }
        if (p->in_len - at < HEAD_SIZE + len) {
            break;
        }
        take_frame(p, frame, len);
        at += HEAD_SIZE + len;
    }
    p->in_len -= at;
    memmove(p->in, p->in + at, p->in_len);
}

/* An endpoint is HTTP/2 if the proxy says so. */
static void recognise(struct peer *p)
{
    size_t len = sizeof preface - 1;

    if (p->is_endpoint && !p->is_http2 && p->plan != PLAN_MUTE && p->in_len >= len && memcmp(p->in, preface, len) == 0) {
        p->is_http2 = true;
        p->in_len -= len;
        memmove(p->in, p->in + len, p->in_len);
    }
}

static void read_all(struct peer *p)
{
    ssize_t n;

    while ((n = __real_recv(p->fd, p->in + p->in_len, PEER_FRAME_MAX - p->in_len, 0)) > 0) {
        p->in_len += (size_t)n;
        recognise(p);
        if (p->is_http2) {
            take_frames(p);
        } else if (p->in_len == PEER_FRAME_MAX || p->plan == PLAN_MUTE) {
            p->in_len = 0;
        }
    }
}

static void write_all(struct peer *p)
{
    ssize_t n = p->out_len > 0 ? __real_send(p->fd, p->out, p->out_len, MSG_NOSIGNAL) : 0;

    if (n > 0) {
        p->out_len -= (size_t)n;
        memmove(p->out, p->out + n, p->out_len);
    } else if (n < 0 && errno != EAGAIN) {
        p->out_len = 0;
    }
    if (p->is_out_ended && p->out_len == 0) {
        shutdown(p->fd, SHUT_WR);
    }
}

void peer_turn(struct peer *p)
{
    if (p->fd < 0) {
        return;
    }
    write_all(p);
    if (p->is_reading) {
        read_all(p);
    }
}
