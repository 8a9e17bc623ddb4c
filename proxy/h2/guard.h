/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a session does not put up with: looks at the head of each frame before nghttp2 gets it, and ends the session with a reason of its
 * own where nghttp2 would obey, ignore or count wrongly.
 *
 *   floods          frames that cost the peer nothing (policy/flood): SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA, resets, unknown
 *   provoked resets RST_STREAMs of ours that the peer's mistakes cause, each after a request that was begun for it
 *   header blocks   without end: frames, bytes on the wire, bytes decoded. nghttp2 1.52 counts each receive call within a CONTINUATION's
 *                   head as a frame; this counts frames
 *   closed streams  DATA and HEADERS after the peer itself had finished, HEADERS on ids passed over (h2/stream_ids)
 *   pushes          we never allow them
 *   stalls          a peer that takes nothing of what waits for it: what it holds is memory
 *
 * Owner:   embedded in the session; for h2/ only.
 * Threads: the loop's.
 * Errors:  none; a refusal is a session's or stream's end with that reason.
 * Limits:  H2_BLOCK_FRAMES_MAX frames a header block; wire bytes 2 · max_header_list_bytes + 64 KiB; decoded bytes
 *          H2_BLOCK_DECODED_FACTOR · max_header_list_bytes. Up to the limit itself a request gets an answer (431, RESOURCE_EXHAUSTED).
 */

#include "h2/stream_ids.h"
#include "net/timer.h"
#include "policy/flood.h"

#define H2_BLOCK_FRAMES_MAX 256
#define H2_BLOCK_DECODED_FACTOR 4
#define H2_FRAME_HEAD_SIZE 9
#define H2_LOOK_SIZE (H2_FRAME_HEAD_SIZE + 4) /* of PRIORITY also the stream it depends on */

struct h2_session;
struct h2_stream;

struct h2_guard {
    struct flood flood;
    struct stream_ids ids;
    struct timer stall_timer;
    struct usec stalled_since; /* the socket has taken nothing since */
    uint64_t stall_mark;       /* bytes it had taken by then */

    uint8_t head[H2_LOOK_SIZE];
    uint8_t have;     /* bytes of it that have come */
    uint8_t look_len; /* bytes of it that are wanted */
    uint32_t skip;    /* bytes to come before the next head: the client's preface, then payloads */
    uint32_t block_frames;
    size_t block_bytes;         /* on the wire */
    size_t block_decoded_bytes; /* as RFC 9113 §6.5.2 counts */
    uint32_t refusal_error;     /* of the GOAWAY for what h2_guard_scan refused */
    enum close_reason refusal;
};

void h2_guard_init(struct h2_session *s);
void h2_guard_stop(struct h2_session *s);

/* Received bytes, in order. Returns how many of them nghttp2 may have: fewer than `len` when the frame that begins there is refused. */
size_t h2_guard_scan(struct h2_session *s, const uint8_t *bytes, size_t len);

/* Ends the session for what h2_guard_scan refused. */
void h2_guard_refuse(struct h2_session *s);

/* A field of the header block being received, of this size. False: the block is beyond all limits, the session ends. */
bool h2_guard_field(struct h2_session *s, size_t bytes) MUST_CHECK;

/* DATA that had nothing but padding. False: one too many, the session ends. */
bool h2_guard_padding(struct h2_session *s) MUST_CHECK;

/* A stream was opened: from now on stalls are looked for. */
void h2_guard_stream_opened(struct h2_session *s);

/* Frames of ours were serialised. */
void h2_guard_request_sent(struct h2_session *s, int32_t id);
void h2_guard_data_sent(struct h2_session *s);
void h2_guard_reset_sent(struct h2_session *s, const struct h2_stream *st, uint32_t error);
