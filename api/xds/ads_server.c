/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/ads_server.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "h2/grpc_call.h"
#include "h2/session.h"
#include "net/listener.h"
#include "net/timer.h"

#include "api/xds/ads_stream.h"

#define IDLE_LIMIT usec_from_s(30)

static const struct h2_options h2_options = {
    .max_concurrent_streams = 16,
    .stream_window_bytes = 256 * 1024,
    .connection_window_bytes = 1024 * 1024,
    .max_header_list_bytes = 16 * 1024,
    .out_buffer_bytes = 64 * 1024,
    .ping_after = {20 * 1000000},
    .ping_timeout = {20 * 1000000},
};

struct ads_server {
    struct loop *loop;
    struct ads_server_options options;
    struct api_metrics *metrics;
    struct listener *listener;
    struct listener *twin; /* [::] beside 0.0.0.0; NULL where the host has no IPv6 */
    struct ads_hub hub;
    struct list connections;
    uint64_t connection_count;
    uint64_t last_number; /* of the connections ever */
    struct deferred drained;
    void (*on_drained)(void *ctx);
    void *drain_ctx;
    bool is_draining;
};

struct connection {
    struct list in_server;
    struct ads_server *server;
    struct h2_session *session;
    struct timer idle;
    char peer[ADDR_TEXT_SIZE];
};

static void connection_free(struct connection *c)
{
    struct ads_server *s = c->server;

    timer_stop(&c->idle);
    list_unlink(&c->in_server);
    s->connection_count--;
    metric_move(s->metrics->connections, -1);
    if (s->is_draining && s->connection_count == 0) {
        loop_defer(s->loop, &s->drained);
    }
    mem_free(c);
}

/* Looks once in a while instead of following each stream. */
static void on_idle(struct timer *t)
{
    struct connection *c = container_of(t, struct connection, idle);

    if (h2_session_stream_count(c->session) == 0) {
        h2_session_close(c->session, H2_NO_ERROR, CLOSE_IDLE);
    } else {
        timer_set(t, IDLE_LIMIT);
    }
}

static void refuse(struct h2_stream *stream, struct h2_headers *headers, enum grpc_status status, struct str message)
{
    h2_headers_free(&headers);
    grpc_refuse(stream, status, message);
}

static const struct ads_protocol *protocol_of(struct str path)
{
    static const struct ads_protocol *const protocols[] = {&delta_protocol, &sotw_protocol};

    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        if (str_eq(path, str_from(protocols[i]->path))) {
            return protocols[i];
        }
    }
    return NULL;
}

static void on_request(struct h2_session *session, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    struct connection *c = h2_session_ctx(session);
    struct ads_server *s = c->server;
    const struct ads_protocol *protocol = protocol_of(h2_headers_value(headers, STR(":path")));

    if (protocol == NULL) {
        refuse(stream, headers, GRPC_UNIMPLEMENTED,
               STR("only DeltaAggregatedResources and StreamAggregatedResources are served"));
    } else if (s->is_draining) {
        refuse(stream, headers, GRPC_UNAVAILABLE, STR("the api is shutting down"));
    } else if (s->hub.stream_count >= s->options.max_streams) {
        log_warn(LOG_DISCOVERY, c->peer, "stream refused: there are %zu already", (size_t)s->hub.stream_count);
        refuse(stream, headers, GRPC_RESOURCE_EXHAUSTED, STR("too many discovery streams"));
    } else {
        ads_stream_accept(&s->hub, protocol, stream, headers, is_end, c->peer);
    }
}

static void on_session_closed(struct h2_session *session, enum close_reason reason)
{
    struct connection *c = h2_session_ctx(session);

    log_debug(LOG_DISCOVERY, c->peer, "connection ended: %s", close_reason_text(reason));
    connection_free(c);
}

static const struct h2_session_ops session_ops = {
    .on_request = on_request,
    .on_closed = on_session_closed,
};

static void on_accept(void *ctx, int fd, const struct addr *peer)
{
    struct ads_server *s = ctx;
    struct connection *c;
    struct stream stream;

    if (s->connection_count >= s->options.max_connections) {
        metric_add(s->metrics->connections_refused, 1);
        close(fd);
        return;
    }
    c = mem_alloc(sizeof *c);
    c->server = s;
    addr_format(peer, c->peer);
    list_init(&c->in_server);
    list_push_back(&s->connections, &c->in_server);
    s->connection_count++;
    metric_move(s->metrics->connections, 1);
    timer_init(&c->idle, s->loop, on_idle);
    timer_set(&c->idle, IDLE_LIMIT);
    stream_init(&stream, s->loop, fd);
    c->session = h2_session_new(H2_SERVER, &stream, &h2_options, &session_ops, c);
    h2_session_tag(c->session, &(struct trace_tag){.kind = "proxy", .number = ++s->last_number, .peer = *peer});
}

static void run_drained(struct deferred *d)
{
    struct ads_server *s = container_of(d, struct ads_server, drained);

    if (s->on_drained != NULL) {
        s->on_drained(s->drain_ctx);
    }
}

/* A host without IPv6 is no error. */
static void open_twin(struct ads_server *s)
{
    struct addr twin = {.family = ADDR_V6, .port = listener_addr(s->listener).port};
    int result;

    if (s->options.listen.family != ADDR_V4 || !addr_is_any(&s->options.listen)) {
        return;
    }
    result = listener_open(s->loop, &twin, on_accept, s, &s->twin);
    if (result < 0) {
        log_info(LOG_DISCOVERY, NULL, "not listening on IPv6: %s", strerror(-result));
    }
}

int ads_server_open(struct loop *l, const struct ads_server_options *options, struct resources *r, struct api_metrics *m,
                    struct ads_server **ret_server)
{
    struct ads_server *s = mem_alloc(sizeof *s);
    int result;

    *s = (struct ads_server){.loop = l, .options = *options, .metrics = m};
    result = listener_open(l, &options->listen, on_accept, s, &s->listener);
    if (result < 0) {
        mem_free(s);
        return result;
    }
    ads_hub_init(&s->hub, l, r, m,
                 (struct ads_limits){.subscriptions = options->max_subscriptions, .max_age = options->stream_max_age});
    list_init(&s->connections);
    deferred_init(&s->drained, run_drained);
    open_twin(s);
    *ret_server = s;
    return 0;
}

void ads_server_close(struct ads_server **link)
{
    struct ads_server *s = *link;

    if (s == NULL) {
        return;
    }
    *link = NULL;
    listener_close(&s->listener);
    listener_close(&s->twin);
    loop_undefer(&s->drained);
    s->on_drained = NULL;
    ads_hub_cut(&s->hub);
    list_for_each(node, &s->connections) {
        struct connection *c = list_entry(node, struct connection, in_server);

        h2_session_abandon(c->session, H2_NO_ERROR, CLOSE_SHUTDOWN);
        connection_free(c);
    }
    loop_undefer(&s->drained);
    ads_hub_deinit(&s->hub);
    mem_free(s);
}

struct addr ads_server_addr(const struct ads_server *s)
{
    return listener_addr(s->listener);
}

void ads_server_print(struct ads_server *s, struct str client, struct text *out)
{
    ads_hub_print(&s->hub, client, out);
}

void ads_server_apply(struct ads_server *s, struct world *w)
{
    ads_hub_apply(&s->hub, w);
    metric_add(s->metrics->pushes, 1);
}

void ads_server_drain(struct ads_server *s, void (*on_drained)(void *ctx), void *ctx)
{
    s->is_draining = true;
    s->on_drained = on_drained;
    s->drain_ctx = ctx;
    listener_close(&s->listener);
    listener_close(&s->twin);
    ads_hub_finish(&s->hub, GRPC_UNAVAILABLE, STR("the api is shutting down"));
    list_for_each(node, &s->connections) {
        h2_session_drain(list_entry(node, struct connection, in_server)->session, CLOSE_SHUTDOWN);
    }
    if (s->connection_count == 0) {
        loop_defer(s->loop, &s->drained);
    }
}
