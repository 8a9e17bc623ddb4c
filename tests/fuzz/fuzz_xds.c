/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a control plane may send: the first byte chooses one of the four resources, or a whole response; the rest is decoded. What is
 * accepted must make sense, what is refused must have a reason.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/proto/arena.h"
#include "api/proto/guard.h"
#include "api/proto/xds.pb-c.h"
#include "policy/route.h"
#include "xds/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_config(const struct config *c)
{
    struct rng rng;

    rng_init(&rng, 1);
    if (c->table != NULL) {
        int64_t chosen = route_select(c->table, STR("shop.example:80"), STR("/shop.Cart/Add"), &rng);

        assert(chosen == -1 || (size_t)chosen < c->cluster_count);
    }
    for (size_t i = 0; i < c->endpoint_count; i++) {
        assert(c->endpoints[i].weight >= 1 && c->endpoints[i].addr.port > 0 && c->endpoints[i].addr.family != ADDR_NONE);
        assert(c->endpoints[i].uid != NULL && c->endpoints[i].name != NULL);
    }
    if (c->type == XDS_LISTENER && c->kind == DESTINATION_HTTP) {
        assert((c->route_name != NULL) != (c->route != NULL));
    }
}

static void decode_resource(enum xds_type type, const uint8_t *data, size_t size)
{
    struct text reason;
    struct config *c;

    text_init(&reason, 4096);
    c = config_decode(type, data, size, &reason);
    assert((c == NULL) == (reason.len > 0));
    if (c != NULL) {
        check_config(c);
    }
    config_unref(&c);
    text_deinit(&reason);
}

/* As the client takes a response: guarded, then every resource by its own type. */
static void decode_response(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *descriptor = &envoy__service__discovery__v3__delta_discovery_response__descriptor;
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *m = NULL;
    struct arena arena;

    arena_init(&arena, CONFIG_ARENA_BYTES);
    if (proto_guard(descriptor, data, size, GUARD_DEPTH_MAX)) {
        m = envoy__service__discovery__v3__delta_discovery_response__unpack(arena_allocator(&arena), size, data);
    }
    for (size_t i = 0; m != NULL && i < m->n_resources; i++) {
        const Google__Protobuf__Any *any = m->resources[i]->resource;
        enum xds_type type;

        if (any != NULL && any->value.data != NULL && xds_type_from_url(str_from(any->type_url), &type)) {
            decode_resource(type, any->value.data, any->value.len);
        }
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned kind = size > 0 ? data[0] % (XDS_TYPE_COUNT + 1) : 0;

    if (size == 0) {
        return 0;
    }
    if (kind < XDS_TYPE_COUNT) {
        decode_resource((enum xds_type)kind, data + 1, size - 1);
    } else {
        decode_response(data + 1, size - 1);
    }
    return 0;
}
