/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/delta_stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/timer.h"

#include "api/proto/arena.h"
#include "api/proto/guard.h"
#include "api/proto/xds.pb-c.h"
#include "api/xds/delta_response.h"
#include "api/xds/delta_state.h"
#include "api/xds/node.h"

#define SEND_AHEAD_BYTES ((size_t)256 * 1024)
#define ARENA_BYTES ((size_t)32 * 1024 * 1024) /* 4 MiB of the shortest names unpack into about this */
#define NONCE_SIZE 24

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest delta_request;

struct delta_stream {
    struct list in_hub;
    struct delta_hub *hub;
    struct grpc_call *call; /* owned until its on_closed */
    struct deferred flush;
    struct timer age;
    struct node node;
    char *peer;
    bool has_node;
    bool is_finished; /* the status has been sent; only on_closed is to come */
    uint64_t nonce_count;
    struct delta_state state;
    bool has_begun[RESOURCE_TYPE_COUNT];         /* its first request has come */
    char nonce[RESOURCE_TYPE_COUNT][NONCE_SIZE]; /* of the latest response */
};

/* --- the stream's life --- */

/* For logs: the proxy's name if it gave one. */
static const char *id_of(const struct delta_stream *s)
{
    return s->node.id[0] != '\0' ? s->node.id : s->peer;
}

static void stream_free(struct delta_stream *s)
{
    loop_undefer(&s->flush);
    timer_stop(&s->age);
    delta_state_deinit(&s->state);
    list_unlink(&s->in_hub);
    s->hub->stream_count--;
    metric_move(s->hub->metrics->streams, -1);
    node_deinit(&s->node);
    mem_free(s->peer);
    mem_free(s);
}

/* on_closed follows and frees the stream. */
static void finish(struct delta_stream *s, enum grpc_status status, struct str message)
{
    if (!s->is_finished) {
        s->is_finished = true;
        loop_undefer(&s->flush);
        grpc_call_finish(s->call, status, message);
    }
}

static void refuse(struct delta_stream *s, enum grpc_status status, struct str message)
{
    log_warn(LOG_DISCOVERY, id_of(s), "stream refused: %.*s", (int)message.len, message.p);
    finish(s, status, message);
}

/* --- telling --- */

static void send_response(struct delta_stream *s, enum resource_type type, const struct delta_response *response)
{
    const struct api_type_metrics *m = &s->hub->metrics->type[type];
    char *nonce = s->nonce[type];
    size_t len = 0;
    uint8_t *bytes;

    snprintf(nonce, NONCE_SIZE, "%" PRIu64, ++s->nonce_count);
    bytes = delta_response_encode(response, resource_type_url(type), nonce, &len);
    grpc_call_send(s->call, bytes, len);
    mem_free(bytes);
    metric_add(m->responses, 1);
    metric_add(m->sent, response->resource_count);
    metric_add(m->removed, response->removed_count);
    log_debug(LOG_DISCOVERY, id_of(s), "%s: %zu sent, %zu removed, nonce %s", resource_type_label(type), response->resource_count,
              response->removed_count, nonce);
}

/* False when there is nothing to tell. */
static bool send_next(struct delta_stream *s)
{
    struct view view = node_view(&s->node);
    struct delta_response response;
    enum resource_type type = RESOURCE_LISTENER;
    bool is_sent;

    delta_response_init(&response);
    is_sent = delta_state_next(&s->state, &view, &type, &response);
    if (is_sent) {
        send_response(s, type, &response);
    }
    delta_response_deinit(&response);
    return is_sent;
}

/* Goes on for as long as the proxy takes what it gets; then on_drained does. */
static void flush(struct deferred *d)
{
    struct delta_stream *s = container_of(d, struct delta_stream, flush);

    while (!s->is_finished && grpc_call_pending(s->call) < SEND_AHEAD_BYTES && send_next(s)) {
    }
}

static void on_due(struct delta_state *state)
{
    struct delta_stream *s = container_of(state, struct delta_stream, state);

    if (!s->is_finished) {
        loop_defer(s->hub->loop, &s->flush);
    }
}

/* --- requests --- */

/* False when the stream was refused. */
static bool subscribe(struct delta_stream *s, enum resource_type type, struct str name)
{
    switch (delta_state_subscribe(&s->state, type, name)) {
    case DELTA_TAKEN:
        return true;
    case DELTA_BAD_NAME:
        refuse(s, GRPC_INVALID_ARGUMENT, STR("a resource name is empty or longer than 1024 bytes"));
        return false;
    case DELTA_TOO_MANY:
        refuse(s, GRPC_RESOURCE_EXHAUSTED, STR("too many subscriptions on one stream"));
        return false;
    }
    return false;
}

/* ACKs need nothing done: what was sent counts as told. */
static void take_answer(struct delta_stream *s, enum resource_type type, const delta_request *m)
{
    if (m->error_detail == NULL) {
        return;
    }
    metric_add(s->hub->metrics->type[type].nacks, 1);
    log_warn(LOG_DISCOVERY, id_of(s), "%s refused (nonce %s%s): %s", resource_type_label(type), m->response_nonce,
             strcmp(m->response_nonce, s->nonce[type]) == 0 ? "" : ", not the latest", m->error_detail->message);
}

/* What the proxy still holds from an earlier stream. */
static void take_initial_versions(struct delta_stream *s, enum resource_type type, const delta_request *m)
{
    for (size_t i = 0; i < m->n_initial_resource_versions; i++) {
        delta_state_hold(&s->state, type, str_from(m->initial_resource_versions[i]->key),
                         str_from(m->initial_resource_versions[i]->value));
    }
}

static void take_request(struct delta_stream *s, enum resource_type type, const delta_request *m)
{
    metric_add(s->hub->metrics->type[type].requests, 1);
    take_answer(s, type, m);
    for (size_t i = 0; i < m->n_resource_names_subscribe; i++) {
        if (!subscribe(s, type, str_from(m->resource_names_subscribe[i]))) {
            return;
        }
    }
    if (!s->has_begun[type]) {
        s->has_begun[type] = true;
        take_initial_versions(s, type, m);
    }
    for (size_t i = 0; i < m->n_resource_names_unsubscribe; i++) {
        delta_state_unsubscribe(&s->state, type, str_from(m->resource_names_unsubscribe[i]));
    }
}

/* Nothing of that type exists. */
static void deny_unknown_type(struct delta_stream *s, const delta_request *m)
{
    struct delta_response response;
    char nonce[NONCE_SIZE];
    size_t len = 0;
    uint8_t *bytes;

    log_info(LOG_DISCOVERY, id_of(s), "asks for a type that is not served: %s", m->type_url);
    if (m->n_resource_names_subscribe == 0) {
        return;
    }
    delta_response_init(&response);
    for (size_t i = 0; i < m->n_resource_names_subscribe; i++) {
        delta_response_remove(&response, str_from(m->resource_names_subscribe[i]));
    }
    snprintf(nonce, sizeof nonce, "%" PRIu64, ++s->nonce_count);
    bytes = delta_response_encode(&response, m->type_url, nonce, &len);
    grpc_call_send(s->call, bytes, len);
    mem_free(bytes);
    delta_response_deinit(&response);
}

static void take_message(struct delta_stream *s, const delta_request *m)
{
    enum resource_type type;

    if (!s->has_node) {
        s->has_node = true;
        node_take(&s->node, m->node);
        log_debug(LOG_DISCOVERY, id_of(s), "stream from %s, namespace \"%s\", node \"%s\"", s->peer, s->node.namespace,
                  s->node.name);
    }
    if (resource_type_from_url(str_from(m->type_url), &type)) {
        take_request(s, type, m);
    } else {
        deny_unknown_type(s, m);
    }
}

static void on_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    struct delta_stream *s = grpc_call_ctx(c);
    struct arena arena;
    delta_request *m = NULL;

    if (s->is_finished) {
        return;
    }
    if (grpc_call_pending(c) > DELTA_PENDING_MAX) {
        refuse(s, GRPC_RESOURCE_EXHAUSTED, STR("responses are not being read"));
        return;
    }
    arena_init(&arena, ARENA_BYTES);
    if (proto_guard(&envoy__service__discovery__v3__delta_discovery_request__descriptor, bytes, len, GUARD_DEPTH_MAX)) {
        m = envoy__service__discovery__v3__delta_discovery_request__unpack(arena_allocator(&arena), len, bytes);
    }
    if (m != NULL) {
        take_message(s, m);
    } else {
        refuse(s, GRPC_INVALID_ARGUMENT, STR("the message is not a DeltaDiscoveryRequest"));
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
    struct delta_stream *s = grpc_call_ctx(c);

    if (!s->is_finished) {
        loop_defer(s->hub->loop, &s->flush);
    }
}

static void on_closed(struct grpc_call *c, enum grpc_status status, struct str message)
{
    struct delta_stream *s = grpc_call_ctx(c);

    log_debug(LOG_DISCOVERY, id_of(s), "stream from %s ended with status %d %.*s", s->peer, (int)status, (int)message.len,
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
    finish(container_of(t, struct delta_stream, age), GRPC_OK, STR("stream has reached its maximum age"));
}

/* From four fifths to six fifths of the limit. */
static void start_aging(struct delta_stream *s)
{
    uint64_t age = s->hub->limits.max_age.v;

    if (age > 0) {
        timer_set(&s->age, (struct usec){age - age / 5 + rng_below(loop_rng(s->hub->loop), age / 5 * 2 + 1)});
    }
}

void delta_stream_accept(struct delta_hub *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end, const char *peer)
{
    struct delta_stream *s = mem_alloc(sizeof *s);

    s->call = grpc_call_accept(stream, headers, is_end, DELTA_REQUEST_BYTES, &call_ops, s);
    if (s->call == NULL) {
        mem_free(s);
        return;
    }
    s->hub = h;
    s->peer = mem_strdup(peer);
    node_init(&s->node);
    deferred_init(&s->flush, flush);
    timer_init(&s->age, h->loop, on_age);
    delta_state_init(&s->state, &h->topics, h->resources, h->metrics, h->limits.subscriptions);
    s->state.on_due = on_due;
    list_init(&s->in_hub);
    list_push_back(&h->streams, &s->in_hub);
    h->stream_count++;
    metric_move(h->metrics->streams, 1);
    start_aging(s);
}

/* --- the hub --- */

void delta_hub_init(struct delta_hub *h, struct loop *l, struct resources *r, struct api_metrics *m, struct delta_limits limits)
{
    *h = (struct delta_hub){.loop = l, .resources = r, .metrics = m, .limits = limits};
    topics_init(&h->topics);
    list_init(&h->streams);
}

void delta_hub_deinit(struct delta_hub *h)
{
    assert(list_is_empty(&h->streams));
    topics_deinit(&h->topics);
}

static void on_resource_changed(enum resource_type type, struct str name, void *ctx)
{
    struct delta_hub *h = ctx;

    topics_changed(&h->topics, type, name);
}

void delta_hub_apply(struct delta_hub *h, struct world *w)
{
    bool was_synced = resources_is_synced(h->resources);

    resources_apply(h->resources, w, on_resource_changed, h);
    if (was_synced) {
        return;
    }
    list_for_each(node, &h->streams) {
        struct delta_stream *s = list_entry(node, struct delta_stream, in_hub);

        if (!s->is_finished) {
            loop_defer(h->loop, &s->flush);
        }
    }
}

void delta_hub_cut(struct delta_hub *h)
{
    list_for_each(node, &h->streams) {
        struct delta_stream *s = list_entry(node, struct delta_stream, in_hub);

        grpc_call_cancel(&s->call);
        stream_free(s);
    }
}

void delta_hub_finish(struct delta_hub *h, enum grpc_status status, struct str message)
{
    list_for_each(node, &h->streams) {
        finish(list_entry(node, struct delta_stream, in_hub), status, message);
    }
}
