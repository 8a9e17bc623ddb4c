/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Outbound HTTP/2: which cluster a request goes to. While discovery has not answered, that is a stand-in whose only endpoint is the
 * original destination; from the moment it answers, new requests follow its routes on the same connection.
 */

#include "base/log.h"
#include "base/mem.h"
#include "flow/http_side.h"
#include "h2/request_check.h"

static void take_snapshot(struct http_side *h, struct snapshot *snapshot)
{
    struct worker *w = h->worker;
    struct cluster **clusters = mem_alloc_array(snapshot->backend_count + 1, sizeof(struct cluster *));

    /* The new references come first, so that a cluster in both keeps at least one. */
    for (size_t i = 0; i < snapshot->backend_count; i++) {
        clusters[i] = cluster_table_reconcile(w->clusters, &snapshot->backends[i]);
    }
    for (size_t i = 0; i < h->cluster_count; i++) {
        cluster_unref(&h->clusters[i]);
    }
    mem_free(h->clusters);
    h->clusters = clusters;
    h->cluster_count = snapshot->backend_count;
    snapshot_unref(&h->snapshot);
    h->snapshot = snapshot_ref(snapshot);
    if (h->session != NULL) {
        http_side_tag(h, h->session, &h->connection->peer);
    }
}

void outbound_http_start(struct connection *c, struct snapshot *snapshot)
{
    struct http_side *h = http_side_new(c);

    h->original = cluster_table_original(c->worker->clusters, &c->original);
    if (snapshot != NULL) {
        take_snapshot(h, snapshot);
    }
    http_side_serve(h);
    /* Which endpoints there will be is not known yet; one that does not take it is found out when it is picked (attempt.c). */
    h2_session_offer_connect(h->session);
}

void outbound_http_update(struct connection *c, struct snapshot *snapshot)
{
    char text[2 * ADDR_TEXT_SIZE + 32];

    if (snapshot->kind == DESTINATION_HTTP) {
        take_snapshot(c->http, snapshot);
        return;
    }
    if (c->http->snapshot == NULL) {
        return; /* it was never more than its original destination, and stays that */
    }
    log_info(LOG_DISCOVERY, connection_text(c, text), "%s is no Service any more: draining", c->http->snapshot->name);
    http_side_drain(c->http, CLOSE_DRAINED);
}

/* CONNECT has no path and OPTIONS may have "*" (RFC 9113 §8.3.1): for routes both are the root. */
static struct str path_of(const struct h2_headers *request)
{
    struct str path = h2_headers_value(request, STR(":path"));

    return path.len > 0 && path.p[0] == '/' ? path : STR("/");
}

struct cluster *outbound_route(struct http_side *h, const struct h2_headers *request)
{
    int64_t backend;

    if (h->snapshot == NULL) {
        return h->original;
    }
    backend = route_select(h->snapshot->routes, h2_request_authority(request), path_of(request), loop_rng(h->worker->loop));
    return backend >= 0 && (size_t)backend < h->cluster_count ? h->clusters[backend] : NULL;
}

void outbound_forget(struct http_side *h)
{
    for (size_t i = 0; i < h->cluster_count; i++) {
        cluster_unref(&h->clusters[i]);
    }
    mem_free(h->clusters);
    cluster_unref(&h->original);
    snapshot_unref(&h->snapshot);
}
