/* SPDX-License-Identifier: Apache-2.0 */

/* Deliveries of a request: choosing, sending, the endpoint's answer, and what follows when there is none. */

#include <errno.h>

#include "flow/exchange_internal.h"
#include "h2/grpc_call.h"

static const struct h2_stream_ops server_ops;

/* --- the end --- */

/* gRPC statuses that say the endpoint, not the request, is at fault. */
static bool is_endpoint_failure(int grpc_status, unsigned http_status)
{
    switch (grpc_status) { /* a number from the wire */
    case GRPC_UNKNOWN:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_RESOURCE_EXHAUSTED:
    case GRPC_INTERNAL:
    case GRPC_UNAVAILABLE:
    case GRPC_DATA_LOSS:
        return true;
    default:
        return http_status >= 500 || http_status == 429;
    }
}

void attempt_over(struct exchange *x, enum attempt_end end)
{
    x->server = NULL;
    if (x->endpoint == NULL) {
        return;
    }
    if (end == ATTEMPT_COMPLETE) {
        endpoint_outcome(x->endpoint, !is_endpoint_failure(x->grpc_status, x->http_status));
    } else if (end == ATTEMPT_FAILED || end == ATTEMPT_TIMED_OUT) {
        endpoint_outcome(x->endpoint, false);
    }
    if ((end == ATTEMPT_CLIENT_LEFT || end == ATTEMPT_TIMED_OUT) && !x->is_answered && x->sent.v != 0) {
        /* The client, or we, gave up on it: a lower bound of its latency, without which a silent endpoint would stay attractive. */
        endpoint_waited(x->endpoint, usec_since(exchange_now(x), x->sent));
    }
    endpoint_release(&x->endpoint, x->is_streaming);
    x->is_streaming = false;
}

void attempt_unprocessed(struct exchange *x, enum close_reason reason)
{
    struct endpoint *next = NULL;
    struct retry_case facts = {
        .tries = x->attempts > 0 ? x->attempts : 1,
        .has_copy = x->cluster != NULL && x->request != NULL && !x->copy.is_dropped,
        .was_connected = reason == CLOSE_STREAM_REFUSED || reason == CLOSE_GOAWAY,
    };

    if (x->cluster == NULL) {
        exchange_reset(x, H2_REFUSED_STREAM, reason); /* inbound: the peer's side knows the other endpoints */
        attempt_over(x, ATTEMPT_UNPROCESSED);
        return;
    }
    if (reason == CLOSE_GOAWAY && x->endpoint != NULL) {
        if (x->goaways++ == 0) {
            x->tried_count--; /* that connection is going away, its endpoint may not be: a new one may do */
        } else {
            endpoint_sent_away(x->endpoint);
        }
    }
    if (facts.has_copy && x->tried_count < CLUSTER_TRIED_MAX) {
        next = cluster_pick(x->cluster, x->tried, x->tried_count);
    }
    facts.has_endpoint = next != NULL;
    switch (retry_allowed(&x->cluster->retries, &facts, exchange_now(x))) {
    case RETRY_ELSEWHERE:
        cluster_count_retry(x->cluster, reason);
        attempt_over(x, ATTEMPT_UNPROCESSED);
        attempt_deliver(x, next);
        return;
    case RETRY_REFUSED:
        exchange_reset(x, H2_REFUSED_STREAM, reason);
        break;
    case RETRY_FAIL:
        exchange_answer(x, reason, false);
        break;
    }
    endpoint_release(&next, false);
    attempt_over(x, ATTEMPT_UNPROCESSED);
}

/* --- sending --- */

void attempt_connection_ready(struct pool_waiter *w, struct h2_session *session, enum close_reason reason)
{
    struct exchange *x = container_of(w, struct exchange, waiter);

    x->is_waiting = false;
    if (session != NULL) {
        attempt_send_on(x, session);
    } else {
        attempt_unprocessed(x, reason);
    }
}

static bool are_headers_over(const struct exchange *x)
{
    return x->worker->headers.used_bytes > x->worker->headers.max_bytes;
}

/* Sends what there is of the request. */
static void send_on(struct exchange *x, struct h2_session *session)
{
    bool is_repeatable = x->cluster != NULL;
    bool is_whole = x->is_request_ended && x->copy.len == 0 && x->trailers == NULL;
    struct h2_headers *headers = is_repeatable ? h2_headers_clone(x->request) : x->request;
    int r;

    if (!is_repeatable) {
        x->request = NULL;
    }
    x->attempt_sent = 0;
    x->sent = exchange_now(x);
    exchange_watch(x);
    r = h2_session_request(session, headers, is_whole, &server_ops, x, &x->server);
    if (r < 0) {
        x->server = NULL;
        attempt_unprocessed(x, r == -EAGAIN ? CLOSE_STREAM_REFUSED : CLOSE_GOAWAY);
        return;
    }
    if (x->copy.len > 0) {
        h2_stream_send_data(x->server, x->copy.bytes, x->copy.len);
    }
    if (!is_repeatable || x->copy.len > x->worker->options->retry_buffer_bytes) {
        body_copy_drop(&x->copy);
    }
    if (x->trailers != NULL) {
        h2_stream_send_headers(x->server, H2_TRAILERS, h2_headers_clone(x->trailers), true);
    } else if (x->is_request_ended && !is_whole) {
        h2_stream_send_end(x->server);
    }
    if (is_repeatable && are_headers_over(x)) {
        exchange_forget_request(x);
    }
}

void attempt_send_on(struct exchange *x, struct h2_session *session)
{
    if (h2_headers_find(x->request, STR(":protocol")) != NULL && !h2_session_takes_connect(session)) {
        exchange_answer(x, CLOSE_NO_EXTENDED_CONNECT, false);
        attempt_over(x, ATTEMPT_UNPROCESSED);
        return;
    }
    send_on(x, session);
}

void attempt_deliver(struct exchange *x, struct endpoint *e)
{
    struct h2_session *session;

    x->endpoint = e;
    x->sent = (struct usec){0};
    if (e == NULL) {
        exchange_answer(x, CLOSE_NO_ENDPOINT, false);
        return;
    }
    x->tried[x->tried_count++] = e;
    x->attempts++;
    switch (client_pool_acquire(x->endpoint->pool, &x->waiter, &session)) {
    case POOL_READY:
        attempt_send_on(x, session);
        return;
    case POOL_WAITING:
        x->is_waiting = true;
        if (are_headers_over(x)) {
            client_pool_cancel(x->endpoint->pool, &x->waiter);
            x->is_waiting = false;
            attempt_unprocessed(x, CLOSE_QUEUE_FULL);
        }
        return;
    case POOL_FULL:
        attempt_unprocessed(x, CLOSE_QUEUE_FULL);
        return;
    }
}

/* --- events of the endpoint's stream --- */

static int status_number(struct str value)
{
    uint64_t number;

    return str_to_u64(value, 999, &number) ? (int)number : -1;
}

static void note_grpc_status(struct exchange *x, const struct h2_headers *headers)
{
    struct str value = h2_headers_value(headers, STR("grpc-status"));

    if (value.len > 0) {
        x->grpc_status = status_number(value);
    }
}

static void note_response(struct exchange *x, const struct h2_headers *headers)
{
    struct usec now = exchange_now(x);
    int status = status_number(h2_headers_value(headers, STR(":status")));

    x->is_answered = true;
    x->http_status = status > 0 ? (unsigned)status : 0;
    if (x->endpoint != NULL && !is_endpoint_failure(x->grpc_status, x->http_status)) {
        endpoint_first_byte(x->endpoint, usec_since(now, x->sent));
    }
    metric_observe(exchange_service(x)->first_byte, usec_since(now, x->arrived));
    exchange_forget_request(x); /* nothing is repeated once the response has begun */
}

static void on_response_headers(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    struct exchange *x = s->ctx;

    x->active = exchange_now(x);
    if (block != H2_INFORMATIONAL) {
        note_grpc_status(x, headers);
        x->is_response_ended = is_end;
    }
    if (block == H2_RESPONSE) {
        note_response(x, headers);
    }
    h2_stream_send_headers(x->client, block, headers, is_end);
}

static void on_response_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    struct exchange *x = s->ctx;

    x->active = exchange_now(x);
    if (!x->is_streaming && x->endpoint != NULL) {
        x->is_streaming = true;
        endpoint_streaming(x->endpoint);
    }
    h2_stream_send_data(x->client, data, len);
}

static void on_response_end(struct h2_stream *s)
{
    struct exchange *x = s->ctx;

    x->is_response_ended = true;
    h2_stream_send_end(x->client);
}

/* Request bytes are on their way to the endpoint: the client gets their credit back, once however often they are sent. */
static void on_request_sent(struct h2_stream *s, size_t len)
{
    struct exchange *x = s->ctx;

    x->active = exchange_now(x);
    x->attempt_sent += len;
    if (x->attempt_sent > x->credited) {
        h2_stream_consume(x->client, (size_t)(x->attempt_sent - x->credited));
        x->credited = x->attempt_sent;
    }
}

static void on_server_closed(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    struct exchange *x = s->ctx;

    x->server = NULL;
    if (x->is_response_ended) {
        /* Whether the endpoint wanted the rest of the request or not, now it will not get it. */
        h2_stream_drop_request(x->client, s->is_reset_received ? error : H2_NO_ERROR);
        attempt_over(x, ATTEMPT_COMPLETE);
        return;
    }
    if (is_unprocessed && !x->is_answered) {
        if (reason == CLOSE_STREAM_REFUSED && x->endpoint != NULL) {
            endpoint_outcome(x->endpoint, false); /* nobody answers faster: were it no failure, it would be asked ever more */
        }
        attempt_unprocessed(x, reason);
        return;
    }
    if (reason == CLOSE_STREAM_RESET) {
        exchange_reset(x, error, reason);
    } else {
        exchange_answer(x, reason, true);
    }
    attempt_over(x, ATTEMPT_FAILED);
}

static const struct h2_stream_ops server_ops = {
    .on_headers = on_response_headers,
    .on_data = on_response_data,
    .on_end = on_response_end,
    .on_sent = on_request_sent,
    .on_closed = on_server_closed,
};
