/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Answers the proxy makes itself. gRPC requests get HTTP 200 with grpc-status and a grpc-message that names the endpoint, the reason
 * and whether the request was sent (trailers-only, or as trailers when the response has begun); other requests get a plain HTTP status.
 *
 * Threads: the worker's.
 */

#include <stdbool.h>

#include "base/close_reason.h"
#include "base/str.h"
#include "h2/headers.h"
#include "h2/session.h"

struct reply {
    enum close_reason reason;
    const char *service;  /* "default/greeter:50051"; "" if unknown */
    const char *endpoint; /* "10.0.0.7:50051"; "" if none was chosen */
    bool was_sent;        /* the endpoint may have acted on it */
};

/* Is this a gRPC request (content-type application/grpc, +proto, …)? */
bool reply_is_grpc(const struct h2_headers *request);

/* Answers before any response headers were sent. */
void reply_instead(struct h2_stream *to, bool is_grpc, const struct reply *reply);

/* Ends a gRPC response that has begun, with trailers; a non-gRPC one is reset with INTERNAL_ERROR. */
void reply_broken_off(struct h2_stream *to, bool is_grpc, const struct reply *reply);

/* The HTTP status for a request that is not gRPC: 503, 504, 404, … */
unsigned reply_http_status(enum close_reason reason);
