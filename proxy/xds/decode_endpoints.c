/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A ClusterLoadAssignment becomes one flat list. Its localities share the requests by their weights, and the endpoints of a locality
 * share its part by theirs, so an endpoint's weight is
 *
 *     locality weight · own weight / sum of the weights in the locality
 *
 * brought to the smallest whole numbers. A locality without weight gets nothing (as in gRPC). Priorities that have an endpoint are
 * numbered anew from 0 without gaps; what is farther than the last one kept joins it.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xds/decode.h"

#define METADATA_KEY "outrigger.dev" /* of LbEndpoint.metadata: {pod, uid} */
#define WEIGHT_SCALE 1000u

typedef Envoy__Config__Endpoint__V3__LocalityLbEndpoints locality_message;
typedef Envoy__Config__Endpoint__V3__LbEndpoint endpoint_message;

struct taken {
    struct snapshot_endpoint *items;
    size_t count;
};

/* UNHEALTHY and TIMEOUT are not for use; what is DRAINING keeps what it has. */
static bool is_usable(const endpoint_message *m)
{
    switch (m->health_status) {
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNKNOWN:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__HEALTHY:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DEGRADED:
        return true;
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNHEALTHY:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__TIMEOUT:
    case _ENVOY__CONFIG__CORE__V3__HEALTH_STATUS_IS_INT_SIZE:
    default:
        return false;
    }
}

static uint32_t locality_weight(const locality_message *l)
{
    return l->load_balancing_weight != NULL ? l->load_balancing_weight->value : 0;
}

static uint32_t own_weight(const endpoint_message *m)
{
    return m->load_balancing_weight != NULL ? m->load_balancing_weight->value : 1;
}

static const Google__Protobuf__Struct *find_metadata(const endpoint_message *m)
{
    const Google__Protobuf__Struct *found = NULL;

    for (size_t i = 0; m->metadata != NULL && i < m->metadata->n_filter_metadata; i++) {
        if (strcmp(m->metadata->filter_metadata[i]->key, METADATA_KEY) == 0) {
            found = m->metadata->filter_metadata[i]->value;
        }
    }
    return found;
}

static const char *metadata_text(const Google__Protobuf__Struct *metadata, const char *key)
{
    const char *found = "";

    for (size_t i = 0; metadata != NULL && i < metadata->n_fields; i++) {
        const Google__Protobuf__Struct__FieldsEntry *field = metadata->fields[i];

        if (strcmp(field->key, key) == 0 && field->value != NULL &&
            field->value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE) {
            found = field->value->string_value;
        }
    }
    return found;
}

static bool take_address(struct decode *d, const endpoint_message *m, struct addr *ret_addr)
{
    const Envoy__Config__Core__V3__Address *address =
        m->host_identifier_case == ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT ? m->endpoint->address
                                                                                                      : NULL;
    const Envoy__Config__Core__V3__SocketAddress *socket = address != NULL ? address->socket_address : NULL;

    if (socket == NULL || !addr_parse_ip(str_from(socket->address), ret_addr)) {
        return decode_fail(d, "endpoint address \"%.100s\" is no IP address", socket != NULL ? socket->address : "");
    }
    if (socket->port_specifier_case != ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE ||
        socket->port_value == 0 || socket->port_value > UINT16_MAX) {
        return decode_fail(d, "endpoint %s has no valid port", socket->address);
    }
    ret_addr->port = (uint16_t)socket->port_value;
    return true;
}

static bool take_endpoint(struct decode *d, const endpoint_message *m, uint64_t weight, uint8_t priority, struct taken *to)
{
    const Google__Protobuf__Struct *metadata = find_metadata(m);
    struct snapshot_endpoint *e = &to->items[to->count];

    if (own_weight(m) == 0) {
        return decode_fail(d, "an endpoint has weight 0");
    }
    if (!take_address(d, m, &e->addr)) {
        return false;
    }
    e->uid = metadata_text(metadata, "uid");
    e->name = metadata_text(metadata, "pod");
    if (strlen(e->uid) > CONFIG_NAME_MAX || strlen(e->name) > CONFIG_NAME_MAX) {
        return decode_fail(d, "an endpoint's pod or uid has more than %u bytes", CONFIG_NAME_MAX);
    }
    e->weight = (uint32_t)(weight < 1 ? 1 : weight > UINT32_MAX ? UINT32_MAX : weight);
    e->priority = priority;
    e->is_draining = m->health_status == ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING;
    to->count++;
    return true;
}

/* The sum only counts who gets new requests. */
static bool take_locality(struct decode *d, const locality_message *l, uint8_t priority, struct taken *to)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < l->n_lb_endpoints; i++) {
        const endpoint_message *m = l->lb_endpoints[i];

        if (is_usable(m) && m->health_status != ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING) {
            sum += own_weight(m);
        }
    }
    for (size_t i = 0; i < l->n_lb_endpoints; i++) {
        const endpoint_message *m = l->lb_endpoints[i];
        uint64_t share = WEIGHT_SCALE * (uint64_t)locality_weight(l);

        /* Below 2⁴² in front of the product: the fraction comes first where it would not fit. */
        share = own_weight(m) <= UINT16_MAX ? share * own_weight(m) / (sum == 0 ? 1 : sum)
                                            : share / (sum == 0 ? 1 : sum) * own_weight(m);
        if (is_usable(m) && !take_endpoint(d, m, share, priority, to)) {
            return false;
        }
    }
    return true;
}

static bool has_usable(const locality_message *l)
{
    for (size_t i = 0; locality_weight(l) > 0 && i < l->n_lb_endpoints; i++) {
        if (is_usable(l->lb_endpoints[i])) {
            return true;
        }
    }
    return false;
}

/* The best priority from `least` on that has an endpoint, or UINT32_MAX. */
static uint32_t next_priority(const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *m, uint32_t least)
{
    uint32_t best = UINT32_MAX;

    for (size_t i = 0; i < m->n_endpoints; i++) {
        uint32_t priority = m->endpoints[i]->priority;

        if (priority >= least && priority < best && has_usable(m->endpoints[i])) {
            best = priority;
        }
    }
    return best;
}

static uint32_t greatest_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

static void reduce_weights(struct taken *t)
{
    uint32_t divisor = 0;

    for (size_t i = 0; i < t->count; i++) {
        divisor = t->items[i].is_draining ? divisor : greatest_divisor(t->items[i].weight, divisor);
    }
    for (size_t i = 0; i < t->count; i++) {
        uint32_t reduced = divisor > 0 ? t->items[i].weight / divisor : 1;

        t->items[i].weight = reduced > 0 ? reduced : 1;
    }
}

static int compare_addr(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct addr));
}

/* struct addr has no padding and one form for each address. */
static bool check_unique(struct decode *d, const struct taken *t)
{
    struct addr *sorted = mem_alloc_array(t->count + 1, sizeof *sorted);
    char text[ADDR_TEXT_SIZE];
    bool is_unique = true;

    for (size_t i = 0; i < t->count; i++) {
        sorted[i] = t->items[i].addr;
    }
    qsort(sorted, t->count, sizeof *sorted, compare_addr);
    for (size_t i = 1; i < t->count && is_unique; i++) {
        if (addr_eq(&sorted[i - 1], &sorted[i])) {
            is_unique = decode_fail(d, "endpoint %s comes twice", addr_format(&sorted[i], text));
        }
    }
    mem_free(sorted);
    return is_unique;
}

/* Moves the texts from the message's arena into one block. */
static void keep_texts(struct config *c)
{
    size_t size = 1;
    size_t at = 0;

    for (size_t i = 0; i < c->endpoint_count; i++) {
        size += strlen(c->endpoints[i].uid) + strlen(c->endpoints[i].name) + 2;
    }
    c->texts = mem_alloc(size);
    for (size_t i = 0; i < c->endpoint_count; i++) {
        const char **field[] = {&c->endpoints[i].uid, &c->endpoints[i].name};

        for (size_t f = 0; f < ARRAY_LEN(field); f++) {
            size_t len = strlen(*field[f]);

            memcpy(c->texts + at, *field[f], len + 1);
            *field[f] = c->texts + at;
            at += len + 1;
        }
    }
}

static bool take_all(struct decode *d, const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *m, struct taken *to)
{
    uint32_t first = next_priority(m, 0);

    for (uint8_t rank = 0; rank < SNAPSHOT_PRIORITIES; rank++) {
        bool is_last = rank + 1 == SNAPSHOT_PRIORITIES || first == UINT32_MAX;
        uint32_t end = is_last ? UINT32_MAX : first + 1;

        for (size_t i = 0; i < m->n_endpoints; i++) {
            const locality_message *l = m->endpoints[i];
            bool is_of_rank = l->priority >= first && (is_last || l->priority < end);

            if (is_of_rank && locality_weight(l) > 0 && !take_locality(d, l, rank, to)) {
                return false;
            }
        }
        if (is_last) {
            break;
        }
        first = next_priority(m, end);
    }
    return check_unique(d, to);
}

bool decode_endpoints(struct decode *d, const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *m)
{
    struct taken taken = {0};
    size_t total = 0;
    bool is_good;

    for (size_t i = 0; i < m->n_endpoints; i++) {
        total += m->endpoints[i]->n_lb_endpoints;
    }
    if (total > CONFIG_ENDPOINTS_MAX) {
        return decode_fail(d, "has more than %u endpoints", CONFIG_ENDPOINTS_MAX);
    }
    taken.items = mem_alloc_array(total + 1, sizeof *taken.items);
    is_good = take_all(d, m, &taken);
    if (is_good) {
        reduce_weights(&taken);
        d->out->endpoint_count = taken.count;
    }
    d->out->endpoints = taken.items;
    if (is_good) {
        keep_texts(d->out);
    }
    return is_good;
}
