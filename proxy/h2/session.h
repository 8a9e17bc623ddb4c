/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One HTTP/2 connection (RFC 9113), as server or as client, over a stream of bytes; and its streams.
 *
 *     socket ──▶ recv buffer ──▶ nghttp2 mem_recv ──▶ h2_stream_ops / h2_session_ops   (events: up)
 *     socket ◀── out buffer  ◀── nghttp2 mem_send ◀── h2_stream_send_* , _reset, _consume (orders: down)
 *
 * Events go up, orders go down, and an order never causes an event before it returns: orders are recorded with nghttp2, mark the
 * session dirty, and one pump at the end of the loop turn writes. So a handler may order anything on any session, its own included,
 * from within an event. Both sessions of a proxied exchange must be on the same loop.
 *
 * Owner:   a session belongs to whoever made it (a connection, a pool). Streams belong to their session until on_closed, their last
 *          event, returns; whoever serves a stream holds a link.
 * Threads: the loop's.
 * Errors:  0 or negative errno from orders that can fail; everything else ends in on_closed with a reason.
 * Limits:  see struct h2_options. Body bytes waiting to be sent on a stream are bounded by the credit the caller returns to the other
 *          side (H2 windows), trailers and headers by max_header_list_bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/close_reason.h"
#include "base/container.h"
#include "base/list.h"
#include "base/str.h"
#include "base/trace.h"
#include "base/usec.h"
#include "h2/headers.h"
#include "net/stream.h"

/* RFC 9113 §7 */
enum h2_error {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_FLOW_CONTROL_ERROR = 3,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_ENHANCE_YOUR_CALM = 11,
    /* others pass through as numbers */
};

enum h2_role { H2_SERVER, H2_CLIENT };

struct h2_host;

struct h2_options {
    uint32_t max_concurrent_streams;  /* what we offer the peer; client: the most we open, whatever it offers */
    uint32_t stream_window_bytes;     /* window of each stream we receive on: what it can make us hold */
    uint32_t connection_window_bytes; /* of all together, on their way to us */
    uint32_t max_window_bytes;        /* both windows grow up to this as needed (policy/window.h); 0: they stay */
    struct h2_host *host;             /* link; NULL: none */
    uint32_t max_header_list_bytes;   /* received header blocks and trailers; announced too */
    uint32_t out_buffer_bytes;        /* the pump stops serialising DATA when this much waits for the socket */
    struct usec ping_after;           /* nothing received for this long (clients: with streams open): ask the peer. 0: never */
    struct usec ping_timeout;         /* no answer for this long: CLOSE_PEER_TIMEOUT */
    struct usec tcp_keepalive;        /* servers: the socket's; no ACK for twice as long: CLOSE_PEER_TIMEOUT. 0: never */
    struct usec stall_timeout;        /* the peer takes nothing of what waits for it for this long: CLOSE_STALLED. 0: never */
    uint32_t reset_rate;              /* streams a peer may reset a second, and at once (policy/flood). 0: the default */
};

struct h2_session;
struct h2_stream;

enum h2_block { H2_REQUEST, H2_INFORMATIONAL, H2_RESPONSE, H2_TRAILERS };

struct h2_stream_ops {
    /* A header block. `headers` is the handler's now. With `is_end` the peer has finished sending (no on_end follows). */
    void (*on_headers)(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end);

    /* Body bytes, in the receive buffer: copy what is to be kept (h2_stream_send_data does). Each byte must some day be given back with
     * h2_stream_consume, except that on_closed gives back the rest. */
    void (*on_data)(struct h2_stream *s, const uint8_t *data, size_t len);

    /* END_STREAM that came with or after DATA. */
    void (*on_end)(struct h2_stream *s);

    /* `len` body bytes of ours have been put on their way (serialised within out_buffer_bytes of the socket). */
    void (*on_sent)(struct h2_stream *s, size_t len);

    /* The stream is over and is freed when this returns. `error`: RFC 9113 §7 code, H2_NO_ERROR after a complete exchange.
     * `reason` says who ended it. `is_unprocessed`: the peer has provably not acted on the request (REFUSED_STREAM, above a GOAWAY's
     * last stream id, or never sent). */
    void (*on_closed)(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed);
};

struct h2_stream {
    struct h2_session *session; /* owner */
    const struct h2_stream_ops *ops;
    void *ctx; /* the handler's link */
    int32_t id;
    /* the rest is the session's */
    struct list node;             /* on the session's list of streams */
    struct h2_headers *receiving; /* block being received */
    struct h2_headers *trailers;  /* to be sent after the body */
    struct list sending;          /* blocks that nghttp2 has not serialised yet, in their order */
    struct list out_chunks;       /* body bytes waiting to be sent */
    size_t out_bytes;             /* in out_chunks */
    size_t unconsumed;            /* received bytes not yet given back */
    uint32_t window_bytes;        /* that the peer may send us ahead */
    uint64_t received_bytes;      /* body bytes received so far */
    uint64_t sent_bytes;
    uint64_t wire_offset;         /* of HEADERS in everything the session has serialised */
    uint32_t drop_error;          /* of h2_stream_drop_request */
    uint64_t stall_mark;          /* sent_bytes when it was last seen to move */
    struct usec stalled_since;    /* seen not to move since */
    uint32_t informational_count; /* client: 1xx blocks received */
    enum close_reason end_reason; /* known before the end; CLOSE_DONE: not yet */
    bool is_out_ended : 1;        /* send_end or send_trailers was ordered */
    bool is_deferred : 1;         /* nghttp2 waits for resume_data */
    bool is_headers_sent : 1;     /* final header block ordered */
    bool is_headers_received : 1; /* final header block (server: the request) */
    bool is_in_ended : 1;         /* END_STREAM received */
    bool is_reset_ordered : 1;
    bool is_serialised : 1;     /* client: HEADERS left nghttp2, at wire_offset */
    bool is_over_limit : 1;     /* the block being received exceeds the limit; what is left of it is only decoded */
    bool keeps_request : 1;     /* server: a request goes on when its response has ended */
    bool is_out_serialised : 1; /* our END_STREAM left nghttp2 */
    bool is_reset_received : 1;
    bool is_grpc : 1; /* as far as the block being received tells; kept for the answer to one that is over its limit */
};

struct h2_session_ops {
    /* Server: a request has come. Set stream->ops and ->ctx before returning; `headers` is the handler's. */
    void (*on_request)(struct h2_session *s, struct h2_stream *stream, struct h2_headers *headers, bool is_end);

    /* The peer's SETTINGS were received (the first, or a change). */
    void (*on_settings)(struct h2_session *s);

    /* The peer's GOAWAY. Client: streams above `last_stream_id` end by themselves as unprocessed. */
    void (*on_goaway)(struct h2_session *s, uint32_t error, int32_t last_stream_id);

    /* Client: a stream has ended, after its own on_closed; there may be room for another one. */
    void (*on_stream_ended)(struct h2_session *s);

    /* A stream was refused for what the peer did: before it became a request, or because it stalls. For counting. */
    void (*on_refused)(struct h2_session *s, enum close_reason reason);

    /* The last event: every stream has ended, the socket is closed. The session frees itself at the end of the turn; drop the link. */
    void (*on_closed)(struct h2_session *s, enum close_reason reason);
};

/*
 * Takes the socket out of `from`. SETTINGS go out with the first pump. `options` and `ops` outlive the session; any op may be NULL
 * except, for servers, on_request and on_closed.
 */
struct h2_session *h2_session_new(enum h2_role role, struct stream *from, const struct h2_options *options,
                                  const struct h2_session_ops *ops, void *ctx);

/* Bytes that were read from the socket already (server: starting with the client's preface); copied. At most once, right after new. */
void h2_session_preface(struct h2_session *s, const void *bytes, size_t len);

/* What the session is called where its frames are shown (h2/frame_log.h), and found by; may change. */
void h2_session_tag(struct h2_session *s, const struct trace_tag *tag);

void *h2_session_ctx(const struct h2_session *s);
struct stream *h2_session_stream(struct h2_session *s); /* for its addresses; reading it is the session's */
struct loop *h2_session_loop(struct h2_session *s);

/* Client: opens a stream. Takes `headers` (also on error). 0; -EAGAIN when the peer's stream limit is reached; -EPIPE when the session
 * takes no more (GOAWAY, closing, ids used up). */
int h2_session_request(struct h2_session *s, struct h2_headers *headers, bool is_end, const struct h2_stream_ops *ops, void *ctx,
                       struct h2_stream **ret_stream) MUST_CHECK;

/* Client: how many more streams may be opened now (0 once the peer went away). Before the peer's SETTINGS came: as if it allowed
 * 100 (RFC 9113 §6.5.2 recommends no less). */
uint32_t h2_session_capacity(const struct h2_session *s);
uint32_t h2_session_stream_count(const struct h2_session *s);
bool h2_session_has_settings(const struct h2_session *s);
uint32_t h2_session_peer_max_streams(const struct h2_session *s);
bool h2_session_is_going_away(const struct h2_session *s); /* GOAWAY received or sent, or closing */

/* Client: the peer has announced extended CONNECT (RFC 8441): requests with :protocol may be sent. */
bool h2_session_takes_connect(const struct h2_session *s);

/* Server: announces extended CONNECT to the peer. It cannot be taken back. */
void h2_session_offer_connect(struct h2_session *s);

/* Server: changes MAX_CONCURRENT_STREAMS offered to the peer. */
void h2_session_offer_streams(struct h2_session *s, uint32_t max_concurrent_streams);

/* Server: GOAWAY in two steps (RFC 9113 §6.8): notice with 2³¹−1 and a PING; when its ACK is there, GOAWAY with the last stream
 * processed; when the last stream has ended, the session closes by itself with `reason`. Client: no new streams; closes after the last. */
void h2_session_drain(struct h2_session *s, enum close_reason reason);

/* Server: GOAWAY with this code and last id at once, then as drain's end. Passes a peer's GOAWAY on. */
void h2_session_goaway(struct h2_session *s, uint32_t error, enum close_reason reason);

/* Ends now: streams get on_closed at the end of the turn, not within this call. Idempotent. What was ordered before still goes out, for up
 * to a second, then GOAWAY with `error` and FIN; another second what the peer sends is read and thrown away, lest an RST destroy what it
 * has not read. With a non-zero `error` bodies that wait are dropped. on_closed of the session comes after that. */
void h2_session_close(struct h2_session *s, uint32_t error, enum close_reason reason);

/* As h2_session_close, and no event of the session or its streams reaches anybody any more: for an owner that goes first. The loop must
 * go on until the session has ended (h2_host_finish); a session without a host ends at the end of the turn. */
void h2_session_abandon(struct h2_session *s, uint32_t error, enum close_reason reason);

/* --- streams --- */

/* Sends a block: H2_INFORMATIONAL, H2_RESPONSE (servers) or H2_TRAILERS (either side, ends the stream). Takes `headers`. */
void h2_stream_send_headers(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end);

/* Queues body bytes (copied). on_sent tells when they go. */
void h2_stream_send_data(struct h2_stream *s, const uint8_t *data, size_t len);

/* END_STREAM after what is queued. */
void h2_stream_send_end(struct h2_stream *s);

/* Server: the request may go on after its response has ended (RFC 9113 §8.1), until h2_stream_drop_request. Without this order the
 * end of the response is the end of the stream: RST_STREAM with NO_ERROR if the client has not finished. */
void h2_stream_keep_request(struct h2_stream *s);

/* Server: nobody reads the rest of the request. RST_STREAM with `error` follows the end of the response, if the client has not finished
 * by then. */
void h2_stream_drop_request(struct h2_stream *s, uint32_t error);

/* RST_STREAM. Queued bytes are dropped. on_closed follows at the end of the turn or later. Idempotent. */
void h2_stream_reset(struct h2_stream *s, uint32_t error);

/* Gives the stream's window credit back for `len` received bytes. (The connection's goes back as they come: nobody waits for another's
 * slow reader.) */
void h2_stream_consume(struct h2_stream *s, size_t len);

/* No event of this stream reaches its handler any more; it is reset with `error` unless it has ended. */
void h2_stream_detach(struct h2_stream *s, uint32_t error);
