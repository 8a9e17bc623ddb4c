/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request and its response: a stream from the client joined to a stream to an endpoint (or the app). Headers, body, trailers,
 * informational responses, resets and flow-control credit pass with their meaning; an attempt that was provably not processed goes to
 * another endpoint while its copy is whole.
 *
 *     client ──▶ server stream ──▶ [copy ≤ retry_buffer_bytes] ──▶ client stream ──▶ endpoint
 *            ◀──                ◀──                            ◀──
 *
 *     picking ─▶ waiting for a connection ─▶ sent ─▶ answered ─▶ done
 *        ▲────────── unprocessed ◀─────────────┘
 *
 * Owner:   the http_side of the connection it came on, on whose list it is until both streams are gone.
 * Threads: the worker's.
 * Errors:  a gRPC request that cannot be served is answered trailers-only (flow/reply); an unprocessed one that we cannot repeat is
 *          reset with REFUSED_STREAM, so that gRPC's own transparent retry works.
 * Limits:  what the endpoint has not taken is bounded by the stream's window; the copy by retry_buffer_bytes, all copies together by
 *          retry_process_bytes. Headers of outbound requests, kept for the same purpose, take EXCHANGE_HEADERS_MAX a worker: past it those
 *          that are sent are not repeated any more, and one that would have to wait for a connection is tried elsewhere or fails.
 */

#include "flow/http_side.h"
#include "h2/headers.h"
#include "h2/session.h"

#define EXCHANGE_HEADERS_MAX ((size_t)32 * 1024 * 1024)

/* A request has come on `h`'s session. Takes `headers`. */
void exchange_start(struct http_side *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end);

/* The connection will be closed: what is not finished is answered with `reason`. */
void exchange_answer_all(struct http_side *h, enum close_reason reason);

/* Ends all exchanges of `h`: nothing more reaches it. */
void exchange_abandon_all(struct http_side *h);
