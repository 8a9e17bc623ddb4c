/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/ads_client.h"

#include <stdio.h>
#include <string.h>

#include "api/proto/arena.h"
#include "api/proto/guard.h"
#include "base/log.h"
#include "base/mem.h"
#include "h2/grpc_call.h"
#include "net/dial.h"
#include "policy/backoff.h"
#include "xds/ads_request.h"

#define REASONS_MAX 4096
#define ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define SHORT_LIFE usec_from_s(1)
#define METHOD "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryResponse response_message;
typedef Envoy__Service__Discovery__V3__Resource resource_message;

static const struct backoff_policy backoff_policy = {.first = {100 * 1000}, .max = {10 * 1000000}, .jitter_percent = 30};

/* A dead api is noticed within 20 s. The stream window is what one response may take while it is put together. */
static const struct h2_options h2_options = {
    .max_concurrent_streams = 0,
    .stream_window_bytes = 4 * 1024 * 1024,
    .connection_window_bytes = 8 * 1024 * 1024,
    .max_header_list_bytes = 16 * 1024,
    .out_buffer_bytes = 64 * 1024,
    .ping_after = {10 * 1000000},
    .ping_timeout = {10 * 1000000},
};

struct ads_client {
    struct loop *loop;
    const struct discovery_options *options;
    const struct ads_client_ops *ops;
    void *ctx;
    struct dial dial;
    struct h2_session *session; /* owned; NULL while down */
    struct grpc_call *call;     /* owned; lives and ends with the session */
    bool is_answered;           /* a response came on this stream */
    bool has_sent_node;
    struct usec opened;
    uint64_t last_number; /* of a session, in its id "api-1" */
    struct backoff backoff;
    struct timer retry;
    struct deferred flush;
    struct ads_wanted wanted;
    struct discovery_status status;
};

/* --- requests --- */

static void send_request(void *ctx, struct ads_request *r)
{
    struct ads_client *c = ctx;
    size_t len = 0;
    uint8_t *bytes;

    if (!c->has_sent_node) {
        r->node = c->options;
        c->has_sent_node = true;
    }
    bytes = ads_request_encode(r, &len);
    grpc_call_send(c->call, bytes, len);
    mem_free(bytes);
}

static void flush(struct deferred *d)
{
    struct ads_client *c = container_of(d, struct ads_client, flush);

    if (c->call != NULL) {
        ads_wanted_flush(&c->wanted, send_request, c);
    }
}

/* --- responses --- */

static void lost(struct ads_client *c, bool is_orderly, const char *error);

static void refuse(struct text *reasons, const char *name, const char *reason)
{
    text_append(reasons, reasons->len > 0 ? "; " : "", reasons->len > 0 ? 2 : 0);
    text_append_utf8(reasons, str_from(name));
    text_printf(reasons, ": %s", reason);
}

static void set_version(struct ads_subscription *s, const char *version)
{
    mem_free(s->version);
    s->version = version != NULL ? mem_strdup(version) : NULL;
}

static void take_resource(struct ads_client *c, struct ads_subscription *s, const resource_message *m, struct text *reasons)
{
    const Google__Protobuf__Any *any = m->resource;
    struct text reason;

    text_init(&reason, REASONS_MAX);
    if (any == NULL || strcmp(any->type_url, xds_type_url(s->type)) != 0) {
        refuse(reasons, s->name, "resource is of another type");
    } else if (strlen(m->version) > ADS_VERSION_MAX) {
        refuse(reasons, s->name, "version is too long");
    } else if (c->ops->on_resource(c->ctx, s, any->value.data != NULL ? any->value.data : (const uint8_t *)"", any->value.len,
                                   &reason)) {
        set_version(s, m->version);
    } else {
        refuse(reasons, s->name, reason.p);
    }
    text_deinit(&reason);
}

/* A resource may be known by several names; whoever subscribed to one of them gets it. */
static void take_by_names(struct ads_client *c, enum xds_type type, const resource_message *m, struct text *reasons)
{
    struct ads_subscription *s = ads_client_find(c, type, str_from(m->name));

    if (s != NULL) {
        take_resource(c, s, m, reasons);
    }
    for (size_t i = 0; i < m->n_aliases; i++) {
        s = ads_client_find(c, type, str_from(m->aliases[i]));
        if (s != NULL && strcmp(m->aliases[i], m->name) != 0) {
            take_resource(c, s, m, reasons);
        }
    }
}

static void take_removed(struct ads_client *c, enum xds_type type, const char *name)
{
    struct ads_subscription *s = ads_client_find(c, type, str_from(name));
    struct text unused;

    if (s == NULL) {
        return;
    }
    text_init(&unused, 1);
    set_version(s, NULL);
    (void)c->ops->on_resource(c->ctx, s, NULL, 0, &unused);
    text_deinit(&unused);
}

/* Says what became of a response. Ends the stream of an api that goes on sending and does not read what it is answered. */
static void answer(struct ads_client *c, enum xds_type type, const char *nonce, const struct text *reasons)
{
    struct ads_request request;

    ads_request_init(&request, type);
    request.nonce = nonce;
    if (reasons->len > 0) {
        request.refusal = reasons->p;
        c->status.nacks++;
        log_warn(LOG_DISCOVERY, xds_type_label(type), "refused: %s", reasons->p);
    }
    send_request(c, &request);
    ads_request_deinit(&request);
    if (grpc_call_pending(c->call) > ADS_PENDING_MAX) {
        lost(c, false, "the api does not read what it is answered");
    }
}

static void take_response(struct ads_client *c, const response_message *m)
{
    enum xds_type type;
    struct text reasons;

    c->is_answered = true;
    c->status.updates++;
    if (!xds_type_from_url(str_from(m->type_url), &type) || !ads_wanted_has_begun(&c->wanted, type)) {
        log_warn(LOG_DISCOVERY, NULL, "response of a type that was not asked for: %s", m->type_url);
        return;
    }
    text_init(&reasons, REASONS_MAX);
    for (size_t i = 0; i < m->n_resources; i++) {
        take_by_names(c, type, m->resources[i], &reasons);
    }
    for (size_t i = 0; i < m->n_removed_resources; i++) {
        take_removed(c, type, m->removed_resources[i]);
    }
    answer(c, type, m->nonce, &reasons);
    text_deinit(&reasons);
}

/* --- a stream's life --- */

static void down(struct ads_client *c)
{
    grpc_call_cancel(&c->call);
    if (c->session != NULL) {
        h2_session_abandon(c->session, H2_NO_ERROR, CLOSE_DONE);
        c->session = NULL;
    }
    ads_wanted_stream_ended(&c->wanted);
    c->has_sent_node = false;
}

/* An api that answers and then fails, again and again, must not be asked in a tight loop. */
static struct usec delay_before_retry(struct ads_client *c)
{
    if (!c->is_answered || usec_before(usec_since(loop_now(c->loop), c->opened), SHORT_LIFE)) {
        return backoff_failed(&c->backoff, loop_rng(c->loop));
    }
    backoff_succeeded(&c->backoff);
    return (struct usec){0};
}

/* `is_orderly`: the api ended the stream in good order, as it does at its maximum age. */
static void lost(struct ads_client *c, bool is_orderly, const char *error)
{
    struct usec delay = delay_before_retry(c);

    if (c->status.is_connected) {
        c->status.disconnects++;
        c->status.is_connected = false;
    }
    snprintf(c->status.last_error, sizeof c->status.last_error, "%s", error);
    if (is_orderly) {
        log_info(LOG_DISCOVERY, c->options->api_address, "%s; connecting anew", error);
    } else {
        log_warn(LOG_DISCOVERY, c->options->api_address, "%s; trying again in %.3f s", error, usec_seconds(delay));
    }
    c->is_answered = false;
    down(c);
    timer_set(&c->retry, delay);
}

static void on_message(struct grpc_call *call, const uint8_t *bytes, size_t len)
{
    struct ads_client *c = grpc_call_ctx(call);
    struct arena arena;
    response_message *m = NULL;

    arena_init(&arena, ARENA_BYTES);
    if (proto_guard(&envoy__service__discovery__v3__delta_discovery_response__descriptor, bytes, len, GUARD_DEPTH_MAX)) {
        m = envoy__service__discovery__v3__delta_discovery_response__unpack(arena_allocator(&arena), len, bytes);
    }
    if (m != NULL) {
        take_response(c, m);
    } else {
        lost(c, false, "the api sent a message that is no DeltaDiscoveryResponse");
    }
    arena_deinit(&arena);
}

static void on_call_closed(struct grpc_call *call, enum grpc_status status, struct str message)
{
    struct ads_client *c = grpc_call_ctx(call);
    char error[sizeof c->status.last_error];

    c->call = NULL;
    snprintf(error, sizeof error, "stream ended with status %d%s%.*s", (int)status, message.len > 0 ? ": " : "", (int)message.len,
             message.len > 0 ? message.p : "");
    lost(c, status == GRPC_OK, error);
}

static const struct grpc_call_ops call_ops = {
    .on_message = on_message,
    .on_closed = on_call_closed,
};

static void on_settings(struct h2_session *session)
{
    struct ads_client *c = h2_session_ctx(session);

    if (!c->status.is_connected) {
        c->status.is_connected = true;
        c->status.has_ever_answered = true;
        c->status.connects++;
        log_info(LOG_DISCOVERY, c->options->api_address, "connected to the api");
    }
}

/* Streams end before their session, so the call is gone and with it our link. */
static void on_session_closed(struct h2_session *session, enum close_reason reason)
{
    struct ads_client *c = h2_session_ctx(session);

    if (c->session == session) {
        c->session = NULL;
        lost(c, false, close_reason_text(reason));
    }
}

static const struct h2_session_ops session_ops = {
    .on_settings = on_settings,
    .on_closed = on_session_closed,
};

static void tag(struct ads_client *c)
{
    struct trace_tag tag = {.kind = "api", .number = ++c->last_number};

    if (stream_peer_addr(h2_session_stream(c->session), &tag.peer)) {
        h2_session_tag(c->session, &tag);
    }
}

static void on_dialled(struct dial *d, const char *dial_error)
{
    struct ads_client *c = container_of(d, struct ads_client, dial);
    struct grpc_call_options call = {
        .authority = str_from(c->options->api_address),
        .path = STR(METHOD),
        .max_message_bytes = ADS_RESPONSE_BYTES,
    };
    int error = 0;

    if (dial_error != NULL) {
        lost(c, false, dial_error);
        return;
    }
    c->session = h2_session_new(H2_CLIENT, &d->stream, &h2_options, &session_ops, c);
    tag(c);
    c->call = grpc_call_start(c->session, &call, &call_ops, c, &error);
    if (c->call == NULL) {
        lost(c, false, strerror(-error));
        return;
    }
    c->opened = loop_now(c->loop);
    loop_defer(c->loop, &c->flush);
}

static void on_retry(struct timer *t)
{
    struct ads_client *c = container_of(t, struct ads_client, retry);

    dial_start(&c->dial, c->options->api_address);
}

/* --- for the caller --- */

struct ads_client *ads_client_new(struct loop *l, const struct discovery_options *options, const struct ads_client_ops *ops,
                                  void *ctx)
{
    struct ads_client *c = mem_alloc(sizeof *c);
    struct connect_options connect_options = {.timeout = options->connect_timeout, .user_timeout = usec_from_s(20)};

    *c = (struct ads_client){.loop = l, .options = options, .ops = ops, .ctx = ctx};
    dial_init(&c->dial, l, connect_options, on_dialled);
    backoff_init(&c->backoff, &backoff_policy);
    timer_init(&c->retry, l, on_retry);
    deferred_init(&c->flush, flush);
    ads_wanted_init(&c->wanted);
    return c;
}

void ads_client_start(struct ads_client *c)
{
    if (c->options->api_address[0] != '\0') {
        timer_set(&c->retry, (struct usec){0});
    }
}

void ads_client_free(struct ads_client *c)
{
    down(c);
    timer_stop(&c->retry);
    loop_undefer(&c->flush);
    dial_deinit(&c->dial);
    ads_wanted_deinit(&c->wanted);
    mem_free(c);
}

void ads_client_subscribe(struct ads_client *c, struct ads_subscription *s, enum xds_type type, struct str name)
{
    ads_wanted_add(&c->wanted, s, type, name);
    loop_defer(c->loop, &c->flush);
}

void ads_client_unsubscribe(struct ads_client *c, struct ads_subscription *s)
{
    if (ads_wanted_remove(&c->wanted, s)) {
        loop_defer(c->loop, &c->flush);
    }
}

struct ads_subscription *ads_client_find(const struct ads_client *c, enum xds_type type, struct str name)
{
    return ads_wanted_find(&c->wanted, type, name);
}

struct discovery_status ads_client_status(const struct ads_client *c)
{
    return c->status;
}
