/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of a session share; nobody outside h2/ includes it.
 *
 *   session.c    life of a session: new, drain, close, end
 *   pump.c       bytes in and out: socket ◀▶ nghttp2
 *   callbacks.c  nghttp2's events become the handlers' events
 *   guard.c      what is not put up with: floods, endless header blocks, frames on closed streams, stalls
 *   stream.c     orders on one stream
 *   credit.c     flow control of what we receive
 *   frame_log.c  frames as log lines
 *   farewell.c   the end of a session: last words, FIN, and reading on until the peer has read them
 *   host.c       what the sessions of a loop share
 *   keepalive.c  asks a silent peer whether it lives; answers to PINGs of ours
 *
 *   OPEN ─▶ NOTICED ─▶ DRAINING ─▶ CLOSING ─▶ PARTING ─▶ LINGERING ─▶ CLOSED      (steps may be skipped, never taken back)
 */

#include <assert.h>
#include <nghttp2/nghttp2.h>

#include "h2/guard.h"
#include "h2/host.h"
#include "h2/session.h"
#include "net/timer.h"
#include "policy/window.h"

#define H2_SESSION_MAGIC 0x68325353U

/* What our PINGs ask, eight bytes each; the ACK brings them back. */
#define H2_PING_ALIVE ((const uint8_t *)"alive?\0\0")
#define H2_PING_DRAIN ((const uint8_t *)"drain?\0\0")
#define H2_PING_WINDOW ((const uint8_t *)"window?\0")

enum h2_state {
    H2_STATE_OPEN,
    H2_STATE_NOTICED,   /* server: GOAWAY 2³¹−1 and PING are out; the ACK, or the end timer, leads on */
    H2_STATE_DRAINING,  /* no new streams; closes after the last */
    H2_STATE_CLOSING,   /* streams end in the next pump */
    H2_STATE_PARTING,   /* events are over; what was ordered before is serialised and sent */
    H2_STATE_LINGERING, /* FIN sent; what the peer still sends is thrown away, lest an RST destroy what it has not read */
    H2_STATE_CLOSED,
};

struct h2_out {
    uint8_t *bytes; /* NULL while empty: an idle session holds no buffer */
    size_t start;
    size_t end;
    size_t size;
};

struct h2_session {
    uint32_t magic;
    enum h2_role role;
    enum h2_state state;
    struct stream stream;
    struct loop *loop;
    struct slab *slab;
    nghttp2_session *ng;
    const struct h2_options *options;
    const struct h2_session_ops *ops;
    void *ctx;

    struct deferred pump;
    struct timer ping_timer;
    struct timer end_timer; /* NOTICED: for the ACK; PARTING: for the peer to take it all; LINGERING: for the peer's FIN */
    struct grave grave;

    struct list streams;
    uint32_t stream_count;
    struct h2_stream *receiving; /* link: whose header block is being received */
    struct trace_tag tag;

    uint8_t *preface; /* bytes read before the session existed, until the first pump */
    size_t preface_len;
    struct h2_out out;
    uint64_t serialised_bytes; /* ever appended to `out` */
    uint64_t socket_bytes;     /* of those, taken by the socket */
    struct h2_guard guard;

    uint32_t offered_streams;
    bool offers_connect;      /* server: extended CONNECT */
    enum close_reason reason; /* of the end, once one is decided */
    uint32_t close_error;     /* of the GOAWAY that goes first; H2_NO_ERROR: none */
    uint32_t goaway_sent_error;

    struct usec quiet_since; /* last byte received, or first stream opened after there was none */
    struct usec asked;       /* when is_asked was set */
    struct h2_host *host;    /* link; NULL: none */
    struct list host_node;
    struct list withheld_node;
    uint64_t waiting_bytes; /* of the streams' bodies and header blocks */
    uint64_t told_bytes;    /* of those and `out`, as last told to the host */
    uint64_t withheld;      /* connection credit to be given when the budget allows */
    struct window window;   /* that streams and connection should have */

    bool is_started : 1;   /* SETTINGS submitted */
    bool has_settings : 1; /* the peer's have come */
    bool is_goaway_received : 1;
    bool is_read_stopped : 1;  /* too many frames wait for the socket */
    bool is_write_broken : 1;  /* the socket takes no more; what it has received is still read */
    bool is_drain_ordered : 1; /* drain or goaway was asked for: `reason` is theirs */
    bool is_farewell_sent : 1; /* the last GOAWAY there will be is submitted */
    bool is_abandoned : 1;     /* the owner is gone */
    bool is_last_words : 1;    /* serialising after the end of all events */
    bool is_goodbye_said : 1;  /* of those, everything: GOAWAY is serialised or needless */
    bool is_asked : 1;         /* whether it lives; nothing has come since */
    bool is_traced : 1;        /* this turn's frames are shown: frame_log.h */
};

static inline struct h2_session *h2_session_from(void *ctx)
{
    struct h2_session *s = ctx;

    assert(s->magic == H2_SESSION_MAGIC);
    return s;
}

/* Events may still go up. */
static inline bool h2_session_is_live(const struct h2_session *s)
{
    return s->state < H2_STATE_CLOSING;
}

/* --- session.c --- */

void h2_session_dirty(struct h2_session *s);

/* Submits the first SETTINGS and the connection's window; idempotent. */
void h2_session_start(struct h2_session *s);

/* The second half of a server's drain. */
void h2_session_goaway_now(struct h2_session *s, uint32_t error);

/* Closes the socket, tells the owner, goes to the graveyard. */
void h2_session_end(struct h2_session *s);

/* Ends without another word, whatever the state; streams and owner are told in the next pump. */
void h2_session_cut(struct h2_session *s);

/* Frees the body bytes that wait to be sent; the session must be closing. */
void h2_session_drop_bodies(struct h2_session *s);

/* The one place that changes the state. */
void h2_session_set_state(struct h2_session *s, enum h2_state state);

/* --- farewell.c --- */

/* CLOSING: ends the streams, and the session once its last words are said; from the pump only. */
void h2_farewell_start(struct h2_session *s);
void h2_farewell_pump(struct h2_session *s);     /* PARTING: the pump's turn */
void h2_farewell_readable(struct h2_session *s); /* PARTING, LINGERING */
void h2_farewell_timeout(struct h2_session *s);  /* PARTING, LINGERING */

/* The peer opens a stream while we are parting. */
void h2_farewell_refuse(struct h2_session *s, int32_t id);

/* --- host.c --- */

void h2_host_add(struct h2_session *s);
void h2_host_remove(struct h2_session *s);

/* Looks at how much waits for this session's peer; may close sessions. From the pump. */
void h2_host_account(struct h2_session *s);

bool h2_host_refuses(const struct h2_session *s); /* new streams */
void h2_host_withhold(struct h2_session *s);      /* the session's connection credit waits: h2_credit_release when it may go */

static inline bool h2_host_is_at(const struct h2_session *s, enum budget_level level)
{
    return s->host != NULL && s->host->level >= level;
}

/* --- pump.c --- */

void h2_pump_init(struct h2_session *s);
void h2_pump_deinit(struct h2_session *s);

/* Appends `len` bytes to the out buffer and returns where they belong. */
uint8_t *h2_out_reserve(struct h2_session *s, size_t len);
bool h2_out_is_full(const struct h2_session *s);

/* Serialises until the buffer is full or nghttp2 has nothing more (0, or nghttp2's error), and sends (true: all of it has left). */
int h2_pump_fill(struct h2_session *s);
bool h2_pump_flush(struct h2_session *s);

/* --- callbacks.c --- */

void h2_callbacks_set(nghttp2_session_callbacks *callbacks);

/* --- stream.c --- */

struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id);
int h2_stream_submit_request(struct h2_stream *st, struct h2_headers *headers, bool is_end);

/* A block of this stream was serialised, or never will be. */
void h2_stream_block_done(struct h2_stream *st);

/* Copies the next `len` queued body bytes to `to` and drops them. */
void h2_stream_take(struct h2_stream *st, uint8_t *to, size_t len);

/* Our END_STREAM was serialised. */
void h2_stream_output_ended(struct h2_stream *st);

/* Received bytes that no handler will give back. */
void h2_stream_discard(struct h2_stream *st, size_t len);

/* Answers a request that goes nowhere: CLOSE_HEADER_LIMIT (431, RESOURCE_EXHAUSTED) or CLOSE_BAD_REQUEST (400, INVALID_ARGUMENT). */
void h2_stream_refuse(struct h2_stream *st, enum close_reason reason);

/* Tells the handler and frees the stream. */
void h2_stream_end(struct h2_stream *st, uint32_t error, enum close_reason reason, bool is_unprocessed);

/* Only tells it: the stream has no handler any more. */
void h2_stream_tell_end(struct h2_stream *st, uint32_t error, enum close_reason reason, bool is_unprocessed);
void h2_stream_drop_body(struct h2_stream *st);

ssize_t h2_stream_read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
                            nghttp2_data_source *source, void *user_data);

/* --- credit.c --- */

/* Body bytes have come, whatever becomes of them. */
void h2_credit_received(struct h2_session *s, size_t len);

/* The credit that was withheld. */
void h2_credit_release(struct h2_session *s);

/* The answer to the question about the window. */
void h2_credit_answered(struct h2_session *s);

/* --- keepalive.c --- */

void h2_keepalive_init(struct h2_session *s);
void h2_keepalive_stream_opened(struct h2_session *s);
void h2_keepalive_heard(struct h2_session *s); /* something was received */
void h2_keepalive_stop(struct h2_session *s);

/* The peer has answered a PING of ours. */
void h2_ping_answered(struct h2_session *s, const uint8_t payload[static 8]);
