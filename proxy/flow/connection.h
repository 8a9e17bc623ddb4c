/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The life of one redirected connection, from accept to its end:
 *
 *     accepted ─▶ detecting ─┬─▶ asking discovery ─▶ http (outbound.c)        ─┐
 *                            ├─▶ dialling the app  ─▶ http (inbound.c)         ├─▶ closed (graveyard)
 *                            └─▶ relaying: raw TCP to the original destination ─┘
 *
 * Detection itself is policy/detect; this module feeds it bytes, time and the speculative dial.
 *
 * Owner:   the worker (its list of connections).
 * Threads: the worker's.
 * Errors:  every end has one close reason, counted and logged once, here.
 * Limits:  DETECT_CLIENT_MAX bytes of the client and DETECT_SERVER_MAX of the server are held while detecting; the rest waits in the
 *          kernel.
 */

#include <stdbool.h>

#include "base/addr.h"
#include "base/close_reason.h"
#include "base/list.h"
#include "flow/metrics.h"
#include "flow/worker.h"
#include "net/connect.h"
#include "net/stream.h"
#include "net/timer.h"
#include "policy/detect.h"

#define DETECT_CLIENT_MAX 1024
#define DETECT_SERVER_MAX 1024

struct http_side;
struct relay;

enum connection_state {
    CONNECTION_DETECTING,
    CONNECTION_ASKING,
    CONNECTION_DIALLING,
    CONNECTION_RELAYING,
    CONNECTION_HTTP,
    CONNECTION_CLOSED
};

struct connection {
    struct worker *worker; /* owner */
    struct list node;
    struct grave grave;
    enum direction direction;
    enum connection_state state;
    struct addr original; /* where the client wanted to go */
    struct addr peer;     /* the client */
    uint64_t id;

    struct stream client;
    struct stream server; /* the speculative dial, until relay or session takes it */
    struct connect dial;
    struct detect detect;
    int dial_error; /* negative errno once the dial failed */
    bool has_dialled;
    bool is_http;         /* what the dial is for, in state DIALLING */
    bool is_client_ended; /* its FIN was read */
    bool is_server_ended;
    struct timer timer; /* detect's deadlines; discovery's timeout */

    uint8_t held_client[DETECT_CLIENT_MAX];
    size_t held_client_len;
    uint8_t held_server[DETECT_SERVER_MAX];
    size_t held_server_len;

    struct directory_watch watch;
    struct relay *relay;    /* owned; state RELAYING */
    struct http_side *http; /* owned; state HTTP */
};

/* Takes `fd`. Reads where it wanted to go and refuses loops. */
void connection_accept(struct worker *w, enum direction d, int fd, const struct addr *peer);

/* Ends it now, with RST towards the client where `is_abort`. Idempotent. */
void connection_close(struct connection *c, enum close_reason reason, bool is_abort);

/* The proxy drains: HTTP/2 connections say GOAWAY and end after their last stream; detecting and raw ones go on. */
void connection_drain(struct connection *c, enum close_reason reason);

/* Forwards as raw TCP from here on, over the speculative connection if there is one. */
void connection_become_raw(struct connection *c);

/* For the log: "out-17 10.0.0.5:4312>10.96.0.10:50051". */
const char *connection_text(const struct connection *c, char out[static 2 * ADDR_TEXT_SIZE + 32]);
