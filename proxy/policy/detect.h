/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Is a new connection HTTP/2, or anything else? The first bytes decide; while they do not, so does who speaks.
 *
 *     client: a byte that differs from the preface ─▶ TCP         24 equal bytes ─▶ HTTP/2
 *     client silent for `silence` ─▶ dial the original destination, then
 *         server: bytes that cannot be SETTINGS ─▶ TCP, server-first        bytes that can ─▶ held until the client speaks
 *     client stopped within the preface: TCP once the server has said nothing for `hold`
 *
 * HTTP/2 servers speak first too (gRPC servers send SETTINGS at accept), so bytes that can still be a SETTINGS frame prove nothing: a
 * client may be starved or stopped for hours and still come with its preface. There is no timeout for that.
 *
 * Owner:   embedded in the connection, which keeps the bytes and does what the action says; nothing held is forwarded before it.
 * Threads: the owner's.
 * Errors:  none.
 * Limits:  keeps 24 bytes of the client and 9 of the server.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/container.h"
#include "base/usec.h"

#define DETECT_PREFACE_LEN 24     /* RFC 9113 §3.4 */
#define DETECT_FRAME_HEADER_LEN 9 /* RFC 9113 §4.1 */

enum detect_verdict { DETECT_MORE, DETECT_HTTP2, DETECT_TCP };

/* What the first `len` bytes of a client are; `len` 0 is DETECT_MORE. */
enum detect_verdict detect_client(const void *bytes, size_t len);

/* False: the server's first `len` bytes cannot be, or become, the SETTINGS frame that starts an HTTP/2 connection. */
bool detect_server_can_be_settings(const void *bytes, size_t len);

/* What a connection was counted as. */
enum detect_label {
    DETECT_LABEL_HTTP2,
    DETECT_LABEL_HTTP1,
    DETECT_LABEL_TLS,
    DETECT_LABEL_OTHER,
    DETECT_LABEL_SERVER_FIRST,
    DETECT_LABEL_COUNT
};

/* By a client's first bytes alone: never DETECT_LABEL_SERVER_FIRST. Good for counting, not for deciding. */
enum detect_label detect_label(const void *bytes, size_t len);

/* "http2", "http1", "tls", "other", "server_first". Static string. */
const char *detect_label_text(enum detect_label label);

struct detect_policy {
    struct usec silence; /* before the original destination is dialled for a client that did not say enough */
    struct usec hold;    /* of an unfinished preface that nothing supports, and of an unfinished frame header */
};

extern const struct detect_policy detect_policy_default; /* 5 ms, 1 s */

enum detect_action {
    DETECT_WAIT,     /* for more input, or for detect_deadline */
    DETECT_DIAL,     /* dial the original destination and tell what it says; comes at most once */
    DETECT_GO_HTTP2, /* decided: serve the client; the dialled connection is not its endpoint's */
    DETECT_GO_TCP,   /* decided: relay between client and original destination, held bytes first; if the dial failed, reset */
};

struct detect {
    const struct detect_policy *policy; /* link; outlives the detection */
    enum detect_action verdict;         /* DETECT_WAIT until decided */
    enum detect_label label;            /* once decided */
    bool has_dialled;
    uint8_t client_len;
    uint8_t server_len;
    uint8_t client[DETECT_PREFACE_LEN];
    uint8_t server[DETECT_FRAME_HEADER_LEN];
    struct usec dial_at;
    struct usec client_until; /* the held preface's end, once client_len > 0 */
    struct usec server_until; /* the held frame header's end, once server_len > 0 */
};

/*
 * The connection was accepted. `is_server_first`: its destination is known to speak first, so it is dialled at once.
 * Each of these returns what to do now. Once decided, the answer stays.
 */
enum detect_action detect_start(struct detect *d, const struct detect_policy *policy, bool is_server_first,
                                struct usec now) MUST_CHECK;

/* Bytes that came after those told before. */
enum detect_action detect_client_bytes(struct detect *d, const void *bytes, size_t len, struct usec now) MUST_CHECK;
enum detect_action detect_server_bytes(struct detect *d, const void *bytes, size_t len, struct usec now) MUST_CHECK;

/* That side will send no more. (A reset ends the connection: the owner's matter.) */
enum detect_action detect_client_eof(struct detect *d) MUST_CHECK;
enum detect_action detect_server_eof(struct detect *d) MUST_CHECK;

/* The dial that DETECT_DIAL asked for failed; success needs no telling. */
enum detect_action detect_dial_failed(struct detect *d) MUST_CHECK;

/* detect_deadline was reached (early calls do no harm). */
enum detect_action detect_time(struct detect *d, struct usec now) MUST_CHECK;

/* When to call detect_time; USEC_NEVER if only input can decide. */
struct usec detect_deadline(const struct detect *d);
