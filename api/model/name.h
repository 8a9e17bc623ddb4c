/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The names of resources.h taken apart and put together. Only the canonical spelling is a name: "010.0.0.1:080" is nobody's, so that
 * each thing has one name for each kind and a change can name all who wait for it.
 *
 * Owner:   a value; its views point into the text it was parsed from.
 * Threads: any; pure.
 * Errors:  parsing answers false.
 * Limits:  NAME_MAX_LEN bytes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

#define NAME_MAX_LEN 600 /* two names of 253, the domain's share is checked when the program starts */

enum name_kind {
    NAME_ADDRESS, /* "10.96.0.10:50051" */
    NAME_HOST,    /* "checkout.shop:50051" */
    NAME_CLUSTER, /* "shop/checkout:50051" */
};

struct name {
    enum name_kind kind;
    struct addr addr;     /* NAME_ADDRESS */
    struct str namespace; /* NAME_HOST: empty where the host is a bare Service name */
    struct str service;
    uint16_t port;
    enum addr_family family; /* NAME_CLUSTER with "/IPv4" or "/IPv6", else ADDR_NONE */
};

bool name_parse(struct str text, struct str cluster_domain, struct name *ret_name) MUST_CHECK;

/* "shop/checkout:50051", "shop/checkout:50051/IPv6". */
void name_write_cluster(struct text *out, const char *namespace, const char *service, uint16_t port, enum addr_family family);

/* The host forms: "checkout", "checkout.shop", "checkout.shop.svc", "checkout.shop.svc.cluster.local". */
#define NAME_HOST_FORMS 4
enum name_host_form { HOST_SHORT, HOST_NAMESPACE, HOST_SVC, HOST_FULL };
void name_write_host(struct text *out, enum name_host_form form, const char *service, const char *namespace,
                     struct str cluster_domain);
