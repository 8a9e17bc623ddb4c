/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Inbound HTTP/2: one peer connection is one connection to the app. The peer's session is opened only when the app's SETTINGS have
 * come, so that the first thing the peer learns is the app's own stream limit; until then its bytes wait in the kernel.
 */

#include <stdio.h>

#include "base/mem.h"
#include "flow/http_side.h"

/* An app that accepts and then says nothing: its peers give up earlier; nobody waits for ever. */
#define APP_SETTINGS_LIMIT usec_from_s(10)

static void mirror_limit(struct http_side *h)
{
    uint32_t offered = h->worker->options->server.max_concurrent_streams;
    uint32_t limit = h2_session_peer_max_streams(h->app);

    h2_session_offer_streams(h->session, limit < offered ? limit : offered);
}

static void on_app_settings(struct h2_session *app)
{
    struct http_side *h = h2_session_ctx(app);

    if (h->session == NULL) {
        timer_stop(&h->connection->timer);
        http_side_serve(h);
    }
    mirror_limit(h);
    if (h2_session_takes_connect(app)) {
        h2_session_offer_connect(h->session);
    }
}

/* The app's GOAWAY becomes ours: the peer opens its next streams on a new connection, and so on a new one to the app. */
static void on_app_goaway(struct h2_session *app, uint32_t error, int32_t last_stream_id)
{
    struct http_side *h = h2_session_ctx(app);

    (void)last_stream_id; /* in the app's numbering; streams above it end as refused, which the peer may repeat */
    if (h->session == NULL) {
        connection_close(h->connection, CLOSE_GOAWAY, true);
    } else if (error == H2_NO_ERROR) {
        h2_session_drain(h->session, CLOSE_GOAWAY);
    } else {
        h2_session_goaway(h->session, error, CLOSE_GOAWAY);
    }
}

static void on_app_closed(struct h2_session *app, enum close_reason reason)
{
    struct http_side *h = h2_session_ctx(app);

    h->app = NULL;
    if (h->session == NULL) {
        connection_close(h->connection, reason, true); /* the peer has not had a byte: as if nobody had listened */
    } else {
        /* Its streams have been told; the peer's connection ends when those answers are out. */
        h2_session_drain(h->session, reason);
    }
}

static const struct h2_session_ops app_ops = {
    .on_settings = on_app_settings,
    .on_goaway = on_app_goaway,
    .on_closed = on_app_closed,
};

void inbound_http_start(struct connection *c)
{
    struct http_side *h = http_side_new(c);
    char service[ADDR_TEXT_SIZE];

    snprintf(h->app_name, sizeof h->app_name, "%s", addr_format(&c->original, service));
    service_metrics_init(&h->app_metrics, c->worker->metrics.shard, INBOUND, h->app_name);
    app_load_init(&h->app_load, c->worker->loads, c->worker->metrics.shard, &c->original);
    timer_set(&c->timer, APP_SETTINGS_LIMIT);
    h->app = h2_session_new(H2_CLIENT, &c->server, &c->worker->options->app, &app_ops, h);
    h2_session_preface(h->app, c->held_server, c->held_server_len);
    http_side_tag(h, h->app, &c->original);
}
