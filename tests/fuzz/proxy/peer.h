/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The other end of one of the proxy's sockets: a client, or an endpoint. It sends what the script says, well formed or not, reads when
 * it is told to, and answers by itself as it was told (SETTINGS and PING with their ACK, DATA with credit, requests by its plan).
 *
 * It also judges: what the proxy sends must be HTTP/2 (SETTINGS first, frames of a legal size, nothing on a stream after its end, no
 * DATA beyond the connection's window), unless this peer itself has sent raw bytes, which may have said anything.
 *
 * Owner:   the world (world.h).
 * Limits:  PEER_OUT_MAX bytes wait for the socket; an order that would pass it is dropped. PEER_STREAMS streams are remembered.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_OUT_MAX ((size_t)128 * 1024)
#define PEER_STREAMS 16
#define PEER_FRAME_MAX ((size_t)16384 + 9)

enum frame_type { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum frame_flag { ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };

/* How an endpoint answers a request. */
enum plan {
    PLAN_ANSWER,        /* headers, DATA, trailers, once the request has ended */
    PLAN_EARLY,         /* the same as soon as its headers are there */
    PLAN_TRAILERS_ONLY, /* as soon as its headers are there */
    PLAN_SILENT,
    PLAN_REFUSE,   /* RST_STREAM REFUSED_STREAM */
    PLAN_RESET,    /* headers, then RST_STREAM INTERNAL_ERROR */
    PLAN_GOAWAY,   /* GOAWAY that leaves the stream out */
    PLAN_UNENDING, /* 103, headers and DATA, no end */
    PLAN_MUTE,     /* not even SETTINGS: the connection says nothing by itself */
    PLAN_COUNT
};

struct peer_stream {
    uint32_t id;
    bool is_ended; /* the proxy has sent END_STREAM or RST_STREAM */
};

struct peer {
    int fd; /* -1: none */
    bool is_endpoint;
    bool is_http2;   /* it speaks HTTP/2: answers, and judges */
    bool is_wild;    /* it or whom it is relayed to may have sent anything */
    bool is_reading; /* else the socket fills up */
    bool is_out_ended;
    bool has_settings; /* the proxy's SETTINGS came */
    enum plan plan;
    size_t out_len;
    size_t in_len;
    int64_t window; /* bytes of DATA the proxy may still send */
    uint32_t next_id;
    struct peer_stream streams[PEER_STREAMS]; /* the latest ones, by either side */
    unsigned stream_count;
    uint8_t in[PEER_FRAME_MAX];
    uint8_t out[PEER_OUT_MAX];
};

void peer_open(struct peer *p, int fd, bool is_endpoint, enum plan plan);
void peer_close(struct peer *p); /* accepts one that is closed */

/* The HTTP/2 connection's beginning: a client's preface, and SETTINGS (an endpoint's may come before it knows whom it talks to). */
void peer_greet(struct peer *p);

/* Raw bytes. */
void peer_send(struct peer *p, const void *bytes, size_t len);
void peer_frame(struct peer *p, enum frame_type type, uint8_t flags, uint32_t stream, const void *payload, size_t len);
void peer_number_frame(struct peer *p, enum frame_type type, uint32_t stream, uint32_t number); /* RST_STREAM, WINDOW_UPDATE */

/* A client's new stream, or (`stream` ≠ 0) a block on that one. `set` is an index into headers.h. */
void peer_headers(struct peer *p, uint32_t stream, unsigned set, uint8_t flags);
void peer_data(struct peer *p, uint32_t stream, size_t len, uint8_t flags, uint8_t padding);
void peer_finish(struct peer *p); /* FIN after what waits */

/* The id of one of the streams known, by any number. 0: none. */
uint32_t peer_stream(const struct peer *p, unsigned choice);

/* Sends what waits, reads what is there. */
void peer_turn(struct peer *p);
