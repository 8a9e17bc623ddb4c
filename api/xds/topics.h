/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who wants which name: the index from a changed resource to the streams that hold it, so that a change costs its subscribers and not
 * all streams.
 *
 *     topic (ENDPOINTS, "shop/checkout:50051") ─▶ subscription of stream 1 · of stream 7 · …
 *
 * Owner:   the server owns the index; a topic lives while somebody subscribes to it. A subscription is embedded in whoever holds it.
 * Threads: the loop's.
 * Errors:  none.
 * Limits:  the streams bound their subscriptions, and with them the topics.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/str.h"

#include "api/model/resources.h"

struct topic {
    struct hash_node by_name;
    struct list subscriptions;
    enum resource_type type;
    struct str name; /* the bytes follow the struct */
};

struct subscription {
    struct list in_topic;
    struct topic *topic;                        /* link; NULL while not subscribed */
    void (*on_changed)(struct subscription *s); /* the answer may differ now; must neither subscribe nor cancel */
};

struct topics {
    struct hash_table by_name;
};

void topics_init(struct topics *t);
void topics_deinit(struct topics *t); /* no subscription may be left */

void topics_subscribe(struct topics *t, struct subscription *s, enum resource_type type, struct str name);
void topics_cancel(struct topics *t, struct subscription *s);

/* Tells every subscriber of this name. */
void topics_changed(const struct topics *t, enum resource_type type, struct str name);

/* The hash of a (type, name), for tables of subscriptions. */
uint64_t topic_hash(enum resource_type type, struct str name);
