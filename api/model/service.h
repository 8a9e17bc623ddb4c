/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What Kubernetes says about a Service and its EndpointSlices, reduced to what balancing needs. A source (manifests, Kubernetes)
 * fills these, the model keeps them.
 *
 *     Service shop/checkout ◀── label kubernetes.io/service-name ── EndpointSlice shop/checkout-x7k2p
 *       ports: name, number                                           ports: name, target number
 *                                                                     endpoints: address, conditions, pod, node, zone
 *
 * Owner:   reference-counted; the strings and arrays belong to the object. Filled once, by whoever made it, then never changed.
 * Threads: the api's loop thread.
 * Errors:  the adding functions answer false at a limit and leave the object as it was.
 * Limits:  the *_MAX below. Kubernetes itself stops at 1,000 endpoints a slice and about 250 ports a Service.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

#define SERVICE_PORTS_MAX 256
#define SERVICE_ADDRESSES_MAX 64
#define SLICE_PORTS_MAX 256
#define SLICE_ENDPOINTS_MAX 1000

enum service_type {
    SERVICE_CLUSTER_IP, /* also NodePort and LoadBalancer, which have a ClusterIP too */
    SERVICE_HEADLESS,   /* clusterIP: None; clients dial pods */
    SERVICE_EXTERNAL,   /* ExternalName: a DNS alias, never an address of ours */
};

struct service_port {
    char *name; /* "" when the Service names none; joins the slice's port */
    uint16_t number;
    char *app_protocol; /* "" when absent */
};

/* Where a Service's address came from, best claim first: a ClusterIP is unique, the others are only somebody's wish. */
enum service_address_kind { ADDRESS_CLUSTER_IP, ADDRESS_LOAD_BALANCER, ADDRESS_EXTERNAL };

struct service_address {
    struct addr ip; /* port 0 */
    enum service_address_kind kind;
};

struct service {
    unsigned refs;
    char *namespace;
    char *name;
    enum service_type type;
    bool has_client_affinity;        /* sessionAffinity: ClientIP */
    bool is_local_only;              /* internalTrafficPolicy: Local */
    bool publishes_not_ready;        /* publishNotReadyAddresses */
    enum addr_family primary_family; /* of ipFamilies[0], else of the first ClusterIP, else ADDR_NONE */
    size_t port_count;
    struct service_port *ports; /* TCP only */
    size_t address_count;
    struct service_address *addresses;
};

struct slice_port {
    char *name;
    uint16_t number; /* 0: all ports, which names no address and is left alone */
};

struct slice_endpoint {
    struct addr ip; /* port 0 */
    bool is_ready;
    bool is_serving;
    bool is_terminating;
    char *pod; /* targetRef.name of a Pod; "" otherwise, as the others */
    char *uid;
    char *node;
    char *zone;
};

struct slice {
    unsigned refs;
    char *namespace;
    char *name;
    char *service; /* of the label kubernetes.io/service-name */
    size_t port_count;
    struct slice_port *ports; /* TCP only */
    size_t endpoint_count;
    struct slice_endpoint *endpoints;
};

/* One reference, the caller's. Type ClusterIP, no wishes, no ports. */
struct service *service_new(struct str namespace, struct str name);
struct service *service_ref(struct service *s);
void service_unref(struct service **s);
bool service_add_port(struct service *s, struct str name, uint16_t number, struct str app_protocol) MUST_CHECK;

/* A repeated address stays one. */
bool service_add_address(struct service *s, const struct addr *ip, enum service_address_kind kind) MUST_CHECK;

/* True when its port is balanced request by request: no client affinity and an appProtocol that is absent or HTTP/2-able. */
bool service_port_is_http(const struct service *s, const struct service_port *port);

bool service_eq(const struct service *a, const struct service *b);

struct slice *slice_new(struct str namespace, struct str name, struct str service);
struct slice *slice_ref(struct slice *s);
void slice_unref(struct slice **s);
bool slice_add_port(struct slice *s, struct str name, uint16_t number) MUST_CHECK;

/* What an endpoint says of itself, as views. Conditions that a slice leaves out are ready, serving and not terminating. */
struct slice_endpoint_args {
    struct addr ip;
    bool is_ready;
    bool is_serving;
    bool is_terminating;
    struct str pod;
    struct str uid;
    struct str node;
    struct str zone;
};

bool slice_add_endpoint(struct slice *s, const struct slice_endpoint_args *args) MUST_CHECK;
bool slice_eq(const struct slice *a, const struct slice *b);
