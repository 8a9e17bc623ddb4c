/* SPDX-License-Identifier: Apache-2.0 */

/*
 * StreamAggregatedResources: what gRPC's own xDS clients speak. A request with a stale nonce crossed with a response: its client sends
 * another one when it has read that, so it is passed over.
 */

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#include "api/xds/ads_stream.h"
#include "api/xds/sotw_state.h"

typedef Envoy__Service__Discovery__V3__DiscoveryRequest sotw_request;

struct sotw_stream {
    struct ads_stream base; /* first */
    struct sotw_state state;
};

static struct sotw_stream *from(struct ads_stream *s)
{
    return container_of(s, struct sotw_stream, base);
}

/* --- telling --- */

/* protobuf-c's fields are not const, though packing only reads them. */
static uint8_t *as_field(struct str bytes)
{
    return (uint8_t *)(uintptr_t)bytes.p;
}

/* The version is the nonce's number: it only tells a person which response a client holds. */
static uint8_t *encode(const struct delta_response *r, const char *type_url, const char *nonce, size_t *ret_len)
{
    static char identifier[] = "outrigger-api";
    Envoy__Service__Discovery__V3__DiscoveryResponse m;
    Envoy__Config__Core__V3__ControlPlane control_plane;
    Google__Protobuf__Any *entries = mem_alloc_array(r->resource_count + 1, sizeof *entries);
    Google__Protobuf__Any **list = mem_alloc_array(r->resource_count + 1, sizeof(void *));
    uint8_t *bytes;

    envoy__service__discovery__v3__discovery_response__init(&m);
    envoy__config__core__v3__control_plane__init(&control_plane);
    m.type_url = mem_strdup(type_url);
    m.nonce = mem_strdup(nonce);
    for (size_t i = 0; i < r->resource_count; i++) {
        google__protobuf__any__init(&entries[i]);
        entries[i].type_url = m.type_url;
        entries[i].value.data = as_field(r->resources[i]->bytes);
        entries[i].value.len = r->resources[i]->bytes.len;
        list[i] = &entries[i];
    }
    control_plane.identifier = identifier;
    m.control_plane = &control_plane;
    m.version_info = m.nonce;
    m.n_resources = r->resource_count;
    m.resources = list;
    *ret_len = envoy__service__discovery__v3__discovery_response__get_packed_size(&m);
    bytes = mem_alloc(*ret_len + 1);
    envoy__service__discovery__v3__discovery_response__pack(&m, bytes);
    mem_free(m.type_url);
    mem_free(m.nonce);
    mem_free(list);
    mem_free(entries);
    return bytes;
}

static bool next(struct ads_stream *base, enum resource_type *ret_type, struct delta_response *ret_response)
{
    struct view view = node_view(&base->node);

    return sotw_state_next(&from(base)->state, &view, ret_type, ret_response);
}

static void on_due(struct interests *names)
{
    ads_stream_flush(&container_of(names, struct sotw_stream, state.names)->base);
}

/* --- requests --- */

static void take_request(struct sotw_stream *s, enum resource_type type, const sotw_request *m)
{
    metric_add(s->base.hub->metrics->type[type].requests, 1);
    ads_stream_take_answer(&s->base, type, m->response_nonce, m->error_detail);
    if (strcmp(m->response_nonce, s->base.answers[type].nonce) != 0) {
        return;
    }
    sotw_state_begin(&s->state);
    for (size_t i = 0; i < m->n_resource_names; i++) {
        if (!ads_stream_accept_name(&s->base, sotw_state_name(&s->state, type, str_from(m->resource_names[i])))) {
            return;
        }
    }
    sotw_state_end(&s->state, type);
}

/* A type that is none of ours has no resources. One answer a request; what it acknowledges is not asked again. */
static void deny_unknown_type(struct sotw_stream *s, const sotw_request *m)
{
    struct delta_response nothing;

    if (m->response_nonce[0] != '\0') {
        return;
    }
    log_info(LOG_DISCOVERY, ads_stream_id(&s->base), "asks for a type that is not served: %s", m->type_url);
    delta_response_init(&nothing);
    ads_stream_deny_type(&s->base, m->type_url, &nothing);
    delta_response_deinit(&nothing);
}

static void on_request(struct ads_stream *base, const ProtobufCMessage *request)
{
    const sotw_request *m = (const sotw_request *)request;
    enum resource_type type;

    if (resource_type_from_url(str_from(m->type_url), &type)) {
        take_request(from(base), type, m);
    } else {
        deny_unknown_type(from(base), m);
    }
}

static const Envoy__Config__Core__V3__Node *node_of(const ProtobufCMessage *request)
{
    return ((const sotw_request *)request)->node;
}

/* --- the protocol --- */

static const struct interests *names(struct ads_stream *s)
{
    return &from(s)->state.names;
}

static void init(struct ads_stream *s)
{
    const struct ads_hub *h = s->hub;

    sotw_state_init(&from(s)->state, &s->hub->topics, h->resources, h->metrics, h->limits.subscriptions, on_due);
}

static void deinit(struct ads_stream *s)
{
    sotw_state_deinit(&from(s)->state);
}

const struct ads_protocol sotw_protocol = {
    .label = "sotw",
    .path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    .size = sizeof(struct sotw_stream),
    .request = &envoy__service__discovery__v3__discovery_request__descriptor,
    .init = init,
    .deinit = deinit,
    .on_request = on_request,
    .node_of = node_of,
    .next = next,
    .encode = encode,
    .names = names,
};
