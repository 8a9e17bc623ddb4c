/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/ads_stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#include "api/proto/arena.h"
#include "api/proto/guard.h"

#define SEND_AHEAD_BYTES ((size_t)256 * 1024)
#define REFUSAL_MAX 500                        /* bytes of a client's reason that are kept */
#define ARENA_BYTES ((size_t)32 * 1024 * 1024) /* 4 MiB of the shortest names unpack into about this */

/* --- life --- */

const char *ads_stream_id(const struct ads_stream *s)
{
    return s->node.id[0] != '\0' ? s->node.id : s->peer;
}

static void stream_free(struct ads_stream *s)
{
    loop_undefer(&s->flush);
    timer_stop(&s->age);
    s->protocol->deinit(s);
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        mem_free(s->answers[i].refusal);
    }
    list_unlink(&s->in_hub);
    s->hub->stream_count--;
    metric_move(s->hub->metrics->streams, -1);
    node_deinit(&s->node);
    mem_free(s->peer);
    mem_free(s);
}

/* on_closed follows and frees the stream. */
static void finish(struct ads_stream *s, enum grpc_status status, struct str message)
{
    if (!s->is_finished) {
        s->is_finished = true;
        loop_undefer(&s->flush);
        grpc_call_finish(s->call, status, message);
    }
}

static void refuse(struct ads_stream *s, enum grpc_status status, struct str message)
{
    log_warn(LOG_DISCOVERY, ads_stream_id(s), "stream refused: %.*s", (int)message.len, message.p);
    finish(s, status, message);
}

/* --- telling --- */

static const char *next_nonce(struct ads_stream *s, enum resource_type type)
{
    struct ads_answers *a = &s->answers[type];

    snprintf(a->nonce, sizeof a->nonce, "%" PRIu64, ++s->nonce_count);
    a->sent = loop_now(s->hub->loop);
    return a->nonce;
}

void ads_stream_deny_type(struct ads_stream *s, const char *type_url, const struct delta_response *response)
{
    char nonce[ADS_NONCE_SIZE];
    size_t len = 0;
    uint8_t *bytes;

    snprintf(nonce, sizeof nonce, "%" PRIu64, ++s->nonce_count);
    bytes = s->protocol->encode(response, type_url, nonce, &len);
    grpc_call_send(s->call, bytes, len);
    mem_free(bytes);
}

static void send_response(struct ads_stream *s, enum resource_type type, const struct delta_response *response)
{
    const struct api_type_metrics *m = &s->hub->metrics->type[type];
    size_t len = 0;
    uint8_t *bytes = s->protocol->encode(response, resource_type_url(type), next_nonce(s, type), &len);

    grpc_call_send(s->call, bytes, len);
    mem_free(bytes);
    metric_add(m->responses, 1);
    metric_add(m->sent, response->resource_count);
    metric_add(m->removed, response->removed_count);
    log_debug(LOG_DISCOVERY, ads_stream_id(s), "%s: %zu sent, %zu removed, nonce %s", resource_type_label(type),
              response->resource_count, response->removed_count, s->answers[type].nonce);
}

static bool send_next(struct ads_stream *s)
{
    struct delta_response response;
    enum resource_type type = RESOURCE_LISTENER;
    bool is_sent;

    delta_response_init(&response);
    is_sent = s->protocol->next(s, &type, &response);
    if (is_sent) {
        send_response(s, type, &response);
    }
    delta_response_deinit(&response);
    return is_sent;
}

/* Goes on for as long as the client takes what it gets; then on_drained does. */
static void flush(struct deferred *d)
{
    struct ads_stream *s = container_of(d, struct ads_stream, flush);

    while (!s->is_finished && grpc_call_pending(s->call) < SEND_AHEAD_BYTES && send_next(s)) {
    }
}

void ads_stream_flush(struct ads_stream *s)
{
    if (!s->is_finished) {
        loop_defer(s->hub->loop, &s->flush);
    }
}

/* --- requests --- */

bool ads_stream_accept_name(struct ads_stream *s, enum interest_outcome outcome)
{
    switch (outcome) {
    case INTEREST_TAKEN:
        return true;
    case INTEREST_BAD_NAME:
        refuse(s, GRPC_INVALID_ARGUMENT, STR("a resource name is empty or longer than 1024 bytes"));
        return false;
    case INTEREST_TOO_MANY:
        refuse(s, GRPC_RESOURCE_EXHAUSTED, STR("too many subscriptions on one stream"));
        return false;
    }
    return false;
}

/* ACKs need nothing done: what was sent counts as told. A request without a nonce answers nothing. */
void ads_stream_take_answer(struct ads_stream *s, enum resource_type type, const char *nonce, const Google__Rpc__Status *error)
{
    struct ads_answers *a = &s->answers[type];
    bool is_latest = strcmp(nonce, a->nonce) == 0;

    if (error == NULL) {
        if (is_latest && a->sent.v != 0) {
            memcpy(a->acknowledged, a->nonce, sizeof a->acknowledged);
            a->acknowledged_at = loop_now(s->hub->loop);
        }
        return;
    }
    mem_free(a->refusal);
    a->refusal = mem_printf("%.*s", REFUSAL_MAX, error->message);
    a->refused_at = loop_now(s->hub->loop);
    metric_add(s->hub->metrics->type[type].nacks, 1);
    log_warn(LOG_DISCOVERY, ads_stream_id(s), "%s refused (nonce %s%s): %s", resource_type_label(type), nonce,
             is_latest ? "" : ", not the latest", error->message);
}

static void take_message(struct ads_stream *s, const ProtobufCMessage *m)
{
    if (!s->has_node) {
        s->has_node = true;
        node_take(&s->node, s->protocol->node_of(m));
        log_debug(LOG_DISCOVERY, ads_stream_id(s), "stream from %s, namespace \"%s\", node \"%s\"", s->peer, s->node.namespace,
                  s->node.name);
    }
    s->protocol->on_request(s, m);
}

static void on_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    struct ads_stream *s = grpc_call_ctx(c);
    struct arena arena;
    ProtobufCMessage *m = NULL;

    if (s->is_finished) {
        return;
    }
    if (grpc_call_pending(c) > ADS_PENDING_MAX) {
        refuse(s, GRPC_RESOURCE_EXHAUSTED, STR("responses are not being read"));
        return;
    }
    arena_init(&arena, ARENA_BYTES);
    if (proto_guard(s->protocol->request, bytes, len, GUARD_DEPTH_MAX)) {
        m = protobuf_c_message_unpack(s->protocol->request, arena_allocator(&arena), len, bytes);
    }
    if (m != NULL) {
        take_message(s, m);
    } else {
        refuse(s, GRPC_INVALID_ARGUMENT, STR("the message is not a discovery request"));
    }
    arena_deinit(&arena);
}

/* --- the call's other events --- */

static void on_half_closed(struct grpc_call *c)
{
    finish(grpc_call_ctx(c), GRPC_OK, STR(""));
}

static void on_drained(struct grpc_call *c)
{
    struct ads_stream *s = grpc_call_ctx(c);

    ads_stream_flush(s);
}

static void on_closed(struct grpc_call *c, enum grpc_status status, struct str message)
{
    struct ads_stream *s = grpc_call_ctx(c);

    log_debug(LOG_DISCOVERY, ads_stream_id(s), "stream from %s ended with status %d %.*s", s->peer, (int)status, (int)message.len,
              message.len > 0 ? message.p : "");
    api_metrics_stream_ended(s->hub->metrics, (int)status);
    stream_free(s);
}

static const struct grpc_call_ops call_ops = {
    .on_message = on_message,
    .on_half_closed = on_half_closed,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static void on_age(struct timer *t)
{
    finish(container_of(t, struct ads_stream, age), GRPC_OK, STR("stream has reached its maximum age"));
}

/* From four fifths to six fifths of the limit. */
static void start_aging(struct ads_stream *s)
{
    uint64_t age = s->hub->limits.max_age.v;

    if (age > 0) {
        timer_set(&s->age, (struct usec){age - age / 5 + rng_below(loop_rng(s->hub->loop), age / 5 * 2 + 1)});
    }
}

void ads_stream_accept(struct ads_hub *h, const struct ads_protocol *protocol, struct h2_stream *stream,
                       struct h2_headers *headers, bool is_end, const char *peer)
{
    struct ads_stream *s = mem_alloc(protocol->size);

    s->call = grpc_call_accept(stream, headers, is_end, ADS_REQUEST_BYTES, &call_ops, s);
    if (s->call == NULL) {
        mem_free(s);
        return;
    }
    s->hub = h;
    s->protocol = protocol;
    s->peer = mem_strdup(peer);
    s->started = loop_now(h->loop);
    node_init(&s->node);
    deferred_init(&s->flush, flush);
    timer_init(&s->age, h->loop, on_age);
    protocol->init(s);
    list_init(&s->in_hub);
    list_push_back(&h->streams, &s->in_hub);
    h->stream_count++;
    metric_move(h->metrics->streams, 1);
    start_aging(s);
}

/* --- the hub --- */

void ads_hub_init(struct ads_hub *h, struct loop *l, struct resources *r, struct api_metrics *m, struct ads_limits limits)
{
    *h = (struct ads_hub){.loop = l, .resources = r, .metrics = m, .limits = limits};
    topics_init(&h->topics);
    list_init(&h->streams);
}

void ads_hub_deinit(struct ads_hub *h)
{
    assert(list_is_empty(&h->streams));
    topics_deinit(&h->topics);
}

static void on_resource_changed(enum resource_type type, struct str name, void *ctx)
{
    struct ads_hub *h = ctx;

    topics_changed(&h->topics, type, name);
}

void ads_hub_apply(struct ads_hub *h, struct world *w)
{
    bool was_synced = resources_is_synced(h->resources);

    resources_apply(h->resources, w, on_resource_changed, h);
    if (was_synced) {
        return;
    }
    list_for_each(node, &h->streams) {
        ads_stream_flush(list_entry(node, struct ads_stream, in_hub));
    }
}

void ads_hub_cut(struct ads_hub *h)
{
    list_for_each(node, &h->streams) {
        struct ads_stream *s = list_entry(node, struct ads_stream, in_hub);

        grpc_call_cancel(&s->call);
        stream_free(s);
    }
}

void ads_hub_finish(struct ads_hub *h, enum grpc_status status, struct str message)
{
    list_for_each(node, &h->streams) {
        finish(list_entry(node, struct ads_stream, in_hub), status, message);
    }
}
