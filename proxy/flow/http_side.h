/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The HTTP/2 part of a connection: the server session towards the client, and where its requests go.
 *
 *   outbound: route (snapshot) ─▶ cluster ─▶ balancer ─▶ an endpoint's pool     (a snapshot may come later, change, or go away)
 *   inbound:  the one session to the app; stream limit mirrored, GOAWAY and close cross over
 *
 * Owner:   a connection.
 * Threads: the worker's.
 */

#include "base/close_reason.h"
#include "base/list.h"
#include "flow/cluster.h"
#include "flow/connection.h"
#include "h2/session.h"
#include "policy/route.h"
#include "xds/snapshot.h"

struct http_side {
    struct connection *connection; /* owner */
    struct worker *worker;
    struct grave grave;
    struct h2_session *session; /* towards the client; NULL once closed */
    struct list exchanges;

    /* outbound */
    struct snapshot *snapshot; /* NULL until discovery answers */
    struct cluster **clusters; /* one for each of the snapshot's backends */
    size_t cluster_count;
    struct cluster *original; /* stand-in while there is no snapshot, and for routes that lead nowhere else */

    /* inbound */
    struct h2_session *app; /* NULL once closed */
    struct service_metrics app_metrics;
    struct app_load app_load;
    char app_name[ADDR_TEXT_SIZE]; /* "10.0.0.7:50051", the label of app_metrics */
};

struct http_side *http_side_new(struct connection *c);

/* Opens the server session on the client's socket, with the bytes held by detection. */
void http_side_serve(struct http_side *h);

/* What `session`, the one towards `peer`, is found by when its frames are to be shown. */
void http_side_tag(struct http_side *h, struct h2_session *session, const struct addr *peer);

/* Outbound: starts serving; `snapshot` may be NULL (no answer yet). */
void outbound_http_start(struct connection *c, struct snapshot *snapshot);

/* Outbound: discovery's answer came, changed, or is gone (DESTINATION_ABSENT: drains). */
void outbound_http_update(struct connection *c, struct snapshot *snapshot);

/* Inbound: `c->server` is connected to the app. */
void inbound_http_start(struct connection *c);

/* Where a request goes: the cluster its route names (a link), or NULL (no route). */
struct cluster *outbound_route(struct http_side *h, const struct h2_headers *request);

/* Gives the references to clusters and snapshot back. */
void outbound_forget(struct http_side *h);

void http_side_drain(struct http_side *h, enum close_reason reason);

/* Closes sessions and detaches exchanges; at CLOSE_SHUTDOWN, open requests are answered first. Nulls the link; accepts NULL inside. */
void http_side_close(struct http_side **h, enum close_reason reason);
