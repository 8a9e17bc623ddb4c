/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nothing that was held is forwarded before the verdict, so whatever the server says it says unasked: bytes that cannot be SETTINGS
 * are a server-first protocol's, even when the client has begun a preface.
 */

#include "policy/detect.h"

#include <assert.h>
#include <string.h>

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
_Static_assert(sizeof preface - 1 == DETECT_PREFACE_LEN, "RFC 9113 §3.4");

const struct detect_policy detect_policy_default = {.silence = {5 * 1000}, .hold = {1000 * 1000}};

enum detect_verdict detect_client(const void *bytes, size_t len)
{
    size_t compared = len < DETECT_PREFACE_LEN ? len : DETECT_PREFACE_LEN;

    if (compared > 0 && memcmp(bytes, preface, compared) != 0) {
        return DETECT_TCP;
    }
    return compared == DETECT_PREFACE_LEN ? DETECT_HTTP2 : DETECT_MORE;
}

/* Can the three bytes of a frame length still be a multiple of 6 (RFC 9113 §6.5) up to 16,384, the most before any SETTINGS (§4.2)? */
static bool can_be_settings_length(const uint8_t *b, size_t len)
{
    if (len >= 1 && b[0] != 0) {
        return false;
    }
    if (len >= 2 && b[1] >= 0x40) { /* 16,384 itself is no multiple of 6 */
        return false;
    }
    return len < 3 || (b[1] * 256 + b[2]) % 6 == 0;
}

bool detect_server_can_be_settings(const void *bytes, size_t len)
{
    static const uint8_t type_flags_stream[DETECT_FRAME_HEADER_LEN - 3] = {4}; /* SETTINGS, no ACK, stream 0 */
    const uint8_t *b = bytes;
    size_t rest = len < DETECT_FRAME_HEADER_LEN ? len : DETECT_FRAME_HEADER_LEN;

    if (!can_be_settings_length(b, rest)) {
        return false;
    }
    return rest <= 3 || memcmp(b + 3, type_flags_stream, rest - 3) == 0;
}

static bool is_http1(const char *bytes, size_t len)
{
    static const char *const methods[] = {"GET ",   "POST ",    "PUT ",   "HEAD ",   "DELETE ",
                                          "PATCH ", "OPTIONS ", "TRACE ", "CONNECT "};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        size_t method_len = strlen(methods[i]);
        size_t compared = len < method_len ? len : method_len;

        /* Three letters are a good guess, one is not. */
        if (compared >= 3 && memcmp(bytes, methods[i], compared) == 0) {
            return true;
        }
    }
    return false;
}

enum detect_label detect_label(const void *bytes, size_t len)
{
    const uint8_t *b = bytes;

    if (detect_client(bytes, len) == DETECT_HTTP2) {
        return DETECT_LABEL_HTTP2;
    }
    if (len >= 1 && b[0] == 0x16 && (len == 1 || b[1] == 0x03)) { /* a handshake record of any TLS, RFC 8446 §5.1 */
        return DETECT_LABEL_TLS;
    }
    return is_http1(bytes, len) ? DETECT_LABEL_HTTP1 : DETECT_LABEL_OTHER;
}

const char *detect_label_text(enum detect_label label)
{
    static const char *const texts[DETECT_LABEL_COUNT] = {
        [DETECT_LABEL_HTTP2] = "http2",
        [DETECT_LABEL_HTTP1] = "http1",
        [DETECT_LABEL_TLS] = "tls",
        [DETECT_LABEL_OTHER] = "other",
        [DETECT_LABEL_SERVER_FIRST] = "server_first",
    };

    assert(label < DETECT_LABEL_COUNT);
    return texts[label];
}

static enum detect_action decide(struct detect *d, enum detect_action verdict, enum detect_label label)
{
    d->verdict = verdict;
    d->label = label;
    return verdict;
}

static enum detect_action decide_by_client(struct detect *d)
{
    return decide(d, DETECT_GO_TCP, detect_label(d->client, d->client_len));
}

static enum detect_action dial(struct detect *d)
{
    d->has_dialled = true;
    return DETECT_DIAL;
}

enum detect_action detect_start(struct detect *d, const struct detect_policy *policy, bool is_server_first, struct usec now)
{
    *d = (struct detect){.policy = policy, .verdict = DETECT_WAIT, .dial_at = usec_add(now, policy->silence)};
    return is_server_first ? dial(d) : DETECT_WAIT;
}

/* Appends what fits; the first bytes are all that counts. */
static void keep(uint8_t *kept, uint8_t *kept_len, size_t size, const void *bytes, size_t len)
{
    size_t taken = len < size - *kept_len ? len : size - *kept_len;

    memcpy(kept + *kept_len, bytes, taken);
    *kept_len = (uint8_t)(*kept_len + taken);
}

enum detect_action detect_client_bytes(struct detect *d, const void *bytes, size_t len, struct usec now)
{
    if (d->verdict != DETECT_WAIT || len == 0) {
        return d->verdict;
    }
    if (d->client_len == 0) {
        d->client_until = usec_add(now, d->policy->hold);
    }
    keep(d->client, &d->client_len, sizeof d->client, bytes, len);
    switch (detect_client(d->client, d->client_len)) {
    case DETECT_HTTP2:
        return decide(d, DETECT_GO_HTTP2, DETECT_LABEL_HTTP2);
    case DETECT_TCP:
        return decide_by_client(d);
    case DETECT_MORE:
        break;
    }
    return DETECT_WAIT;
}

enum detect_action detect_server_bytes(struct detect *d, const void *bytes, size_t len, struct usec now)
{
    if (d->verdict != DETECT_WAIT || len == 0) {
        return d->verdict;
    }
    if (d->server_len == 0) {
        d->server_until = usec_add(now, d->policy->hold);
    }
    keep(d->server, &d->server_len, sizeof d->server, bytes, len);
    if (!detect_server_can_be_settings(d->server, d->server_len)) {
        return decide(d, DETECT_GO_TCP, DETECT_LABEL_SERVER_FIRST);
    }
    return DETECT_WAIT;
}

enum detect_action detect_client_eof(struct detect *d)
{
    return d->verdict != DETECT_WAIT ? d->verdict : decide_by_client(d);
}

/* An HTTP/2 server may give up on a client that is late; that client can still be served by another endpoint. */
enum detect_action detect_server_eof(struct detect *d)
{
    if (d->verdict != DETECT_WAIT) {
        return d->verdict;
    }
    if (d->server_len > 0 && d->server_len < sizeof d->server) {
        return decide(d, DETECT_GO_TCP, DETECT_LABEL_SERVER_FIRST); /* SETTINGS it cannot become any more */
    }
    return d->server_len == 0 && d->client_len == 0 ? decide_by_client(d) : DETECT_WAIT;
}

/* A silent client may wait for a greeting that will never come; without us its connect had been refused. */
enum detect_action detect_dial_failed(struct detect *d)
{
    if (d->verdict != DETECT_WAIT) {
        return d->verdict;
    }
    return d->client_len == 0 ? decide_by_client(d) : DETECT_WAIT;
}

/* An unfinished preface that no SETTINGS supports. */
static bool is_client_held(const struct detect *d)
{
    return d->client_len > 0 && d->server_len == 0;
}

/* An HTTP/2 server writes a frame header in one piece; a few bytes alone are some other greeting, if an odd one. */
static bool is_server_held(const struct detect *d)
{
    return d->server_len > 0 && d->server_len < sizeof d->server;
}

enum detect_action detect_time(struct detect *d, struct usec now)
{
    if (d->verdict != DETECT_WAIT) {
        return d->verdict;
    }
    if ((is_client_held(d) && !usec_before(now, d->client_until)) || (is_server_held(d) && !usec_before(now, d->server_until))) {
        return decide_by_client(d);
    }
    return !d->has_dialled && !usec_before(now, d->dial_at) ? dial(d) : DETECT_WAIT;
}

static struct usec earlier(struct usec a, struct usec b)
{
    return usec_before(a, b) ? a : b;
}

struct usec detect_deadline(const struct detect *d)
{
    struct usec deadline = USEC_NEVER;

    if (d->verdict != DETECT_WAIT) {
        return deadline;
    }
    if (!d->has_dialled) {
        deadline = d->dial_at;
    }
    if (is_client_held(d)) {
        deadline = earlier(deadline, d->client_until);
    }
    if (is_server_held(d)) {
        deadline = earlier(deadline, d->server_until);
    }
    return deadline;
}
