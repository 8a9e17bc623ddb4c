/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Raw TCP both ways: bytes, half-close and reset carried over as they are; no idle timeout.
 *
 *     client ──▶ pipe direction 0 ──▶ server          each direction: copy through the loop's read buffer; what the other side does not
 *     client ◀── pipe direction 1 ◀── server          take waits (64 KiB at most) and stops the reading; bulk goes through splice
 *
 * Owner:   a connection.
 * Threads: the worker's.
 * Errors:  a reset or socket error on one side aborts the other (RST); the end is reported once, with its reason.
 * Limits:  RELAY_HELD_MAX bytes a direction in memory, or one pipe.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/close_reason.h"
#include "net/splice.h"
#include "net/stream.h"

#define RELAY_HELD_MAX LOOP_READ_BUFFER_SIZE
#define RELAY_FULL_READS 4 /* in a row make a direction bulk */

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
};

struct relay;

/* `on_end` is called once, from an event, never from within relay_new; then free it. */
struct relay *relay_new(const struct relay_start *start, void (*on_end)(void *ctx, enum close_reason reason), void *ctx);

/* Closes both sides (RST where `is_abort`) and frees at the end of the turn. Nulls the link; accepts NULL inside. */
void relay_close(struct relay **r, bool is_abort);
