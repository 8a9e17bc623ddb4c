/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/config.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "api/proto/guard.h"
#include "base/mem.h"
#include "policy/route.h"
#include "xds/decode.h"

#define REASON_MAX 512

/* --- what the decoders share --- */

bool decode_fail(struct decode *d, const char *format, ...)
{
    char line[REASON_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    /* Names in it come from the wire; the reason goes back in a protobuf string, which must be UTF-8. */
    text_append_utf8(d->reason, str_from(line));
    return false;
}

void *decode_unpack(struct decode *d, const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len)
{
    void *message = NULL;

    if (proto_guard(type, bytes, len, GUARD_DEPTH_MAX)) {
        message = protobuf_c_message_unpack(type, arena_allocator(d->arena), len, bytes);
    }
    if (message == NULL) {
        decode_fail(d, "malformed %s", type->name);
    }
    return message;
}

bool decode_any_is(const Google__Protobuf__Any *any, const char *full_name)
{
    const char *slash = any != NULL ? strrchr(any->type_url, '/') : NULL;

    return slash != NULL && strcmp(slash + 1, full_name) == 0;
}

bool decode_check_name(struct decode *d, const char *name, const char *what)
{
    if (name[0] == '\0') {
        return decode_fail(d, "has no %s", what);
    }
    if (strlen(name) > CONFIG_NAME_MAX) {
        return decode_fail(d, "%s of more than %u bytes", what, CONFIG_NAME_MAX);
    }
    return true;
}

/* --- by type --- */

static bool decode_message(struct decode *d, enum xds_type type, const uint8_t *bytes, size_t len)
{
    static const ProtobufCMessageDescriptor *const descriptors[XDS_TYPE_COUNT] = {
        [XDS_LISTENER] = &envoy__config__listener__v3__listener__descriptor,
        [XDS_ROUTE] = &envoy__config__route__v3__route_configuration__descriptor,
        [XDS_CLUSTER] = &envoy__config__cluster__v3__cluster__descriptor,
        [XDS_ENDPOINTS] = &envoy__config__endpoint__v3__cluster_load_assignment__descriptor,
    };
    const void *m = decode_unpack(d, descriptors[type], bytes, len);

    if (m == NULL) {
        return false;
    }
    switch (type) {
    case XDS_LISTENER:
        return decode_listener(d, m);
    case XDS_ROUTE:
        return decode_route(d, m);
    case XDS_CLUSTER:
        return decode_cluster(d, m);
    case XDS_ENDPOINTS:
        return decode_endpoints(d, m);
    case XDS_TYPE_COUNT:
        break;
    }
    return false;
}

struct config *config_decode(enum xds_type type, const uint8_t *bytes, size_t len, struct text *ret_reason)
{
    struct arena arena;
    struct decode d = {.arena = &arena, .reason = ret_reason, .out = config_new(type)};

    arena_init(&arena, CONFIG_ARENA_BYTES);
    if (!decode_message(&d, type, bytes, len)) {
        config_unref(&d.out);
    }
    arena_deinit(&arena);
    return d.out;
}

/* --- life --- */

struct config *config_new(enum xds_type type)
{
    struct config *c = mem_alloc(sizeof *c);

    atomic_init(&c->refs, 1);
    c->type = type;
    return c;
}

struct config *config_ref(struct config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void config_unref(struct config **link)
{
    struct config *c = *link;

    *link = NULL;
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    config_unref(&c->route);
    route_table_free(c->table);
    for (size_t i = 0; i < c->cluster_count; i++) {
        mem_free(c->clusters[i]);
    }
    mem_free(c->clusters);
    mem_free(c->label);
    mem_free(c->route_name);
    mem_free(c->endpoints_name);
    mem_free(c->endpoints);
    mem_free(c->texts);
    mem_free(c);
}
