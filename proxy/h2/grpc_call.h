/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * gRPC over our own HTTP/2 (the gRPC "PROTOCOL-HTTP2" document): unary and streaming calls, both ways, with message framing. Used by the discovery client and
 * by the api's ADS server.
 *
 * Owner:   a call belongs to whoever started it (client) or to the handler given it (server) until on_closed, its last event.
 * Threads: the loop's.
 * Errors:  on_closed brings the gRPC status. Transport failures map to UNAVAILABLE (14), oversize messages to RESOURCE_EXHAUSTED (8),
 *          compressed messages to UNIMPLEMENTED (12).
 * Limits:  a message received is at most max_message_bytes; one that is sent waits in memory until the peer's window takes it:
 *          grpc_call_pending says how much.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "h2/grpc_status.h"
#include "h2/session.h"

struct grpc_call;

struct grpc_call_ops {
    void (*on_message)(struct grpc_call *c, const uint8_t *bytes, size_t len); /* one whole message; valid during the call */
    void (*on_half_closed)(struct grpc_call *c); /* server: the client has sent its last message. NULL: ends the call OK */
    void (*on_drained)(struct grpc_call *c);     /* everything sent so far has gone; may be NULL */
    void (*on_closed)(struct grpc_call *c, enum grpc_status status, struct str message); /* freed when this returns */
};

struct grpc_call_options {
    struct str authority;
    struct str path; /* "/package.Service/Method" */
    size_t max_message_bytes;
};

/* Client: opens a call on `session`; `options` are only read. NULL with `errno`-style result in *ret_error otherwise. */
struct grpc_call *grpc_call_start(struct h2_session *session, const struct grpc_call_options *options,
                                  const struct grpc_call_ops *ops, void *ctx, int *ret_error);

/*
 * Server: answers an h2 request as a gRPC call if it is one (POST, content-type application/grpc…); else refuses it (415, 405) and
 * returns NULL. Takes `headers`; the response headers are sent at once. Called from h2_session_ops.on_request.
 */
struct grpc_call *grpc_call_accept(struct h2_stream *stream, struct h2_headers *headers, bool is_end, size_t max_message_bytes,
                                   const struct grpc_call_ops *ops, void *ctx);

/* Refuses a request of an unknown method with UNIMPLEMENTED, or any other status, trailers-only. */
void grpc_refuse(struct h2_stream *stream, enum grpc_status status, struct str message);

void *grpc_call_ctx(const struct grpc_call *c);

void grpc_call_send(struct grpc_call *c, const uint8_t *message, size_t len);
size_t grpc_call_pending(const struct grpc_call *c); /* bytes ordered and not yet on their way */

/* Client: no more messages from us. */
void grpc_call_half_close(struct grpc_call *c);

/* Server: sends the status as trailers. on_closed follows. */
void grpc_call_finish(struct grpc_call *c, enum grpc_status status, struct str message);

/* Ends without a word (RST_STREAM CANCEL); no event follows. Nulls the link; accepts NULL inside. */
void grpc_call_cancel(struct grpc_call **c);
