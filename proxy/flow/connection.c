/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Detection asks (policy/detect), this file acts: it reads both sides into the held buffers, dials when told to, and hands the sockets
 * and held bytes to a relay or an HTTP side once the answer is there. From then on it only waits for the end.
 */

#include "flow/connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/object.h"
#include "flow/http_side.h"
#include "flow/relay.h"
#include "net/socket.h"

static void act(struct connection *c, enum detect_action action);

const char *connection_text(const struct connection *c, char out[static 2 * ADDR_TEXT_SIZE + 32])
{
    char peer[ADDR_TEXT_SIZE];
    char original[ADDR_TEXT_SIZE];

    snprintf(out, 2 * ADDR_TEXT_SIZE + 32, "%s-%llu %s>%s", c->direction == OUTBOUND ? "out" : "in", (unsigned long long)c->id,
             addr_format(&c->peer, peer), addr_format(&c->original, original));
    return out;
}

static struct usec now_of(const struct connection *c)
{
    return loop_now(c->worker->loop);
}

/* --- the end --- */

static void connection_reap(struct grave *g)
{
    struct connection *c = container_of(g, struct connection, grave);

    slab_release(c->worker->slab, c);
    object_destroyed(OBJECT_CONNECTION);
}

void connection_close(struct connection *c, enum close_reason reason, bool is_abort)
{
    char text[2 * ADDR_TEXT_SIZE + 32];
    struct worker *w = c->worker;

    if (c->state == CONNECTION_CLOSED) {
        return;
    }
    log_debug(LOG_ACCEPT, connection_text(c, text), "closed: %s", close_reason_text(reason));
    if (c->state < CONNECTION_RELAYING) {
        metric_add(w->metrics.direction[c->direction].refused_connections, 1);
    }
    c->state = CONNECTION_CLOSED;
    flow_metrics_closed(&w->metrics, c->direction, reason);
    metric_move(w->metrics.direction[c->direction].active, -1);
    timer_stop(&c->timer);
    connect_cancel(&c->dial);
    directory_unwatch(&c->watch);
    http_side_close(&c->http, reason);
    relay_close(&c->relay, is_abort);
    if (is_abort) {
        stream_abort(&c->client);
        stream_abort(&c->server);
    } else {
        stream_close(&c->client);
        stream_close(&c->server);
    }
    list_unlink(&c->node);
    w->connection_count--;
    loop_bury(w->loop, &c->grave, connection_reap);
}

void connection_drain(struct connection *c, enum close_reason reason)
{
    if (c->state == CONNECTION_HTTP) {
        http_side_drain(c->http, reason);
    }
}

/* --- raw TCP --- */

static void on_relay_end(void *ctx, enum close_reason reason)
{
    struct connection *c = ctx;

    relay_close(&c->relay, reason != CLOSE_DONE);
    connection_close(c, reason, reason != CLOSE_DONE);
}

static void start_relay(struct connection *c)
{
    struct worker *w = c->worker;
    struct direction_metrics *metrics = &w->metrics.direction[c->direction];
    struct relay_start start = {
        .client = &c->client,
        .server = &c->server,
        .from_client = c->held_client,
        .from_client_len = c->held_client_len,
        .from_server = c->held_server,
        .from_server_len = c->held_server_len,
        .is_client_ended = c->is_client_ended,
        .is_server_ended = c->is_server_ended,
        .to_server_bytes = metrics->to_server_bytes,
        .to_client_bytes = metrics->to_client_bytes,
        .pipes = w->pipes,
        .keepalive = w->options->tcp_keepalive,
        .reset_patience = RELAY_RESET_PATIENCE,
    };

    timer_stop(&c->timer);
    c->state = CONNECTION_RELAYING;
    metric_add(metrics->tcp_connections, 1);
    c->relay = relay_new(&start, on_relay_end, c);
}

static void on_server_readable(struct stream *s);

/*
 * Connections to this destination have been HTTP/2: a client that has not spoken yet is late rather than waiting for a greeting, and
 * other endpoints can serve it, so that the failed speculative dial is no reason to reset it.
 */
static bool has_been_http2(const struct connection *c)
{
    uint64_t outcomes[DETECT_LABEL_COUNT];

    server_first_outcomes(c->worker->server_first, &c->original, now_of(c), outcomes);
    return c->direction == OUTBOUND && outcomes[DETECT_LABEL_HTTP2] > 0;
}

/* Client and server are both there. */
static void join_server(struct connection *c)
{
    if (c->is_http) {
        inbound_http_start(c);
    } else {
        start_relay(c);
    }
}

static void on_dialled(struct connect *dial, int result)
{
    struct connection *c = container_of(dial, struct connection, dial);

    if (result == 0) {
        stream_move(&c->server, &dial->stream);
    }
    c->dial_error = result;
    if (c->state == CONNECTION_DETECTING) {
        if (result < 0 && !has_been_http2(c)) {
            act(c, detect_dial_failed(&c->detect));
        } else if (result == 0) {
            stream_set_handlers(&c->server, on_server_readable, NULL);
            stream_want_read(&c->server, true);
        }
        return;
    }
    if (c->state != CONNECTION_DIALLING) {
        return; /* asking discovery: kept for what it may say */
    }
    if (result < 0) {
        connection_close(c, close_reason_of_connect(result), true);
    } else {
        join_server(c);
    }
}

/* The one place that says how the original destination is reached. */
static void dial(struct connection *c)
{
    struct connect_options options = {.timeout = c->worker->options->connect_timeout,
                                      .keepalive = c->worker->options->tcp_keepalive};

    c->has_dialled = true;
    connect_start(&c->dial, c->worker->loop, &c->original, &options, on_dialled);
}

/* Goes on once the original destination is connected: over the speculative connection if there is one. */
static void need_server(struct connection *c, bool is_http)
{
    stream_want_read(&c->client, false);
    stream_want_read(&c->server, false);
    c->state = CONNECTION_DIALLING;
    c->is_http = is_http;
    if (!c->has_dialled) {
        dial(c);
    } else if (c->dial_error < 0) {
        connection_close(c, close_reason_of_connect(c->dial_error), true);
    } else if (stream_is_open(&c->server)) {
        join_server(c);
    }
}

void connection_become_raw(struct connection *c)
{
    directory_unwatch(&c->watch);
    need_server(c, false);
}

/* --- HTTP/2, outbound: what does discovery say? --- */

/* The speculative connection may have reached any pod behind the address: it never serves requests. */
static void drop_speculation(struct connection *c)
{
    connect_cancel(&c->dial);
    stream_close(&c->server);
    c->held_server_len = 0;
}

static void serve(struct connection *c, struct snapshot *snapshot)
{
    timer_stop(&c->timer);
    drop_speculation(c);
    outbound_http_start(c, snapshot);
}

static void on_destination_change(struct directory_watch *watch)
{
    struct connection *c = container_of(watch, struct connection, watch);
    struct snapshot *snapshot = directory_answer(watch);

    if (snapshot == NULL) {
        return;
    }
    if (c->state == CONNECTION_HTTP) {
        outbound_http_update(c, snapshot);
    } else if (snapshot->kind == DESTINATION_HTTP) {
        serve(c, snapshot);
    } else {
        connection_become_raw(c);
    }
}

static void ask_discovery(struct connection *c)
{
    struct worker *w = c->worker;

    stream_want_read(&c->client, false);
    stream_want_read(&c->server, false);
    c->state = CONNECTION_ASKING;
    directory_watch(w->directory, &c->original, &c->watch, on_destination_change);
    if (directory_answer(&c->watch) != NULL) {
        on_destination_change(&c->watch);
    } else {
        timer_set(&c->timer, w->options->discovery_timeout);
    }
}

/* --- detection --- */

static void record(struct connection *c)
{
    struct worker *w = c->worker;

    metric_add(w->metrics.direction[c->direction].detections[c->detect.label], 1);
    server_first_record(w->server_first, &c->original, c->detect.label, now_of(c));
}

static void wait_for_more(struct connection *c)
{
    struct usec deadline = detect_deadline(&c->detect);

    if (deadline.v == USEC_NEVER.v) {
        timer_stop(&c->timer);
    } else {
        timer_set(&c->timer, usec_since(deadline, now_of(c)));
    }
}

static void act(struct connection *c, enum detect_action action)
{
    switch (action) {
    case DETECT_WAIT:
        wait_for_more(c);
        return;
    case DETECT_DIAL:
        dial(c);
        wait_for_more(c);
        return;
    case DETECT_GO_TCP:
        record(c);
        timer_stop(&c->timer);
        need_server(c, false);
        return;
    case DETECT_GO_HTTP2:
        record(c);
        timer_stop(&c->timer);
        if (c->direction == INBOUND) {
            need_server(c, true);
        } else {
            ask_discovery(c);
        }
        return;
    }
}

static void on_timer(struct timer *t)
{
    struct connection *c = container_of(t, struct connection, timer);

    if (c->state == CONNECTION_DETECTING) {
        act(c, detect_time(&c->detect, now_of(c)));
    } else if (c->state == CONNECTION_ASKING) {
        serve(c, NULL); /* the watch stays: the answer changes this connection when it comes */
    } else if (c->state == CONNECTION_HTTP && c->http->session == NULL) {
        connection_close(c, CLOSE_PEER_TIMEOUT, true); /* inbound: the app has not said a word of HTTP/2 */
    }
}

/* Reads into a held buffer. 0 or negative errno to stop for now; otherwise the new bytes' count. */
static ssize_t read_held(struct stream *s, uint8_t *held, size_t *len, size_t size)
{
    ssize_t n = stream_recv(s, held + *len, size - *len);

    if (n > 0) {
        *len += (size_t)n;
    }
    return n;
}

static void on_client_readable(struct stream *s)
{
    struct connection *c = container_of(s, struct connection, client);
    size_t before = c->held_client_len;
    ssize_t n;

    if (before == sizeof c->held_client) {
        stream_want_read(s, false);
        return;
    }
    n = read_held(s, c->held_client, &c->held_client_len, sizeof c->held_client);
    if (n > 0) {
        act(c, detect_client_bytes(&c->detect, c->held_client + before, (size_t)n, now_of(c)));
    } else if (n == 0) {
        c->is_client_ended = true;
        stream_want_read(s, false);
        act(c, detect_client_eof(&c->detect));
    } else if (n != -EAGAIN) {
        connection_close(c, close_reason_of_io((int)n), true);
    }
}

static void on_server_readable(struct stream *s)
{
    struct connection *c = container_of(s, struct connection, server);
    size_t before = c->held_server_len;
    ssize_t n;

    if (before == sizeof c->held_server) {
        stream_want_read(s, false);
        return;
    }
    n = read_held(s, c->held_server, &c->held_server_len, sizeof c->held_server);
    if (n > 0) {
        act(c, detect_server_bytes(&c->detect, c->held_server + before, (size_t)n, now_of(c)));
    } else if (n == 0) {
        c->is_server_ended = true;
        stream_want_read(s, false);
        act(c, detect_server_eof(&c->detect));
    } else if (n != -EAGAIN && c->direction == OUTBOUND && c->detect.server_len == DETECT_FRAME_HEADER_LEN) {
        /* It had sent SETTINGS: other endpoints can serve this client, whose preface is only late. */
        stream_close(s);
        c->dial_error = (int)n;
    } else if (n != -EAGAIN) {
        connection_close(c, close_reason_of_io((int)n), true);
    }
}

/* --- accept --- */

/*
 * Connections that were not redirected, and destinations that lead back to us, are loops: a client that dials the listener itself has
 * the listener's own address as its original destination.
 */
static bool is_loop(const struct connection *c)
{
    const struct flow_options *o = c->worker->options;
    uint16_t port = c->original.port;
    bool is_own_port = port == o->outbound.port || port == o->inbound.port;

    if (c->direction == INBOUND) {
        return is_own_port || !socket_is_local_ip(&c->original);
    }
    return is_own_port && socket_is_local_ip(&c->original);
}

static struct connection *connection_new(struct worker *w, enum direction d, int fd, const struct addr *peer)
{
    struct connection *c = slab_alloc(w->slab, sizeof *c);

    object_created(OBJECT_CONNECTION);
    c->worker = w;
    c->direction = d;
    c->peer = *peer;
    c->id = w->last_connection_id += w->options->workers;
    stream_init(&c->client, w->loop, fd);
    timer_init(&c->timer, w->loop, on_timer);
    list_push_back(&w->connections, &c->node);
    w->connection_count++;
    metric_move(w->metrics.direction[d].active, 1);
    return c;
}

void connection_accept(struct worker *w, enum direction d, int fd, const struct addr *peer)
{
    struct connection *c = connection_new(w, d, fd, peer);
    bool is_server_first;

    if (socket_original_dst(fd, &c->original) < 0) {
        connection_close(c, CLOSE_NO_ORIGINAL_DST, true);
        return;
    }
    if (is_loop(c)) {
        connection_close(c, CLOSE_LOOP, true);
        return;
    }
    is_server_first = server_first_is_known(w->server_first, &c->original, loop_now(w->loop));
    stream_set_handlers(&c->client, on_client_readable, NULL);
    stream_want_read(&c->client, true);
    act(c, detect_start(&c->detect, &w->detect_policy, is_server_first, now_of(c)));
}
