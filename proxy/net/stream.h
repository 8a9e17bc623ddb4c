/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A connected, non-blocking TCP socket on a loop: level-triggered "readable" and "writable" events, plain recv and send.
 *
 * Reading is interest-driven: nothing is read unless the owner calls stream_recv, and stream_want_read(false) is back-pressure.
 * Callers never touch the fd, except splice (stream_fd). With TLS started on it (stream_start_tls) a stream behaves the same: the
 * handshake happens by itself, events speak of plain bytes.
 *
 * Owner:   embedded in a connection, relay or session.
 * Threads: the loop's.
 * Errors:  negative errno; -EAGAIN means "wait for the event". A closed stream, or one that is all zero, answers -EBADF and wants nothing.
 */

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/container.h"
#include "base/usec.h"
#include "net/loop.h"

struct tls;
struct tls_context;

struct stream {
    struct loop *loop;
    int fd; /* -1 once closed */
    struct event readable;
    struct event writable;
    struct tls *tls; /* NULL: plain TCP */
    bool wants_read; /* what the owner asked for */
    bool wants_write;
    bool is_reading; /* is the event above added? Differs from the wish only where TLS has needs of its own */
    bool is_writing;
    bool is_watched;                       /* for hang-ups */
    void (*on_readable)(struct stream *s); /* data, EOF or an error is there: call stream_recv */
    void (*on_writable)(struct stream *s);
    void (*on_hangup)(struct stream *s); /* NULL: nobody asks */
};

/* Takes `fd` (non-blocking, connected). No event is wanted yet. */
void stream_init(struct stream *s, struct loop *l, int fd);
void stream_set_handlers(struct stream *s, void (*on_readable)(struct stream *s), void (*on_writable)(struct stream *s));

/*
 * From now on the bytes are TLS (net/tls.h says what `server_name` is). The handshake begins at once and needs no event of the owner;
 * until it is done stream_send and stream_recv answer -EAGAIN. If it fails they answer -EPROTO, and stream_tls_error says why. The
 * context may be given back afterwards. -ENOMEM when a session cannot be set up.
 */
int stream_start_tls(struct stream *s, struct tls_context *context, const char *server_name) MUST_CHECK;
const char *stream_tls_error(const struct stream *s); /* "" when there is none */
const char *stream_tls_alpn(const struct stream *s);  /* what was agreed; NULL: nothing (yet) */

/*
 * While nothing is read from the socket (from the first stream_want_read(false) on): an error may have come, or both directions have
 * ended. Ask stream_take_error: 0 means the latter.
 */
void stream_set_hangup_handler(struct stream *s, void (*on_hangup)(struct stream *s));

/* Moves the socket to another owner: `from` is closed without closing the socket; `to` is as after stream_init. */
void stream_move(struct stream *to, struct stream *from);

/* Cheap when nothing changes. */
void stream_want_read(struct stream *s, bool wanted);
void stream_want_write(struct stream *s, bool wanted);

/* Bytes read (> 0), 0 at the peer's FIN, or negative errno. */
ssize_t stream_recv(struct stream *s, void *buf, size_t size) MUST_CHECK;

/* Looks without taking. */
ssize_t stream_peek(struct stream *s, void *buf, size_t size) MUST_CHECK;

/* Bytes taken (may be fewer), or negative errno. Never raises SIGPIPE. */
ssize_t stream_send(struct stream *s, const void *buf, size_t len) MUST_CHECK;

/* The error that waits in the socket (a reset, a dead peer), as negative errno; 0: none. Takes it away: send and recv then say EPIPE
 * and 0. Bytes that came before it can still be read. */
int stream_take_error(struct stream *s) MUST_CHECK;

/* Bytes sent that the peer's kernel has not acknowledged, and those of them that have not even left (its window is closed). */
size_t stream_unacknowledged(const struct stream *s);
size_t stream_unsent(const struct stream *s);

/*
 * Bytes are under way, nothing has come back for `limit`, and at least three attempts went unanswered: what the kernel itself would say
 * after 15 minutes. A peer that is there but does not read answers, and is not gone. Only with socket_set_keepalive, and a `limit` of at
 * least twice its `idle`: otherwise a peer may be silent that was not asked.
 */
bool stream_peer_is_gone(const struct stream *s, struct usec limit);

/* FIN towards the peer; reading goes on. */
void stream_shutdown_write(struct stream *s);

/* Orderly close. Idempotent. */
void stream_close(struct stream *s);

/* RST towards the peer, then as stream_close. */
void stream_abort(struct stream *s);

bool stream_is_open(const struct stream *s);
int stream_fd(const struct stream *s);

/* Addresses of this connection; false once the socket is gone. */
bool stream_local_addr(const struct stream *s, struct addr *ret_addr);
bool stream_peer_addr(const struct stream *s, struct addr *ret_addr);
