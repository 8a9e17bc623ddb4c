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
#include "api/xds/node.h"

#define SEND_AHEAD_BYTES ((size_t)256 * 1024)
#define ARENA_BYTES ((size_t)32 * 1024 * 1024) /* 4 MiB of the shortest names unpack into about this */
#define NONCE_SIZE 24

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest delta_request;

enum told { TOLD_NOTHING, TOLD_VERSION, TOLD_ABSENT };

struct delta_subscription {
    struct subscription base;
    struct hash_node by_name; /* in the stream's table */
    struct list due;          /* on the type's `waiting` or `now` */
    struct delta_stream *stream;
    enum told told;
    char version[17]; /* TOLD_VERSION: which */
};

struct delta_type {
    struct hash_table by_name;
    struct list waiting; /* for the next pass */
    struct list now;     /* of this pass */
    bool has_begun;      /* its first request has come */
    char nonce[NONCE_SIZE]; /* of the latest response */
};

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
    uint64_t subscription_count;
    uint64_t nonce_count;
    unsigned step; /* of the pass; STEP_COUNT: no pass is on */
    struct delta_type type[RESOURCE_TYPE_COUNT];
};

/* A pass. Names of Clusters and Endpoints that are gone wait until no Route names them any more. */
static const struct step {
    enum resource_type type;
    bool keeps_absent; /* for the later step of the same type */
} steps[] = {
    {RESOURCE_CLUSTER, true}, {RESOURCE_ENDPOINTS, true}, {RESOURCE_LISTENER, false},
    {RESOURCE_ROUTE, false},  {RESOURCE_CLUSTER, false},  {RESOURCE_ENDPOINTS, false},
};

#define STEP_COUNT ARRAY_LEN(steps)

/* --- the stream's life --- */

/* For logs: the proxy's name if it gave one. */
static const char *id_of(const struct delta_stream *s)
{
    return s->node.id[0] != '\0' ? s->node.id : s->peer;
}

static void subscription_free(struct delta_stream *s, struct delta_subscription *sub)
{
    enum resource_type type = sub->base.topic->type;

    hash_remove(&s->type[type].by_name, &sub->by_name);
    list_unlink(&sub->due);
    topics_cancel(&s->hub->topics, &sub->base);
    metric_move(s->hub->metrics->type[type].subscriptions, -1);
    s->subscription_count--;
    mem_free(sub);
}

static void free_visited(struct hash_node *node, void *ctx)
{
    subscription_free(ctx, container_of(node, struct delta_subscription, by_name));
}

static void stream_free(struct delta_stream *s)
{
    loop_undefer(&s->flush);
    timer_stop(&s->age);
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        hash_for_each(&s->type[i].by_name, free_visited, s);
        hash_deinit(&s->type[i].by_name);
    }
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

/* Adds what this name needs told, if anything. True when the name is done with in this step. */
static bool tell(struct delta_stream *s, struct delta_subscription *sub, bool keeps_absent, struct delta_response *response)
{
    struct view view = node_view(&s->node);
    const struct topic *topic = sub->base.topic;
    struct resource *res = resources_lookup(s->hub->resources, topic->type, topic->name, &view);

    if (res == NULL) {
        if (sub->told == TOLD_ABSENT) {
            return true;
        }
        if (keeps_absent) {
            return false;
        }
        sub->told = TOLD_ABSENT;
        delta_response_remove(response, topic->name);
        return true;
    }
    if (sub->told == TOLD_VERSION && strcmp(sub->version, res->version) == 0) {
        resource_unref(&res);
        return true;
    }
    sub->told = TOLD_VERSION;
    memcpy(sub->version, res->version, sizeof sub->version);
    delta_response_add(response, &res);
    return true;
}

static void send_response(struct delta_stream *s, enum resource_type type, const struct delta_response *response)
{
    const struct api_type_metrics *m = &s->hub->metrics->type[type];
    struct delta_type *t = &s->type[type];
    size_t len = 0;
    uint8_t *bytes;

    snprintf(t->nonce, sizeof t->nonce, "%" PRIu64, ++s->nonce_count);
    bytes = delta_response_encode(response, resource_type_url(type), t->nonce, &len);
    grpc_call_send(s->call, bytes, len);
    mem_free(bytes);
    metric_add(m->responses, 1);
    metric_add(m->sent, response->resource_count);
    metric_add(m->removed, response->removed_count);
    log_debug(LOG_DISCOVERY, id_of(s), "%s: %zu sent, %zu removed, nonce %s", resource_type_label(type), response->resource_count,
              response->removed_count, t->nonce);
}

/* One response of one step. True when the step is over. */
static bool run_step(struct delta_stream *s, const struct step *step)
{
    struct delta_type *t = &s->type[step->type];
    struct delta_response response;
    bool is_over = true;

    delta_response_init(&response);
    list_for_each(node, &t->now) {
        struct delta_subscription *sub = list_entry(node, struct delta_subscription, due);

        if (delta_response_is_full(&response)) {
            is_over = false;
            break;
        }
        if (tell(s, sub, step->keeps_absent, &response)) {
            list_unlink(&sub->due);
        }
    }
    if (!delta_response_is_empty(&response)) {
        send_response(s, step->type, &response);
    }
    delta_response_deinit(&response);
    return is_over;
}

static bool begin_pass(struct delta_stream *s)
{
    bool is_due = false;

    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        is_due = is_due || !list_is_empty(&s->type[i].waiting);
        list_splice(&s->type[i].now, &s->type[i].waiting);
    }
    s->step = 0;
    return is_due;
}

/* Goes on with the pass for as long as the proxy takes what it gets. */
static void flush(struct deferred *d)
{
    struct delta_stream *s = container_of(d, struct delta_stream, flush);

    if (!resources_is_synced(s->hub->resources)) {
        return;
    }
    while (!s->is_finished && grpc_call_pending(s->call) < SEND_AHEAD_BYTES) {
        if (s->step == STEP_COUNT && !begin_pass(s)) {
            s->step = STEP_COUNT;
            return;
        }
        if (run_step(s, &steps[s->step])) {
            s->step++;
        }
    }
}

static void mark_due(struct delta_stream *s, struct delta_subscription *sub)
{
    if (!list_is_linked(&sub->due)) {
        list_push_back(&s->type[sub->base.topic->type].waiting, &sub->due);
    }
    loop_defer(s->hub->loop, &s->flush);
}

static void on_topic_changed(struct subscription *base)
{
    struct delta_subscription *sub = container_of(base, struct delta_subscription, base);

    if (!sub->stream->is_finished) {
        mark_due(sub->stream, sub);
    }
}

/* --- requests --- */

static struct delta_subscription *find(const struct delta_stream *s, enum resource_type type, struct str name)
{
    const struct hash_table *table = &s->type[type].by_name;

    for (struct hash_node *node = hash_first(table, topic_hash(type, name)); node != NULL; node = hash_next(node)) {
        struct delta_subscription *sub = container_of(node, struct delta_subscription, by_name);

        if (str_eq(sub->base.topic->name, name)) {
            return sub;
        }
    }
    return NULL;
}

static struct delta_subscription *add(struct delta_stream *s, enum resource_type type, struct str name)
{
    struct delta_subscription *sub = mem_alloc(sizeof *sub);

    sub->stream = s;
    sub->base.on_changed = on_topic_changed;
    list_init(&sub->due);
    list_init(&sub->base.in_topic);
    topics_subscribe(&s->hub->topics, &sub->base, type, name);
    hash_insert(&s->type[type].by_name, &sub->by_name, topic_hash(type, name));
    s->subscription_count++;
    metric_move(s->hub->metrics->type[type].subscriptions, 1);
    return sub;
}

/* False when the stream was refused. */
static bool subscribe(struct delta_stream *s, enum resource_type type, struct str name)
{
    struct delta_subscription *sub;

    if (str_eq(name, STR("*"))) {
        return true;
    }
    if (name.len == 0 || name.len > DELTA_NAME_MAX) {
        refuse(s, GRPC_INVALID_ARGUMENT, STR("a resource name is empty or longer than 1024 bytes"));
        return false;
    }
    sub = find(s, type, name);
    if (sub == NULL && s->subscription_count >= s->hub->limits.subscriptions) {
        refuse(s, GRPC_RESOURCE_EXHAUSTED, STR("too many subscriptions on one stream"));
        return false;
    }
    if (sub == NULL) {
        sub = add(s, type, name);
    }
    sub->told = TOLD_NOTHING;
    mark_due(s, sub);
    return true;
}

/* What the proxy still holds from an earlier stream. Only names it also subscribes to count. */
static void take_initial_versions(struct delta_stream *s, enum resource_type type, const delta_request *m)
{
    for (size_t i = 0; i < m->n_initial_resource_versions; i++) {
        const char *version = m->initial_resource_versions[i]->value;
        struct delta_subscription *sub = find(s, type, str_from(m->initial_resource_versions[i]->key));

        if (sub != NULL && version[0] != '\0') {
            /* One that is not of our making differs from all of ours, at any length. */
            sub->told = TOLD_VERSION;
            snprintf(sub->version, sizeof sub->version, "%s", strlen(version) < sizeof sub->version ? version : "?");
        }
    }
}

static void take_answer(struct delta_stream *s, enum resource_type type, const delta_request *m)
{
    if (m->error_detail == NULL) {
        return;
    }
    metric_add(s->hub->metrics->type[type].nacks, 1);
    log_warn(LOG_DISCOVERY, id_of(s), "%s refused (nonce %s%s): %s", resource_type_label(type), m->response_nonce,
             strcmp(m->response_nonce, s->type[type].nonce) == 0 ? "" : ", not the latest", m->error_detail->message);
}

static void take_request(struct delta_stream *s, enum resource_type type, const delta_request *m)
{
    struct delta_type *t = &s->type[type];

    metric_add(s->hub->metrics->type[type].requests, 1);
    if (m->response_nonce[0] != '\0') {
        take_answer(s, type, m);
    }
    for (size_t i = 0; i < m->n_resource_names_subscribe; i++) {
        if (!subscribe(s, type, str_from(m->resource_names_subscribe[i]))) {
            return;
        }
    }
    if (!t->has_begun) {
        t->has_begun = true;
        take_initial_versions(s, type, m);
    }
    for (size_t i = 0; i < m->n_resource_names_unsubscribe; i++) {
        struct delta_subscription *sub = find(s, type, str_from(m->resource_names_unsubscribe[i]));

        if (sub != NULL) {
            subscription_free(s, sub);
        }
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
        log_debug(LOG_DISCOVERY, id_of(s), "stream from %s, namespace \"%s\", node \"%s\"", s->peer, s->node.namespace, s->node.name);
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
    s->step = STEP_COUNT;
    s->peer = mem_strdup(peer);
    node_init(&s->node);
    deferred_init(&s->flush, flush);
    timer_init(&s->age, h->loop, on_age);
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        hash_init(&s->type[i].by_name);
        list_init(&s->type[i].waiting);
        list_init(&s->type[i].now);
    }
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
