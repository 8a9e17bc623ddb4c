/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/ads_request.h"

#include "api/proto/xds.pb-c.h"
#include "base/mem.h"
#include "version.h"

#define METADATA_FIELDS 3
#define NACK_CODE 3 /* INVALID_ARGUMENT */

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest request_message;
typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest__InitialResourceVersionsEntry version_entry;

void ads_request_init(struct ads_request *r, enum xds_type type)
{
    *r = (struct ads_request){.type = type, .nonce = ""};
}

void ads_request_deinit(struct ads_request *r)
{
    mem_free(r->subscribe);
    mem_free(r->versions);
    mem_free(r->unsubscribe);
}

static size_t grown(size_t size)
{
    return size == 0 ? 16 : size * 2;
}

void ads_request_subscribe(struct ads_request *r, char *name, char *version)
{
    if (r->subscribe_count == r->subscribe_size) {
        r->subscribe_size = grown(r->subscribe_size);
        r->subscribe = mem_realloc_array(r->subscribe, r->subscribe_size, sizeof *r->subscribe);
        r->versions = mem_realloc_array(r->versions, r->subscribe_size, sizeof *r->versions);
    }
    r->subscribe[r->subscribe_count] = name;
    r->versions[r->subscribe_count++] = version;
}

void ads_request_unsubscribe(struct ads_request *r, char *name)
{
    if (r->unsubscribe_count == r->unsubscribe_size) {
        r->unsubscribe_size = grown(r->unsubscribe_size);
        r->unsubscribe = mem_realloc_array(r->unsubscribe, r->unsubscribe_size, sizeof *r->unsubscribe);
    }
    r->unsubscribe[r->unsubscribe_count++] = name;
}

/* --- the node --- */

struct node_message {
    Envoy__Config__Core__V3__Node node;
    Google__Protobuf__Struct metadata;
    Google__Protobuf__Struct__FieldsEntry entries[METADATA_FIELDS];
    Google__Protobuf__Struct__FieldsEntry *list[METADATA_FIELDS];
    Google__Protobuf__Value values[METADATA_FIELDS];
    char *owned[2 * METADATA_FIELDS + 3]; /* protobuf-c's fields are not const */
    size_t owned_count;
};

static char *own(struct node_message *m, const char *text)
{
    return m->owned[m->owned_count++] = mem_strdup(text);
}

static void add_metadata(struct node_message *m, const char *key, const char *text)
{
    size_t i = m->metadata.n_fields++;

    google__protobuf__struct__fields_entry__init(&m->entries[i]);
    google__protobuf__value__init(&m->values[i]);
    m->values[i].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    m->values[i].string_value = own(m, text);
    m->entries[i].key = own(m, key);
    m->entries[i].value = &m->values[i];
    m->list[i] = &m->entries[i];
}

static void node_init(struct node_message *m, const struct discovery_options *options)
{
    m->owned_count = 0;
    envoy__config__core__v3__node__init(&m->node);
    google__protobuf__struct__init(&m->metadata);
    m->metadata.fields = m->list;
    add_metadata(m, "namespace", options->node_namespace);
    add_metadata(m, "pod", options->node_pod);
    add_metadata(m, "node", options->node_name);
    m->node.id = own(m, options->node_id);
    m->node.metadata = &m->metadata;
    m->node.user_agent_name = own(m, "outrigger-proxy");
    m->node.user_agent_version_type_case = ENVOY__CONFIG__CORE__V3__NODE__USER_AGENT_VERSION_TYPE_USER_AGENT_VERSION;
    m->node.user_agent_version = own(m, OUTRIGGER_VERSION);
}

static void node_deinit(struct node_message *m)
{
    for (size_t i = 0; i < m->owned_count; i++) {
        mem_free(m->owned[i]);
    }
}

/* --- the request --- */

/* The versions that are held, as map entries. */
static void fill_versions(const struct ads_request *r, version_entry *entries, request_message *m)
{
    for (size_t i = 0; i < r->subscribe_count; i++) {
        if (r->versions[i] != NULL) {
            version_entry *entry = &entries[m->n_initial_resource_versions];

            envoy__service__discovery__v3__delta_discovery_request__initial_resource_versions_entry__init(entry);
            entry->key = r->subscribe[i];
            entry->value = r->versions[i];
            m->initial_resource_versions[m->n_initial_resource_versions++] = entry;
        }
    }
}

static uint8_t *pack(const request_message *m, size_t *ret_len)
{
    uint8_t *bytes;

    *ret_len = envoy__service__discovery__v3__delta_discovery_request__get_packed_size(m);
    bytes = mem_alloc(*ret_len + 1);
    envoy__service__discovery__v3__delta_discovery_request__pack(m, bytes);
    return bytes;
}

uint8_t *ads_request_encode(const struct ads_request *r, size_t *ret_len)
{
    request_message m;
    Google__Rpc__Status refusal;
    struct node_message node;
    version_entry *entries = mem_alloc_array(r->subscribe_count + 1, sizeof *entries);
    uint8_t *bytes;

    envoy__service__discovery__v3__delta_discovery_request__init(&m);
    google__rpc__status__init(&refusal);
    m.initial_resource_versions = mem_alloc_array(r->subscribe_count + 1, sizeof(void *));
    m.type_url = mem_strdup(xds_type_url(r->type));
    m.response_nonce = mem_strdup(r->nonce);
    m.n_resource_names_subscribe = r->subscribe_count;
    m.resource_names_subscribe = r->subscribe;
    m.n_resource_names_unsubscribe = r->unsubscribe_count;
    m.resource_names_unsubscribe = r->unsubscribe;
    fill_versions(r, entries, &m);
    if (r->refusal != NULL) {
        refusal.code = NACK_CODE;
        refusal.message = mem_strdup(r->refusal);
        m.error_detail = &refusal;
    }
    if (r->node != NULL) {
        node_init(&node, r->node);
        m.node = &node.node;
    }
    bytes = pack(&m, ret_len);
    if (r->node != NULL) {
        node_deinit(&node);
    }
    if (r->refusal != NULL) {
        mem_free(refusal.message);
    }
    mem_free(m.type_url);
    mem_free(m.response_nonce);
    mem_free(m.initial_resource_versions);
    mem_free(entries);
    return bytes;
}
