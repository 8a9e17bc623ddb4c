/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/exchange.h"

#include "base/log.h"
#include "base/object.h"
#include "flow/exchange_internal.h"
#include "flow/reply.h"

struct service_metrics *exchange_service(struct exchange *x)
{
    return x->cluster != NULL ? &x->cluster->metrics : &x->http->app_metrics;
}

void exchange_forget_request(struct exchange *x)
{
    h2_headers_free(&x->request);
    h2_headers_free(&x->trailers);
    x->worker->headers.used_bytes -= x->header_bytes;
    x->header_bytes = 0;
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

/* Nobody waits for a connection or an answer any more; the account with the endpoint is still open. */
static void drop_attempt(struct exchange *x, uint32_t error)
{
    if (x->is_waiting) {
        client_pool_cancel(x->endpoint->pool, &x->waiter);
        x->is_waiting = false;
    }
    if (x->server != NULL) {
        h2_stream_reset(x->server, error);
        h2_stream_detach(x->server, error);
        x->server = NULL;
    }
}

/* The client's stream is gone, and with it the exchange. */
static void exchange_end(struct exchange *x)
{
    struct service_metrics *metrics = exchange_service(x);

    deadline_clear(&x->timeout);
    drop_attempt(x, H2_CANCEL);
    attempt_over(x, ATTEMPT_CLIENT_LEFT);
    if (x->cluster == NULL) {
        app_load_ended(&x->http->app_load);
    }
    service_metrics_finished(metrics, x->grpc_status, x->http_status, usec_since(exchange_now(x), x->arrived));
    exchange_forget_request(x);
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
    service_metrics_failed(exchange_service(x), reason);
    log_debug(LOG_HTTP, x->cluster != NULL ? x->cluster->name : "inbound", "request failed: %s (endpoint %s, attempt %u)",
              close_reason_text(reason), x->endpoint != NULL ? x->endpoint->text : "none", x->attempts);
}

/* Nothing more is expected of the endpoint: the proxy's own answer ends the exchange. */
void exchange_answer(struct exchange *x, enum close_reason reason, bool was_sent)
{
    struct reply reply;

    count_failure(x, reason);
    reply_of(x, reason, was_sent, &reply);
    x->is_over = true;
    x->grpc_status = close_reason_grpc_status(reason);
    h2_stream_drop_request(x->client, H2_NO_ERROR);
    if (x->is_answered) {
        reply_broken_off(x->client, x->is_grpc, &reply);
    } else {
        x->http_status = x->is_grpc ? 200 : reply_http_status(reason);
        reply_instead(x->client, x->is_grpc, &reply);
    }
    exchange_forget_request(x);
}

void exchange_reset(struct exchange *x, uint32_t error, enum close_reason reason)
{
    count_failure(x, reason);
    x->is_over = true;
    h2_stream_reset(x->client, error);
    exchange_forget_request(x);
}

/* --- time --- */

static struct usec next_limit(const struct exchange *x, enum close_reason *ret_reason)
{
    struct timeouts_state state = {
        .arrived = x->arrived,
        .deadline = x->deadline,
        .sent = x->sent,
        .active = x->active,
        .is_answered = x->is_answered,
    };

    return timeouts_next(&x->worker->options->timeouts, &state, ret_reason);
}

/* Limits that have moved away are noticed when the old time comes; only a nearer one must be set. */
void exchange_watch(struct exchange *x)
{
    enum close_reason reason;
    struct usec limit = next_limit(x, &reason);

    if (limit.v != USEC_NEVER.v && (!deadline_is_set(&x->timeout) || usec_before(limit, x->timeout.entry.due))) {
        deadline_set(&x->worker->deadlines, &x->timeout, limit);
    }
}

static void time_out(struct exchange *x, enum close_reason reason)
{
    bool was_sent = x->sent.v != 0;
    bool is_endpoints_fault = was_sent && !x->is_answered;

    if (x->is_response_ended) {
        exchange_reset(x, H2_CANCEL, reason); /* the endpoint has done its part: the client does not take the rest */
    } else {
        exchange_answer(x, reason, was_sent);
    }
    drop_attempt(x, H2_CANCEL);
    attempt_over(x, is_endpoints_fault ? ATTEMPT_TIMED_OUT : was_sent ? ATTEMPT_CLIENT_LEFT : ATTEMPT_UNPROCESSED);
}

static void on_timeout(struct deadline *d)
{
    struct exchange *x = container_of(d, struct exchange, timeout);
    enum close_reason reason;
    struct usec limit = next_limit(x, &reason);

    if (x->is_over) {
        return;
    }
    if (usec_before(exchange_now(x), limit)) {
        exchange_watch(x);
    } else {
        time_out(x, reason);
    }
}

/* --- events of the client's stream --- */

static void on_request_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    struct exchange *x = s->ctx;

    x->active = exchange_now(x);
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
    if (x->is_over || (x->server == NULL && x->is_response_ended)) {
        h2_headers_free(&headers);
        return;
    }
    if (x->server != NULL && x->request == NULL) {
        /* Nothing will be repeated, and the stream may go on for long: they need not be kept. */
        h2_stream_send_headers(x->server, H2_TRAILERS, headers, true);
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

    x->active = exchange_now(x);
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
        if (error == H2_NO_ERROR && x->is_request_ended && x->is_response_ended) {
            h2_stream_detach(x->server, H2_NO_ERROR); /* only the end of the request is still on its way */
        } else {
            drop_attempt(x, error);
        }
        attempt_over(x, x->is_response_ended ? ATTEMPT_COMPLETE : ATTEMPT_CLIENT_LEFT);
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

/* --- the beginning --- */

/* The lines of a list are one list (RFC 9110 §5.3), and its last name is the one that we know: nothing the peer wrote may follow it. */
static void add_forwarded_for(struct exchange *x)
{
    struct str name = STR("x-forwarded-for");
    char peer[ADDR_TEXT_SIZE];
    struct text value;

    text_init(&value, x->request->list_bytes + sizeof peer);
    for (size_t i = 0; i < x->request->count; i++) {
        const struct h2_field *f = &x->request->field[i];

        if (str_eq(f->name, name) && f->value.len > 0) {
            text_append_str(&value, f->value);
            text_append(&value, ", ", 2);
        }
    }
    text_append_str(&value, str_from(addr_format_ip(&x->http->connection->peer, peer)));
    h2_headers_remove(x->request, name);
    h2_headers_add(x->request, name, (struct str){value.p, value.len});
    text_deinit(&value);
}

static struct usec deadline_of(const struct exchange *x, const struct h2_headers *headers)
{
    struct usec timeout;

    if (x->is_grpc && timeouts_parse_grpc(h2_headers_value(headers, STR("grpc-timeout")), &timeout)) {
        return usec_add(x->arrived, timeout);
    }
    return USEC_NEVER;
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
    x->active = x->arrived;
    x->grpc_status = -1;
    x->is_grpc = reply_is_grpc(headers);
    x->deadline = deadline_of(x, headers);
    x->is_request_ended = is_end;
    x->waiter.on_ready = attempt_connection_ready;
    list_init(&x->waiter.node);
    deadline_init(&x->timeout, on_timeout);
    list_push_back(&h->exchanges, &x->node);
    body_copy_init(&x->copy, w->slab, &w->copies);
    stream->ops = &client_ops;
    stream->ctx = x;
    h2_stream_keep_request(stream);
    return x;
}

void exchange_start(struct http_side *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    struct exchange *x = exchange_new(h, stream, headers, is_end);

    exchange_watch(x);
    if (h->connection->direction == INBOUND) {
        service_metrics_started(&h->app_metrics);
        app_load_started(&h->app_load);
        if (x->worker->options->has_forwarded_for) {
            add_forwarded_for(x);
        }
        if (h->app == NULL) {
            attempt_unprocessed(x, CLOSE_GOAWAY);
        } else {
            attempt_send_on(x, h->app);
        }
        return;
    }
    struct cluster *cluster = outbound_route(h, headers);
    if (cluster == NULL) {
        /* Counted on the connection's own destination: there is no cluster to count it on. */
        x->cluster = cluster_ref(h->original);
        service_metrics_started(&x->cluster->metrics);
        exchange_answer(x, CLOSE_NO_ROUTE, false);
        return;
    }
    x->cluster = cluster_ref(cluster);
    x->header_bytes = headers->list_bytes;
    x->worker->headers.used_bytes += x->header_bytes;
    service_metrics_started(&x->cluster->metrics);
    retry_budget_request(&x->cluster->retries, exchange_now(x));
    attempt_deliver(x, cluster_pick(x->cluster, x->tried, 0));
}

void exchange_answer_all(struct http_side *h, enum close_reason reason)
{
    list_for_each(node, &h->exchanges) {
        struct exchange *x = list_entry(node, struct exchange, node);

        if (!x->is_over && !x->is_response_ended) {
            exchange_answer(x, reason, x->sent.v != 0);
        }
    }
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
