/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One TLS session over a connected, non-blocking socket. Nobody but net/stream drives it: a stream with a session looks to its owner
 * like one without.
 *
 *     recv ◀── mbedTLS ◀── socket          records are read straight from the socket
 *     send ──▶ mbedTLS ──▶ out ──▶ socket  whole records wait in `out` for the socket, so that none is ever half made
 *
 * Owner:   the stream.
 * Threads: the loop's.
 * Errors:  negative errno; -EPROTO for what TLS itself refuses: tls_error_text says what.
 * Limits:  37 KiB a session inside mbedTLS; `out` holds what one tls_send took: TLS_SEND_MAX bytes and the records' overhead.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/container.h"
#include "net/tls_context.h"

#define TLS_SEND_MAX ((size_t)64 * 1024)

struct tls;

/*
 * `server_name` (client): the DNS name or IP address that the server's certificate must be for; a DNS name is sent as SNI too.
 * Servers: NULL. NULL when the session cannot be set up.
 */
struct tls *tls_new(struct tls_context *context, const char *server_name);
void tls_free(struct tls **t); /* nulls; accepts NULL inside */

/* One step with the socket as it is. 0: done; -EAGAIN: wait for bytes, and for the socket if tls_has_output. */
int tls_handshake(struct tls *t, int fd) MUST_CHECK;
bool tls_is_established(const struct tls *t);

/* Bytes (> 0): as many as are there; 0 at the peer's close_notify or FIN (after which no more is read); -EAGAIN, … */
ssize_t tls_recv(struct tls *t, int fd, void *buf, size_t size) MUST_CHECK;

/* Bytes taken: all or TLS_SEND_MAX; -EAGAIN while earlier ones wait for the socket. */
ssize_t tls_send(struct tls *t, int fd, const void *buf, size_t len) MUST_CHECK;

/* 0 when nothing waits any more. */
int tls_flush(struct tls *t, int fd) MUST_CHECK;
bool tls_has_output(const struct tls *t);

/* Decrypted bytes wait inside, for which no event of the socket will come. */
bool tls_has_input(const struct tls *t);

/* close_notify, as far as the socket takes it. */
void tls_shutdown(struct tls *t, int fd);

const char *tls_alpn(const struct tls *t);       /* what was agreed; NULL: nothing */
const char *tls_error_text(const struct tls *t); /* of the last -EPROTO; "" before */
