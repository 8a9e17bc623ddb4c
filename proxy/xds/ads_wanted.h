/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is wanted of the api, and what the open stream has been told of that: makes the requests that tell it the rest.
 *
 *     add ──▶ unsent ──flush──▶ known ──remove──▶ leaving ──flush──▶ forgotten
 *
 * The first request of each type on a stream names all that is wanted, and what is held of it (initial_resource_versions); later ones
 * only changes. What a stream knew ends with it.
 *
 * Owner:   ads_client, which embeds it. A subscription is embedded in whoever wants the resource.
 * Threads: the control loop's.
 * Limits:  ADS_REQUEST_NAMES_MAX names in a request of changes; whoever subscribes bounds the rest.
 */

#include <stdbool.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/str.h"
#include "xds/ads_request.h"
#include "xds/xds_type.h"

#define ADS_REQUEST_NAMES_MAX 2000

struct ads_subscription {
    struct hash_node by_name;
    struct list unsent; /* linked while the open stream does not know of it */
    enum xds_type type;
    char *name;
    char *version; /* of the last one accepted; NULL: nothing is held */
};

struct ads_wanted_type {
    struct hash_table by_name;
    struct list unsent;  /* subscriptions the open stream does not know of */
    struct list leaving; /* names it does not know to be over */
    bool has_begun;      /* the first request of this type on this stream was sent */
};

struct ads_wanted {
    struct ads_wanted_type type[XDS_TYPE_COUNT];
};

/* Sends a request before it returns; `r` stays the caller's. */
typedef void ads_send_fn(void *ctx, struct ads_request *r);

void ads_wanted_init(struct ads_wanted *w);
void ads_wanted_deinit(struct ads_wanted *w); /* no subscription may be left */

/* `name` is copied. A name must not be added twice. Tells the stream with the next flush. */
void ads_wanted_add(struct ads_wanted *w, struct ads_subscription *s, enum xds_type type, struct str name);

/* True if there is something to flush. */
bool ads_wanted_remove(struct ads_wanted *w, struct ads_subscription *s);

/* NULL if nobody has subscribed to it. */
struct ads_subscription *ads_wanted_find(const struct ads_wanted *w, enum xds_type type, struct str name);

/* On an open stream: sends all that it does not know. */
void ads_wanted_flush(struct ads_wanted *w, ads_send_fn *send, void *ctx);

/* Whether the stream was asked for this type. */
bool ads_wanted_has_begun(const struct ads_wanted *w, enum xds_type type);

/* The stream is over; the next one knows nothing. */
void ads_wanted_stream_ended(struct ads_wanted *w);
