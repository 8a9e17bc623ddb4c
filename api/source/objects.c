/* SPDX-License-Identifier: Apache-2.0 */

#include "api/source/objects.h"

#include <string.h>

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"

enum { TYPE_EXTERNAL_NAME = 3 };

static const char *const service_types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName", NULL};
static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
static const char *const affinities[] = {"None", "ClientIP", NULL};
static const char *const traffic_policies[] = {"Cluster", "Local", NULL};
static const char *const families[] = {"", "IPv4", "IPv6", NULL}; /* as enum addr_family */
static const char *const address_types[] = {"", "IPv4", "IPv6", "FQDN", NULL};

struct identity {
    struct str namespace;
    struct str name;
};

/* metadata.name and namespace ("default" where absent). */
static bool read_identity(struct fields *f, const struct yaml_node *object, bool is_label, struct identity *ret_identity)
{
    const struct yaml_node *metadata;
    struct identity id = {0};

    if (!fields_map(f, object, "metadata", &metadata) || !fields_label(f, metadata, "namespace", &id.namespace)) {
        return false;
    }
    if (is_label ? !fields_label(f, metadata, "name", &id.name) : !fields_text(f, metadata, "name", &id.name)) {
        return false;
    }
    if (id.name.len == 0) {
        return fields_fail(f, metadata != NULL ? metadata : object, "metadata.name is missing");
    }
    f->name = id.name;
    if (id.namespace.len == 0) {
        id.namespace = STR("default");
    }
    *ret_identity = id;
    return true;
}

/* --- Service --- */

static bool has_port(const struct service *s, uint16_t number)
{
    for (size_t i = 0; i < s->port_count; i++) {
        if (s->ports[i].number == number) {
            return true;
        }
    }
    return false;
}

/* Ports that are not TCP are left out. */
static bool read_service_port(struct fields *f, struct service *s, const struct yaml_node *port)
{
    struct str name, app_protocol;
    unsigned protocol;
    uint16_t number;

    if (port->kind != YAML_MAP) {
        return fields_fail(f, port, "a port is not a mapping");
    }
    if (!fields_label(f, port, "name", &name) || !fields_port(f, port, "port", &number) ||
        !fields_text(f, port, "appProtocol", &app_protocol) || !fields_choice(f, port, "protocol", protocols, &protocol)) {
        return false;
    }
    if (number == 0) {
        return fields_fail(f, port, "a port has no number");
    }
    if (protocol != 0) {
        return true;
    }
    if (has_port(s, number)) {
        return fields_fail(f, port, "port %u appears twice", number);
    }
    return service_add_port(s, name, number, app_protocol) || fields_fail(f, port, "more than %d ports", SERVICE_PORTS_MAX);
}

static bool read_service_ports(struct fields *f, struct service *s, const struct yaml_node *spec)
{
    const struct yaml_node *ports;

    if (!fields_list(f, spec, "ports", &ports)) {
        return false;
    }
    if (ports == NULL || ports->count == 0) {
        return s->type != SERVICE_CLUSTER_IP || fields_fail(f, spec, "spec.ports is missing");
    }
    for (size_t i = 0; i < ports->count; i++) {
        if (!read_service_port(f, s, ports->items[i])) {
            return false;
        }
    }
    return true;
}

static bool add_ip(struct fields *f, struct service *s, const struct yaml_node *item, enum service_address_kind kind)
{
    struct addr ip;

    if (!fields_ip(f, item, &ip)) {
        return false;
    }
    return service_add_address(s, &ip, kind) || fields_fail(f, item, "more than %d addresses", SERVICE_ADDRESSES_MAX);
}

static bool read_ip_list(struct fields *f, struct service *s, const struct yaml_node *spec, const char *key,
                         enum service_address_kind kind)
{
    const struct yaml_node *list;

    if (!fields_list(f, spec, key, &list)) {
        return false;
    }
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        if (!add_ip(f, s, list->items[i], kind)) {
            return false;
        }
    }
    return true;
}

/* status.loadBalancer.ingress[].ip; a hostname there is for DNS. */
static bool read_ingress(struct fields *f, struct service *s, const struct yaml_node *object)
{
    const struct yaml_node *status, *balancer, *ingress;

    if (!fields_map(f, object, "status", &status) || !fields_map(f, status, "loadBalancer", &balancer) ||
        !fields_list(f, balancer, "ingress", &ingress)) {
        return false;
    }
    for (size_t i = 0; ingress != NULL && i < ingress->count; i++) {
        const struct yaml_node *ip = yaml_get(ingress->items[i], "ip");

        if (ip != NULL && !add_ip(f, s, ip, ADDRESS_LOAD_BALANCER)) {
            return false;
        }
    }
    return true;
}

/* Addresses in the order of their claim: the first kind an address is seen with stays. */
static bool read_addresses(struct fields *f, struct service *s, const struct yaml_node *object, const struct yaml_node *spec)
{
    const struct yaml_node *cluster_ip = yaml_get(spec, "clusterIP");

    if (s->type != SERVICE_CLUSTER_IP) {
        return true;
    }
    if (cluster_ip != NULL && cluster_ip->text.len > 0 && !add_ip(f, s, cluster_ip, ADDRESS_CLUSTER_IP)) {
        return false;
    }
    return read_ip_list(f, s, spec, "clusterIPs", ADDRESS_CLUSTER_IP) && read_ingress(f, s, object) &&
           read_ip_list(f, s, spec, "externalIPs", ADDRESS_EXTERNAL);
}

static bool read_type(struct fields *f, struct service *s, const struct yaml_node *spec)
{
    struct str cluster_ip;
    unsigned type;

    if (!fields_choice(f, spec, "type", service_types, &type) || !fields_text(f, spec, "clusterIP", &cluster_ip)) {
        return false;
    }
    if (type == TYPE_EXTERNAL_NAME) {
        s->type = SERVICE_EXTERNAL;
    } else if (str_eq(cluster_ip, STR("None"))) {
        s->type = SERVICE_HEADLESS;
    }
    return true;
}

/* ipFamilies[0], else what the first ClusterIP is; a Service without either has no preference. */
static bool read_primary_family(struct fields *f, struct service *s, const struct yaml_node *spec)
{
    const struct yaml_node *list;

    if (!fields_list(f, spec, "ipFamilies", &list)) {
        return false;
    }
    if (list == NULL || list->count == 0) {
        s->primary_family = s->address_count > 0 ? (enum addr_family)s->addresses[0].ip.family : ADDR_NONE;
        return true;
    }
    for (unsigned family = ADDR_V4; family <= ADDR_V6; family++) {
        if (str_eq(list->items[0]->text, str_from(families[family]))) {
            s->primary_family = (enum addr_family)family;
            return true;
        }
    }
    return fields_fail(f, list->items[0], "ipFamilies: neither IPv4 nor IPv6");
}

static bool read_wishes(struct fields *f, struct service *s, const struct yaml_node *spec)
{
    unsigned affinity, policy;

    if (!fields_choice(f, spec, "sessionAffinity", affinities, &affinity) ||
        !fields_choice(f, spec, "internalTrafficPolicy", traffic_policies, &policy)) {
        return false;
    }
    s->has_client_affinity = affinity == 1;
    s->is_local_only = policy == 1;
    return fields_bool(f, spec, "publishNotReadyAddresses", &s->publishes_not_ready);
}

static bool fill_service(struct fields *f, struct service *s, const struct yaml_node *object)
{
    const struct yaml_node *spec;

    if (!fields_map(f, object, "spec", &spec)) {
        return false;
    }
    if (spec == NULL) {
        return fields_fail(f, object, "spec is missing");
    }
    return read_type(f, s, spec) && read_service_ports(f, s, spec) && read_addresses(f, s, object, spec) &&
           read_primary_family(f, s, spec) && read_wishes(f, s, spec);
}

struct service *object_read_service(struct fields *f, const struct yaml_node *object)
{
    struct service *s;
    struct identity id = {0};

    if (!read_identity(f, object, true, &id)) {
        return NULL;
    }
    s = service_new(id.namespace, id.name);
    if (!fill_service(f, s, object)) {
        service_unref(&s);
    }
    return s;
}

/* --- EndpointSlice --- */

/* A port without a number means all ports, which is nobody's address. */
static bool read_slice_port(struct fields *f, struct slice *s, const struct yaml_node *port)
{
    struct str name;
    unsigned protocol;
    uint16_t number;

    if (port->kind != YAML_MAP) {
        return fields_fail(f, port, "a port is not a mapping");
    }
    if (!fields_label(f, port, "name", &name) || !fields_port(f, port, "port", &number) ||
        !fields_choice(f, port, "protocol", protocols, &protocol)) {
        return false;
    }
    if (protocol != 0 || number == 0) {
        return true;
    }
    return slice_add_port(s, name, number) || fields_fail(f, port, "more than %d ports", SLICE_PORTS_MAX);
}

/* Absent conditions mean: ready, serving, not terminating. */
static bool read_conditions(struct fields *f, const struct yaml_node *endpoint, struct slice_endpoint_args *e)
{
    const struct yaml_node *conditions;

    e->is_ready = true;
    e->is_serving = true;
    return fields_map(f, endpoint, "conditions", &conditions) && fields_bool(f, conditions, "ready", &e->is_ready) &&
           fields_bool(f, conditions, "serving", &e->is_serving) && fields_bool(f, conditions, "terminating", &e->is_terminating);
}

static bool read_target(struct fields *f, const struct yaml_node *endpoint, struct slice_endpoint_args *e)
{
    const struct yaml_node *target;
    struct str kind;

    if (!fields_map(f, endpoint, "targetRef", &target) || !fields_text(f, target, "kind", &kind)) {
        return false;
    }
    if (!str_eq(kind, STR("Pod"))) {
        return true;
    }
    return fields_text(f, target, "name", &e->pod) && fields_text(f, target, "uid", &e->uid);
}

/* Of several addresses the first: all controllers write one, and kube-proxy reads one. */
static bool read_address(struct fields *f, const struct yaml_node *endpoint, unsigned family, struct slice_endpoint_args *e)
{
    const struct yaml_node *addresses;

    if (!fields_list(f, endpoint, "addresses", &addresses)) {
        return false;
    }
    if (addresses == NULL || addresses->count == 0) {
        return fields_fail(f, endpoint, "an endpoint has no address");
    }
    if (!fields_ip(f, addresses->items[0], &e->ip)) {
        return false;
    }
    return e->ip.family == family ||
           fields_fail(f, addresses->items[0], "an address is not %s, the slice's addressType", families[family]);
}

static bool read_endpoint(struct fields *f, struct slice *s, const struct yaml_node *endpoint, unsigned family)
{
    struct slice_endpoint_args e = {.pod = {"", 0}, .uid = {"", 0}};

    if (endpoint->kind != YAML_MAP) {
        return fields_fail(f, endpoint, "an endpoint is not a mapping");
    }
    if (!read_address(f, endpoint, family, &e) || !read_conditions(f, endpoint, &e) || !read_target(f, endpoint, &e) ||
        !fields_text(f, endpoint, "nodeName", &e.node) || !fields_text(f, endpoint, "zone", &e.zone)) {
        return false;
    }
    return slice_add_endpoint(s, &e) || fields_fail(f, endpoint, "more than %d endpoints", SLICE_ENDPOINTS_MAX);
}

static bool fill_slice(struct fields *f, struct slice *s, const struct yaml_node *object)
{
    const struct yaml_node *ports, *endpoints;
    unsigned family;

    if (!fields_choice(f, object, "addressType", address_types, &family) || !fields_list(f, object, "ports", &ports) ||
        !fields_list(f, object, "endpoints", &endpoints)) {
        return false;
    }
    if (family == ADDR_NONE) {
        return fields_fail(f, object, "addressType is missing");
    }
    for (size_t i = 0; ports != NULL && i < ports->count; i++) {
        if (!read_slice_port(f, s, ports->items[i])) {
            return false;
        }
    }
    if (family > ADDR_V6) {
        return true; /* FQDN: deprecated, and nothing that could be dialled without DNS */
    }
    for (size_t i = 0; endpoints != NULL && i < endpoints->count; i++) {
        if (!read_endpoint(f, s, endpoints->items[i], family)) {
            return false;
        }
    }
    return true;
}

static bool read_owner(struct fields *f, const struct yaml_node *object, struct str *ret_service)
{
    const struct yaml_node *metadata, *labels;

    return fields_map(f, object, "metadata", &metadata) && fields_map(f, metadata, "labels", &labels) &&
           fields_label(f, labels, SERVICE_NAME_LABEL, ret_service);
}

struct slice *object_read_slice(struct fields *f, const struct yaml_node *object, bool *ret_is_owned)
{
    struct slice *s;
    struct identity id = {0};
    struct str service = {0};

    *ret_is_owned = true;
    if (!read_identity(f, object, false, &id) || !read_owner(f, object, &service)) {
        return NULL;
    }
    if (service.len == 0) {
        *ret_is_owned = false;
        return NULL;
    }
    s = slice_new(id.namespace, id.name, service);
    if (!fill_slice(f, s, object)) {
        slice_unref(&s);
    }
    return s;
}
