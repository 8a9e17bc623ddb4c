/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One delta ADS stream that is kept open: finds the api, connects, subscribes, acknowledges, and starts again when it ends.
 *
 *     down ─dial─▶ open ─first response─▶ answered ─ends─▶ down (at once, if it lasted a second or more)
 *      ▲──────── error, ended sooner or without a response: back-off 100 ms … 10 s ± 30 % ──────┘
 *
 * Subscriptions outlive streams. On a new one the first request of each type names all of them, and what is held of each
 * (initial_resource_versions). On an open one, changes are gathered until the turn ends. Addresses of the api are tried in random
 * order, so that proxies spread over its replicas.
 *
 * Owner:   discovery. A subscription is embedded in whoever wants the resource.
 * Threads: the control loop's.
 * Errors:  kept for ads_client_status; nothing else to do for anybody.
 * Limits:  ADS_RESPONSE_BYTES a response; ADS_VERSION_MAX bytes of a version; ADS_PENDING_MAX bytes that the api does not read while
 *          it goes on sending; the caller bounds its subscriptions.
 */

#include "api/proto/xds.pb-c.h"
#include "base/usec.h"
#include "net/loop.h"
#include "xds/ads_wanted.h"
#include "xds/discovery.h"
#include "xds/xds_type.h"

#define ADS_RESPONSE_BYTES ((size_t)4 * 1024 * 1024)
#define ADS_VERSION_MAX 256 /* it is kept for each subscription */
#define ADS_PENDING_MAX ((size_t)16 * 1024 * 1024)

struct ads_client;

struct ads_client_ops {
    /*
     * The server's word on a name: the resource (the value of its Any), or NULL bytes when it does not exist. False refuses it: the
     * reason has been appended. May subscribe and unsubscribe, but not `s` itself.
     */
    bool (*on_resource)(void *ctx, struct ads_subscription *s, const uint8_t *bytes, size_t len, struct text *reason);
};

/* `options` and `ops` outlive it. */
struct ads_client *ads_client_new(struct loop *l, const struct discovery_options *options, const struct ads_client_ops *ops,
                                  void *ctx);
void ads_client_start(struct ads_client *c);
void ads_client_free(struct ads_client *c); /* no subscription may be left */

/* `name` is copied. A name must not be subscribed twice. */
void ads_client_subscribe(struct ads_client *c, struct ads_subscription *s, enum xds_type type, struct str name);
void ads_client_unsubscribe(struct ads_client *c, struct ads_subscription *s);

/* NULL if nobody has subscribed to it. */
struct ads_subscription *ads_client_find(const struct ads_client *c, enum xds_type type, struct str name);

/* Without `subscriptions`, which the client cannot know. */
struct discovery_status ads_client_status(const struct ads_client *c);
