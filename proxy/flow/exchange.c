/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The exchange ends with the client's stream: its on_closed is the one place that frees it. The endpoint's stream is a guest that may
 * come and go (attempts); whichever way it ends, attempt_over() settles the account with the balancer exactly once.
 */

#include "flow/exchange.h"

#include <errno.h>

#include "base/log.h"
#include "base/object.h"
#include "flow/body_copy.h"
#include "flow/reply.h"
#include "h2/grpc_call.h"

struct exchange {
    struct list node;
    struct grave grave;
    struct http_side *http;   /* link; NULL once abandoned */
    struct worker *worker;
    struct h2_stream *client; /* link: towards the client */
    struct h2_stream *server; /* link: towards the endpoint or app; NULL between attempts */

    struct h2_headers *request;  /* kept until the response begins; NULL when it cannot be sent again */
    struct h2_headers *trailers; /* of the request */
    struct body_copy copy;

    struct cluster *cluster;   /* reference; NULL inbound */
    struct endpoint *endpoint; /* reference, of the attempt under way */
    struct endpoint *tried[CLUSTER_TRIED_MAX]; /* compared only, never followed: they may be gone */
    unsigned tried_count;
    unsigned attempts;
    struct pool_waiter waiter;

    struct usec arrived;
    struct usec sent;
    uint64_t credited;     /* request bytes whose credit the client has back */
    uint64_t attempt_sent; /* request bytes this attempt has put on their way */
    int grpc_status;       /* −1 until seen */
    unsigned http_status;

    bool is_grpc : 1;
    bool is_waiting : 1;          /* for a connection */
    bool is_request_ended : 1;
    bool is_answered : 1;         /* response headers went to the client */
    bool is_response_ended : 1;
    bool is_over : 1;             /* the proxy has answered or reset: what still comes is thrown away */
};

static void deliver(struct exchange *x, struct endpoint *e);
static void send_on(struct exchange *x, struct h2_session *session);

static struct service_metrics *service_of(struct exchange *x)
{
    return x->cluster != NULL ? &x->cluster->metrics : &x->http->app_metrics;
}

static struct usec now_of(const struct exchange *x)
{
    return loop_now(x->worker->loop);
}

/* --- the end of an attempt, of an exchange --- */

/* gRPC statuses that say the endpoint, not the request, is at fault. */
static bool is_endpoint_failure(int grpc_status, unsigned http_status)
{
    switch (grpc_status) {
    case GRPC_UNKNOWN:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_RESOURCE_EXHAUSTED:
    case GRPC_INTERNAL:
    case GRPC_UNAVAILABLE:
    case 15: /* DATA_LOSS */
        return true;
    default:
        return http_status >= 500 || http_status == 429;
    }
}

enum attempt_end { ATTEMPT_COMPLETE, ATTEMPT_FAILED, ATTEMPT_UNPROCESSED, ATTEMPT_CLIENT_LEFT };

static void attempt_over(struct exchange *x, enum attempt_end end)
{
    x->server = NULL;
    if (x->endpoint == NULL) {
        return;
    }
    if (end == ATTEMPT_COMPLETE) {
        endpoint_outcome(x->endpoint, !is_endpoint_failure(x->grpc_status, x->http_status));
    } else if (end == ATTEMPT_FAILED) {
        endpoint_outcome(x->endpoint, false);
    } else if (end == ATTEMPT_CLIENT_LEFT && !x->is_answered && x->sent.v != 0) {
        /* The client gave up on it: a lower bound of its latency, without which a silent endpoint would stay attractive. */
        endpoint_waited(x->endpoint, usec_since(now_of(x), x->sent));
    }
    endpoint_release(&x->endpoint);
}

static void forget_request(struct exchange *x)
{
    h2_headers_free(&x->request);
    h2_headers_free(&x->trailers);
    if (!x->copy.is_dropped) {
        body_copy_drop(&x->copy);
    }
}

static void exchange_reap(struct grave *g)
{
    struct exchange *x = container_of(g, struct exchange, grave);

    slab_release(x->worker->slab, x);
    object_destroyed(OBJECT_EXCHANGE);
}

/* The client's stream is gone, and with it the exchange. */
static void exchange_end(struct exchange *x)
{
    struct service_metrics *metrics = service_of(x);

    if (x->is_waiting) {
        client_pool_cancel(x->endpoint->pool, &x->waiter);
        x->is_waiting = false;
    }
    if (x->server != NULL) {
        h2_stream_detach(x->server, H2_CANCEL);
    }
    attempt_over(x, ATTEMPT_CLIENT_LEFT);
    service_metrics_finished(metrics, x->grpc_status, x->http_status, usec_since(now_of(x), x->arrived));
    forget_request(x);
    list_unlink(&x->node);
    cluster_unref(&x->cluster);
    loop_bury(x->worker->loop, &x->grave, exchange_reap);
}

/* --- failures --- */

static void reply_of(const struct exchange *x, enum close_reason reason, bool was_sent, struct reply *reply)
{
    *reply = (struct reply){
        .reason = reason,
        .service = x->cluster != NULL ? x->cluster->name : "",
        .endpoint = x->endpoint != NULL ? x->endpoint->text : "",
        .was_sent = was_sent,
    };
}

static void count_failure(struct exchange *x, enum close_reason reason)
{
    service_metrics_failed(service_of(x), reason);
    log_debug(LOG_HTTP, x->cluster != NULL ? x->cluster->name : "inbound", "request failed: %s (endpoint %s, attempt %u)",
              close_reason_text(reason), x->endpoint != NULL ? x->endpoint->text : "none", x->attempts);
}

/* Nothing more is expected of the endpoint: the proxy's own answer ends the exchange. */
static void answer(struct exchange *x, enum close_reason reason, bool was_sent)
{
    struct reply reply;

    count_failure(x, reason);
    reply_of(x, reason, was_sent, &reply);
    x->is_over = true;
    x->grpc_status = close_reason_grpc_status(reason);
    if (x->is_answered) {
        reply_broken_off(x->client, x->is_grpc, &reply);
    } else {
        x->http_status = x->is_grpc ? 200 : reply_http_status(reason);
        reply_instead(x->client, x->is_grpc, &reply);
    }
    forget_request(x);
}

static void reset_client(struct exchange *x, uint32_t error, enum close_reason reason)
{
    count_failure(x, reason);
    x->is_over = true;
    h2_stream_reset(x->client, error);
    forget_request(x);
}

/* The attempt was provably not processed: another endpoint, or the client's own retry, or the end. */
static void attempt_unprocessed(struct exchange *x, enum close_reason reason)
{
    struct endpoint *next = NULL;
    struct retry_case facts = {
        .tries = x->attempts > 0 ? x->attempts : 1,
        .has_copy = x->cluster != NULL && x->request != NULL && !x->copy.is_dropped,
        .was_connected = reason == CLOSE_STREAM_REFUSED || reason == CLOSE_GOAWAY,
    };

    if (x->cluster == NULL) {
        reset_client(x, H2_REFUSED_STREAM, reason); /* inbound: the peer's side knows the other endpoints */
        attempt_over(x, ATTEMPT_UNPROCESSED);
        return;
    }
    if (reason == CLOSE_GOAWAY && x->tried_count > 0) {
        x->tried_count--; /* that connection is going away, its endpoint may not be: a new one may do */
    }
    if (facts.has_copy && x->tried_count < CLUSTER_TRIED_MAX) {
        next = cluster_pick(x->cluster, x->tried, x->tried_count);
    }
    facts.has_endpoint = next != NULL;
    switch (retry_allowed(&x->cluster->retries, &facts, now_of(x))) {
    case RETRY_ELSEWHERE:
        cluster_count_retry(x->cluster, reason);
        attempt_over(x, ATTEMPT_UNPROCESSED);
        deliver(x, next);
        return;
    case RETRY_REFUSED:
        reset_client(x, H2_REFUSED_STREAM, reason);
        break;
    case RETRY_FAIL:
        answer(x, reason, false);
        break;
    }
    endpoint_release(&next);
    attempt_over(x, ATTEMPT_UNPROCESSED);
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
    struct usec now = now_of(x);
    int status = status_number(h2_headers_value(headers, STR(":status")));

    x->is_answered = true;
    x->http_status = status > 0 ? (unsigned)status : 0;
    if (x->endpoint != NULL && !is_endpoint_failure(x->grpc_status, x->http_status)) {
        endpoint_first_byte(x->endpoint, usec_since(now, x->sent));
    }
    metric_observe(service_of(x)->first_byte, usec_since(now, x->arrived));
    forget_request(x); /* nothing is repeated once the response has begun */
}

static void on_response_headers(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    struct exchange *x = s->ctx;

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
        attempt_over(x, ATTEMPT_COMPLETE);
        return;
    }
    if (is_unprocessed && !x->is_answered) {
        attempt_unprocessed(x, reason);
        return;
    }
    if (reason == CLOSE_STREAM_RESET) {
        reset_client(x, error != H2_NO_ERROR ? error : H2_CANCEL, reason);
    } else {
        answer(x, reason, true);
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

/* --- events of the client's stream --- */

static void on_request_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    struct exchange *x = s->ctx;

    if (x->is_over || (x->server == NULL && x->is_response_ended)) {
        h2_stream_consume(s, len); /* nobody wants them any more */
        return;
    }
    body_copy_append(&x->copy, data, len, x->worker->options->retry_buffer_bytes, x->server == NULL);
    if (x->server != NULL) {
        h2_stream_send_data(x->server, data, len);
    }
}

static void on_request_end(struct h2_stream *s)
{
    struct exchange *x = s->ctx;

    x->is_request_ended = true;
    if (x->server != NULL) {
        h2_stream_send_end(x->server);
    }
}

static void on_request_trailers(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    struct exchange *x = s->ctx;

    (void)block;
    (void)is_end; /* trailers always end a request (RFC 9113 §8.1) */
    x->is_request_ended = true;
    if (x->is_over) {
        h2_headers_free(&headers);
        return;
    }
    if (x->server != NULL) {
        h2_stream_send_headers(x->server, H2_TRAILERS, h2_headers_clone(headers), true);
    }
    h2_headers_free(&x->trailers);
    x->trailers = headers;
}

/* Response bytes are on their way to the client: the endpoint gets their credit back. */
static void on_response_sent(struct h2_stream *s, size_t len)
{
    struct exchange *x = s->ctx;

    if (x->server != NULL) {
        h2_stream_consume(x->server, len);
    }
}

static void on_client_closed(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    struct exchange *x = s->ctx;

    (void)reason;
    (void)is_unprocessed;
    x->client = NULL;
    if (x->server != NULL) {
        bool is_complete = x->is_response_ended;

        h2_stream_detach(x->server, error != H2_NO_ERROR ? error : H2_CANCEL);
        attempt_over(x, is_complete ? ATTEMPT_COMPLETE : ATTEMPT_CLIENT_LEFT);
    }
    exchange_end(x);
}

static const struct h2_stream_ops client_ops = {
    .on_headers = on_request_trailers,
    .on_data = on_request_data,
    .on_end = on_request_end,
    .on_sent = on_response_sent,
    .on_closed = on_client_closed,
};

/* --- attempts --- */

static void on_connection_ready(struct pool_waiter *w, struct h2_session *session, enum close_reason reason)
{
    struct exchange *x = container_of(w, struct exchange, waiter);

    x->is_waiting = false;
    if (session != NULL) {
        send_on(x, session);
    } else {
        attempt_unprocessed(x, reason);
    }
}

/* Sends the request, and as much of its body as has come, on a session with room. */
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
    x->sent = now_of(x);
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
}

/* Sends the request to `e` (picked: the exchange's from here on), now or when a connection has room. */
static void deliver(struct exchange *x, struct endpoint *e)
{
    struct h2_session *session;

    x->endpoint = e;
    if (e == NULL) {
        answer(x, CLOSE_NO_ENDPOINT, false);
        return;
    }
    x->tried[x->tried_count++] = e;
    x->attempts++;
    switch (client_pool_acquire(x->endpoint->pool, &x->waiter, &session)) {
    case POOL_READY:
        send_on(x, session);
        return;
    case POOL_WAITING:
        x->is_waiting = true;
        return;
    case POOL_FULL:
        attempt_unprocessed(x, CLOSE_QUEUE_FULL);
        return;
    }
}

static void add_forwarded_for(struct exchange *x)
{
    struct str name = STR("x-forwarded-for");
    struct str earlier = h2_headers_value(x->request, name);
    char peer[ADDR_TEXT_SIZE];
    struct text value;

    text_init(&value, 4096);
    if (earlier.len > 0) {
        text_append_str(&value, earlier);
        text_append(&value, ", ", 2);
    }
    text_printf(&value, "%s", addr_format_ip(&x->http->connection->peer, peer));
    h2_headers_set(x->request, name, (struct str){value.p, value.len});
    text_deinit(&value);
}

static struct exchange *exchange_new(struct http_side *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    struct worker *w = h->connection->worker;
    struct exchange *x = slab_alloc(w->slab, sizeof *x);

    object_created(OBJECT_EXCHANGE);
    x->http = h;
    x->worker = w;
    x->client = stream;
    x->request = headers;
    x->arrived = loop_now(w->loop);
    x->grpc_status = -1;
    x->is_grpc = reply_is_grpc(headers);
    x->is_request_ended = is_end;
    x->waiter.on_ready = on_connection_ready;
    list_init(&x->waiter.node);
    list_push_back(&h->exchanges, &x->node);
    body_copy_init(&x->copy, w->slab, &w->copies);
    stream->ops = &client_ops;
    stream->ctx = x;
    return x;
}

void exchange_start(struct http_side *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    struct exchange *x = exchange_new(h, stream, headers, is_end);

    if (h->connection->direction == INBOUND) {
        service_metrics_started(&h->app_metrics);
        if (x->worker->options->has_forwarded_for) {
            add_forwarded_for(x);
        }
        if (h->app == NULL) {
            attempt_unprocessed(x, CLOSE_GOAWAY);
        } else {
            send_on(x, h->app);
        }
        return;
    }
    struct cluster *cluster = outbound_route(h, headers);
    if (cluster == NULL) {
        /* Counted on the connection's own destination: there is no cluster to count it on. */
        x->cluster = cluster_ref(h->original);
        service_metrics_started(&x->cluster->metrics);
        answer(x, CLOSE_NO_ROUTE, false);
        return;
    }
    x->cluster = cluster_ref(cluster);
    service_metrics_started(&x->cluster->metrics);
    retry_budget_request(&x->cluster->retries, now_of(x));
    deliver(x, cluster_pick(x->cluster, x->tried, 0));
}

void exchange_abandon_all(struct http_side *h)
{
    list_for_each(node, &h->exchanges) {
        struct exchange *x = list_entry(node, struct exchange, node);

        if (x->client != NULL) {
            h2_stream_detach(x->client, H2_CANCEL);
            x->client = NULL;
        }
        exchange_end(x);
    }
}
