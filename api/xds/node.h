/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who a stream speaks for: the first request's Node, reduced to an id for people and the view that answers depend on.
 *
 * Owner:   embedded in the stream; owns its texts.
 * Errors:  what a Node does not say, or says in another type, is empty.
 * Limits:  NODE_TEXT_MAX bytes each; longer values are cut.
 */

#include "api/model/resources.h"
#include "api/proto/xds.pb-c.h"

#define NODE_TEXT_MAX 256

struct node {
    char *id;
    char *namespace; /* Node.metadata "namespace" */
    char *name;      /* Node.metadata "node": the Kubernetes node */
};

void node_init(struct node *n);
void node_deinit(struct node *n);

/* `from` may be NULL. */
void node_take(struct node *n, const Envoy__Config__Core__V3__Node *from);

struct view node_view(const struct node *n);
