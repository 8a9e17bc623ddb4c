/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/http_side.h"

#include "base/log.h"
#include "flow/exchange.h"

static void on_request(struct h2_session *session, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    exchange_start(h2_session_ctx(session), stream, headers, is_end);
}

static void on_client_gone(struct h2_session *session, enum close_reason reason)
{
    struct http_side *h = h2_session_ctx(session);

    h->session = NULL;
    /* A peer that leaves in between requests has finished; only its streams could have been hurt, and they were told. */
    connection_close(h->connection, reason == CLOSE_PEER_EOF ? CLOSE_DONE : reason, false);
}

static void on_refused(struct h2_session *session, enum close_reason reason)
{
    struct connection *c = ((struct http_side *)h2_session_ctx(session))->connection;
    char text[2 * ADDR_TEXT_SIZE + 32];

    flow_metrics_refused(&c->worker->metrics, c->direction, reason);
    log_debug(LOG_H2, connection_text(c, text), "stream refused: %s", close_reason_text(reason));
}

static const struct h2_session_ops client_session_ops = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_closed = on_client_gone,
};

void http_side_tag(struct http_side *h, struct h2_session *session, const struct addr *peer)
{
    struct connection *c = h->connection;
    const char *service = h->app_name;

    if (c->direction == OUTBOUND) {
        service = h->cluster_count > 0 ? h->clusters[0]->name : "";
    }
    h2_session_tag(session, &(struct trace_tag){.kind = c->direction == OUTBOUND ? "out" : "in",
                                                .number = c->id,
                                                .peer = *peer,
                                                .service = trace_service_key(service)});
}

struct http_side *http_side_new(struct connection *c)
{
    struct http_side *h = slab_alloc(c->worker->slab, sizeof *h);

    h->connection = c;
    h->worker = c->worker;
    list_init(&h->exchanges);
    c->http = h;
    c->state = CONNECTION_HTTP;
    metric_add(c->worker->metrics.direction[c->direction].http2_connections, 1);
    return h;
}

void http_side_serve(struct http_side *h)
{
    struct connection *c = h->connection;

    h->session = h2_session_new(H2_SERVER, &c->client, &c->worker->options->server, &client_session_ops, h);
    h2_session_preface(h->session, c->held_client, c->held_client_len);
    http_side_tag(h, h->session, &c->peer);
    if (c->worker->is_draining) {
        h2_session_drain(h->session, CLOSE_DRAINED);
    }
}

void http_side_drain(struct http_side *h, enum close_reason reason)
{
    if (h->session != NULL) {
        h2_session_drain(h->session, reason);
    } else {
        connection_close(h->connection, reason, false); /* the app's session never became ready */
    }
}

static void http_side_reap(struct grave *g)
{
    struct http_side *h = container_of(g, struct http_side, grave);

    slab_release(h->worker->slab, h);
}

void http_side_close(struct http_side **side, enum close_reason reason)
{
    struct http_side *h = *side;

    if (h == NULL) {
        return;
    }
    *side = NULL;
    if (reason == CLOSE_SHUTDOWN && h->session != NULL) {
        h2_session_drain(h->session, reason); /* the session's last words: these answers and a GOAWAY */
        exchange_answer_all(h, reason);
    }
    exchange_abandon_all(h);
    if (h->session != NULL) {
        h2_session_abandon(h->session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    }
    if (h->app != NULL) {
        h2_session_abandon(h->app, H2_NO_ERROR, CLOSE_CLIENT_GONE);
    }
    if (h->connection->direction == OUTBOUND) {
        outbound_forget(h);
    } else {
        service_metrics_deinit(&h->app_metrics);
        app_load_deinit(&h->app_load);
    }
    loop_bury(h->worker->loop, &h->grave, http_side_reap);
}
