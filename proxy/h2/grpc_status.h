/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * gRPC statuses (grpc/doc/statuscodes.md): from HTTP statuses and reset codes, and into trailers (grpc-status, grpc-message).
 *
 * Threads: any.
 * Errors:  none.
 * Limits:  a message is cut at GRPC_MESSAGE_MAX bytes.
 */

#include <stdint.h>

#include "base/str.h"
#include "h2/headers.h"

#define GRPC_MESSAGE_MAX 1024

enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

/* Of a response without grpc-status (grpc/doc/http-grpc-status-mapping.md). */
enum grpc_status grpc_status_of_http(int http_status);

/* Of a stream that was reset (PROTOCOL-HTTP2, "Errors"). `error`: RFC 9113 §7. */
enum grpc_status grpc_status_of_reset(uint32_t error);

/* Appends grpc-status and, unless it is empty, grpc-message. */
void grpc_add_status(struct h2_headers *headers, int status, struct str message);

/* A broken escape stands for itself. */
void grpc_decode_message(struct str encoded, struct text *out);

/* Percent-encodes as grpc-message wants it. */
void grpc_encode_message(struct str message, struct text *out);
