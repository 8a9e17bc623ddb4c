/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/delta_response.h"

#include "base/mem.h"

#include "api/proto/xds.pb-c.h"

#define ENTRY_OVERHEAD 128 /* tags, lengths, type URL, version */

void delta_response_init(struct delta_response *r)
{
    *r = (struct delta_response){0};
}

void delta_response_deinit(struct delta_response *r)
{
    for (size_t i = 0; i < r->resource_count; i++) {
        resource_unref(&r->resources[i]);
    }
    for (size_t i = 0; i < r->removed_count; i++) {
        mem_free(r->removed[i]);
    }
    mem_free(r->resources);
    mem_free(r->removed);
}

void delta_response_add(struct delta_response *r, struct resource **resource)
{
    if (r->resource_count == r->resource_size) {
        r->resource_size = r->resource_size == 0 ? 16 : r->resource_size * 2;
        r->resources = mem_realloc_array(r->resources, r->resource_size, sizeof *r->resources);
    }
    r->bytes += ENTRY_OVERHEAD + (*resource)->name.len + (*resource)->bytes.len;
    r->resources[r->resource_count++] = *resource;
    *resource = NULL;
}

void delta_response_remove(struct delta_response *r, struct str name)
{
    if (r->removed_count == r->removed_size) {
        r->removed_size = r->removed_size == 0 ? 16 : r->removed_size * 2;
        r->removed = mem_realloc_array(r->removed, r->removed_size, sizeof *r->removed);
    }
    r->bytes += ENTRY_OVERHEAD + name.len;
    r->removed[r->removed_count++] = mem_copy_string(name.p, name.len);
}

bool delta_response_is_empty(const struct delta_response *r)
{
    return r->resource_count == 0 && r->removed_count == 0;
}

bool delta_response_is_full(const struct delta_response *r)
{
    return r->bytes >= DELTA_RESPONSE_BYTES;
}

/* What protobuf-c wants around one resource. */
struct entry {
    Envoy__Service__Discovery__V3__Resource message;
    Google__Protobuf__Any any;
    char *name;
};

/* protobuf-c's fields are not const, though packing only reads them; a resource may be large and goes to many streams. */
static uint8_t *as_field(struct str bytes)
{
    return (uint8_t *)(uintptr_t)bytes.p;
}

static void entry_init(struct entry *e, struct resource *res)
{
    e->name = mem_copy_string(res->name.p, res->name.len);
    google__protobuf__any__init(&e->any);
    e->any.type_url = mem_strdup(resource_type_url(res->type));
    e->any.value.data = as_field(res->bytes);
    e->any.value.len = res->bytes.len;
    envoy__service__discovery__v3__resource__init(&e->message);
    e->message.name = e->name;
    e->message.version = res->version;
    e->message.resource = &e->any;
}

static void entry_deinit(struct entry *e)
{
    mem_free(e->name);
    mem_free(e->any.type_url);
}

uint8_t *delta_response_encode(const struct delta_response *r, const char *type_url, const char *nonce, size_t *ret_len)
{
    static char identifier[] = "outrigger-api";
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse m;
    Envoy__Config__Core__V3__ControlPlane control_plane;
    struct entry *entries = mem_alloc_array(r->resource_count + 1, sizeof *entries);
    Envoy__Service__Discovery__V3__Resource **list = mem_alloc_array(r->resource_count + 1, sizeof(void *));
    uint8_t *bytes;

    envoy__service__discovery__v3__delta_discovery_response__init(&m);
    envoy__config__core__v3__control_plane__init(&control_plane);
    for (size_t i = 0; i < r->resource_count; i++) {
        entry_init(&entries[i], r->resources[i]);
        list[i] = &entries[i].message;
    }
    control_plane.identifier = identifier;
    m.control_plane = &control_plane;
    m.n_resources = r->resource_count;
    m.resources = list;
    m.n_removed_resources = r->removed_count;
    m.removed_resources = r->removed;
    m.type_url = mem_strdup(type_url);
    m.nonce = mem_strdup(nonce);
    *ret_len = envoy__service__discovery__v3__delta_discovery_response__get_packed_size(&m);
    bytes = mem_alloc(*ret_len + 1);
    envoy__service__discovery__v3__delta_discovery_response__pack(&m, bytes);
    mem_free(m.type_url);
    mem_free(m.nonce);
    for (size_t i = 0; i < r->resource_count; i++) {
        entry_deinit(&entries[i]);
    }
    mem_free(list);
    mem_free(entries);
    return bytes;
}
