/* SPDX-License-Identifier: Apache-2.0 */

/*
 * DeltaAggregatedResources: the first request of a type may bring initial_resource_versions, and an equal version is not sent again; a name
 * that does not exist is reported in removed_resources at once, and again only after it had existed; subscribing again sends again. A
 * resource type that is none of ours has no resources: all its names are removed.
 */

#include "base/log.h"

#include "api/xds/ads_stream.h"
#include "api/xds/delta_state.h"

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest delta_request;

struct delta_stream {
    struct ads_stream base; /* first */
    struct delta_state state;
    bool has_begun[RESOURCE_TYPE_COUNT]; /* its first request has come */
};

static struct delta_stream *from(struct ads_stream *s)
{
    return container_of(s, struct delta_stream, base);
}

/* --- telling --- */

static bool next(struct ads_stream *base, enum resource_type *ret_type, struct delta_response *ret_response)
{
    struct view view = node_view(&base->node);

    return delta_state_next(&from(base)->state, &view, ret_type, ret_response);
}

static void on_due(struct interests *names)
{
    ads_stream_flush(&container_of(names, struct delta_stream, state.names)->base);
}

/* --- requests --- */

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
    metric_add(s->base.hub->metrics->type[type].requests, 1);
    ads_stream_take_answer(&s->base, type, m->response_nonce, m->error_detail);
    for (size_t i = 0; i < m->n_resource_names_subscribe; i++) {
        struct str name = str_from(m->resource_names_subscribe[i]);

        if (!ads_stream_accept_name(&s->base, delta_state_subscribe(&s->state, type, name))) {
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

    log_info(LOG_DISCOVERY, ads_stream_id(&s->base), "asks for a type that is not served: %s", m->type_url);
    if (m->n_resource_names_subscribe == 0) {
        return;
    }
    delta_response_init(&response);
    for (size_t i = 0; i < m->n_resource_names_subscribe; i++) {
        delta_response_remove(&response, str_from(m->resource_names_subscribe[i]));
    }
    ads_stream_deny_type(&s->base, m->type_url, &response);
    delta_response_deinit(&response);
}

static void on_request(struct ads_stream *base, const ProtobufCMessage *request)
{
    const delta_request *m = (const delta_request *)request;
    enum resource_type type;

    if (resource_type_from_url(str_from(m->type_url), &type)) {
        take_request(from(base), type, m);
    } else {
        deny_unknown_type(from(base), m);
    }
}

static const Envoy__Config__Core__V3__Node *node_of(const ProtobufCMessage *request)
{
    return ((const delta_request *)request)->node;
}

/* --- the protocol --- */

static const struct interests *names(struct ads_stream *s)
{
    return &from(s)->state.names;
}

static void init(struct ads_stream *s)
{
    const struct ads_hub *h = s->hub;

    delta_state_init(&from(s)->state, &s->hub->topics, h->resources, h->metrics, h->limits.subscriptions, on_due);
}

static void deinit(struct ads_stream *s)
{
    delta_state_deinit(&from(s)->state);
}

const struct ads_protocol delta_protocol = {
    .label = "delta",
    .path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    .size = sizeof(struct delta_stream),
    .request = &envoy__service__discovery__v3__delta_discovery_request__descriptor,
    .init = init,
    .deinit = deinit,
    .on_request = on_request,
    .node_of = node_of,
    .next = next,
    .encode = delta_response_encode,
    .names = names,
};
