/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small world for tests of the model: objects in one line each, answers as text.
 *
 *     put_service(service("shop", "checkout", "10.96.0.10", 50051));
 *     struct slice *s = slice("shop", "checkout-a", "checkout", 8080);
 *     ready(s, "10.1.0.1");
 *     put_slice(s);
 *     apply();
 *     ck_assert_str_eq(endpoints_text("shop/checkout:50051"), "*1: 10.1.0.1:8080");
 */

#include <stdbool.h>

#include "api/model/model.h"
#include "api/model/resources.h"

extern struct model *the_model;
extern struct resources *the_resources;
extern struct view the_view; /* empty; a test may set it */

void fixture_setup(void); /* a model, and resources that are synced with the empty world */
void fixture_teardown(void);

/* A ClusterIP Service with one unnamed port; `ip` NULL for none. */
struct service *service(const char *namespace, const char *name, const char *ip, uint16_t port);
struct service *headless(const char *namespace, const char *name, uint16_t port);
void add_ip(struct service *s, const char *ip, enum service_address_kind kind);

/* A slice with one unnamed port, or none if `port` is 0. */
struct slice *slice(const char *namespace, const char *name, const char *service, uint16_t port);
struct slice_endpoint_args endpoint(const char *ip); /* ready and serving, nothing else */
void add(struct slice *s, struct slice_endpoint_args e);
void ready(struct slice *s, const char *ip);
void not_ready(struct slice *s, const char *ip);
void terminating(struct slice *s, const char *ip); /* still serving */
void in_zone(struct slice *s, const char *ip, const char *zone);
void on_node(struct slice *s, const char *ip, const char *node);

void put_service(struct service *s); /* take over the reference */
void put_slice(struct slice *s);
void apply(void);

/* "checkout" in "shop" at 10.96.0.10:50051 with pods 10.1.0.1 and 10.1.0.2, port 8080: put and applied. */
void put_checkout(void);

bool exists(enum resource_type type, const char *name);

/* "http" or "tcp:" and the cluster; "absent". The texts of these functions are valid until the next call of the same one. */
const char *listener_text(const char *name);

/* The cluster of the virtual host with this very domain; "no such domain", "absent". */
const char *route_cluster(const char *name, const char *domain);

/* One part a zone: "zone-a*2: 10.1.0.1:8080 10.1.0.2:8080; *1: 10.1.0.3:8080 draining". "absent", "" if empty. */
const char *endpoints_text(const char *name);
