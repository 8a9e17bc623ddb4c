/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Raw TCP both ways: bytes, half-close and reset carried over as they are; no idle timeout.
 *
 *     client side ── sends (one_way) ─▶ server side        each side: its socket, what it sends, whether it is broken
 *     client side ◀─ sends (one_way) ── server side
 *
 * A side breaks by a reset, or when its peer is gone: the kernel says so of one that nothing is under way to (keep-alive), the relay asks
 * about the others. That is noticed in every state, also while nothing is read from it:
 * after its FIN, or while the other side takes nothing. What it had sent before is still delivered, then the other side gets a RST: at
 * once when the other's kernel has acknowledged all of it, and no later than RELAY_RESET_PATIENCE after the last progress.
 *
 * Owner:   a connection.
 * Threads: the worker's.
 * Errors:  the end is reported once, with its reason.
 * Limits:  those of one_way, each direction.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/close_reason.h"
#include "base/usec.h"
#include "net/splice.h"
#include "net/stream.h"

#define RELAY_RESET_PATIENCE usec_from_s(5) /* a receiver that has stopped reading must learn of the reset as well */

struct metric;

struct relay_start {
    struct stream *client; /* taken */
    struct stream *server;
    const void *from_client; /* bytes already read, to go first */
    size_t from_client_len;
    const void *from_server;
    size_t from_server_len;
    bool is_client_ended; /* the client's FIN was read already */
    bool is_server_ended;
    struct metric *to_server_bytes;
    struct metric *to_client_bytes;
    struct splice_pool *pipes;
    struct usec keepalive;      /* of both sockets; 0: none */
    struct usec reset_patience; /* RELAY_RESET_PATIENCE, but for tests */
};

struct relay;

/* `on_end` is called once, from an event, never from within relay_new; then free it. */
struct relay *relay_new(const struct relay_start *start, void (*on_end)(void *ctx, enum close_reason reason), void *ctx);

/* Closes both sides (RST where `is_abort`) and frees at the end of the turn. Nulls the link; accepts NULL inside. */
void relay_close(struct relay **r, bool is_abort);
