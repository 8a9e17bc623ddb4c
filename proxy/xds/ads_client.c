/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/ads_client.h"

#include <assert.h>
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

#define REQUEST_NAMES_MAX 2000 /* of a change; a first request must name all */
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

struct leaving {
    struct list node;
    char *name;
};

struct ads_type {
    struct hash_table by_name;
    struct list unsent;  /* subscriptions the open stream does not know of */
    struct list leaving; /* names it does not know to be over */
    bool has_begun;      /* the first request of this type on this stream was sent */
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
    struct backoff backoff;
    struct timer retry;
    struct deferred flush;
    struct ads_type type[XDS_TYPE_COUNT];
    struct discovery_status status;
};

/* --- requests --- */

static void send_request(struct ads_client *c, struct ads_request *r)
{
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

static void drop_leaving(struct ads_type *t)
{
    struct list *node;

    while ((node = list_pop_front(&t->leaving)) != NULL) {
        struct leaving *l = list_entry(node, struct leaving, node);

        mem_free(l->name);
        mem_free(l);
    }
}

static void add_visited(struct hash_node *node, void *ctx)
{
    struct ads_subscription *s = container_of(node, struct ads_subscription, by_name);

    list_unlink(&s->unsent);
    ads_request_subscribe(ctx, s->name, s->version);
}

/* All names, and what is held of them. */
static void begin_type(struct ads_client *c, enum xds_type type)
{
    struct ads_type *t = &c->type[type];
    struct ads_request request;

    ads_request_init(&request, type);
    hash_for_each(&t->by_name, add_visited, &request);
    send_request(c, &request);
    ads_request_deinit(&request);
    t->has_begun = true;
}

/* Before new names: a name may be on both lists, and its last word is that it is wanted. */
static void send_leaving(struct ads_client *c, enum xds_type type)
{
    struct ads_type *t = &c->type[type];
    struct ads_request request;

    if (list_is_empty(&t->leaving)) {
        return;
    }
    ads_request_init(&request, type);
    list_for_each(node, &t->leaving) {
        ads_request_unsubscribe(&request, list_entry(node, struct leaving, node)->name);
    }
    send_request(c, &request);
    ads_request_deinit(&request);
    drop_leaving(t);
}

static void send_unsent(struct ads_client *c, enum xds_type type)
{
    struct ads_type *t = &c->type[type];

    while (!list_is_empty(&t->unsent)) {
        struct ads_request request;
        struct list *node;

        ads_request_init(&request, type);
        while (request.subscribe_count < REQUEST_NAMES_MAX && (node = list_pop_front(&t->unsent)) != NULL) {
            ads_request_subscribe(&request, list_entry(node, struct ads_subscription, unsent)->name, NULL);
        }
        send_request(c, &request);
        ads_request_deinit(&request);
    }
}

static void flush(struct deferred *d)
{
    struct ads_client *c = container_of(d, struct ads_client, flush);

    for (unsigned i = 0; c->call != NULL && i < XDS_TYPE_COUNT; i++) {
        struct ads_type *t = &c->type[i];

        if (t->has_begun) {
            send_leaving(c, (enum xds_type)i);
            send_unsent(c, (enum xds_type)i);
        } else if (t->by_name.count > 0) {
            begin_type(c, (enum xds_type)i);
        }
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
    if (!xds_type_from_url(str_from(m->type_url), &type) || !c->type[type].has_begun) {
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
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        c->type[i].has_begun = false;
        drop_leaving(&c->type[i]);
    }
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

static void on_dialled(struct dial *d, const char *dial_error)
{
    struct ads_client *c = container_of(d, struct ads_client, dial);
    int error = 0;

    if (dial_error != NULL) {
        lost(c, false, dial_error);
        return;
    }
    c->session = h2_session_new(H2_CLIENT, &d->stream, NULL, 0, &h2_options, &session_ops, c);
    c->call =
        grpc_call_start(c->session, str_from(c->options->api_address), STR(METHOD), ADS_RESPONSE_BYTES, &call_ops, c, &error);
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
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        hash_init(&c->type[i].by_name);
        list_init(&c->type[i].unsent);
        list_init(&c->type[i].leaving);
    }
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
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        assert(c->type[i].by_name.count == 0);
        hash_deinit(&c->type[i].by_name);
    }
    mem_free(c);
}

void ads_client_subscribe(struct ads_client *c, struct ads_subscription *s, enum xds_type type, struct str name)
{
    *s = (struct ads_subscription){.type = type, .name = mem_copy_string(name.p, name.len)};
    list_init(&s->unsent);
    hash_insert(&c->type[type].by_name, &s->by_name, hash_bytes(name.p, name.len));
    list_push_back(&c->type[type].unsent, &s->unsent);
    loop_defer(c->loop, &c->flush);
}

void ads_client_unsubscribe(struct ads_client *c, struct ads_subscription *s)
{
    struct ads_type *t = &c->type[s->type];
    bool is_known = t->has_begun && !list_is_linked(&s->unsent);

    hash_remove(&t->by_name, &s->by_name);
    list_unlink(&s->unsent);
    if (is_known) {
        struct leaving *l = mem_alloc(sizeof *l);

        l->name = s->name;
        list_push_back(&t->leaving, &l->node);
        loop_defer(c->loop, &c->flush);
    } else {
        mem_free(s->name);
    }
    mem_free(s->version);
    s->name = NULL;
    s->version = NULL;
}

struct ads_subscription *ads_client_find(const struct ads_client *c, enum xds_type type, struct str name)
{
    const struct hash_table *table = &c->type[type].by_name;

    for (struct hash_node *node = hash_first(table, hash_bytes(name.p, name.len)); node != NULL; node = hash_next(node)) {
        struct ads_subscription *s = container_of(node, struct ads_subscription, by_name);

        if (str_eq(str_from(s->name), name)) {
            return s;
        }
    }
    return NULL;
}

struct discovery_status ads_client_status(const struct ads_client *c)
{
    return c->status;
}
