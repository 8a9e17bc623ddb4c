/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Follows all objects of one kind: a list in pages, then a watch from the list's resource version on; again from the list when the
 * server no longer knows that version.
 *
 *     LISTING ── last page ─▶ WATCHING ◀─ the watch ended (normal: after some minutes) ─ from the last version seen
 *        ▲                       │
 *        └────── 410 Gone ───────┘        anything that fails: waits 0.8 s, doubling to 30 s, or what Retry-After says; 429 too
 *
 * A later list replaces what is known: objects that it does not name are told as deleted, and nothing is in between. While the server
 * is away what is known stays.
 *
 * Owner:   the source.
 * Threads: the loop's.
 * Errors:  logged once for each new reason; kube_reflector_status has the last one.
 * Limits:  REFLECTOR_OBJECTS_MAX objects; an object of a watch may have KUBE_LINE_MAX bytes (etcd itself refuses 1.5 MiB).
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "api/kube/client.h"

#define REFLECTOR_OBJECTS_MAX 500000
#define KUBE_LINE_MAX ((size_t)8 * 1024 * 1024)

struct kube_kind {
    const char *path;   /* "/apis/discovery.k8s.io/v1/endpointslices" */
    const char *query;  /* more of the query: "labelSelector=…" (escaped), or "" */
    unsigned page_size; /* objects of a page of the list */
};

struct kube_reflector_ops {
    /* Added, changed, or seen again by a list. */
    void (*on_object)(void *ctx, const json_t *object);
    void (*on_deleted)(void *ctx, struct str namespace, struct str name);
    /* A list is complete: the first time, everything is known now. */
    void (*on_synced)(void *ctx);
};

struct kube_reflector_status {
    bool is_synced; /* a first list was complete */
    bool is_watching;
    size_t objects;
    uint64_t lists; /* complete ones */
    uint64_t watches;
    uint64_t events;
    uint64_t failures;
    const char *last_error; /* "" before there was one */
};

struct kube_reflector;

/* `kind` and `ops` outlive it. Starts at once; events come from the loop. */
struct kube_reflector *kube_reflector_new(struct kube_client *client, const struct kube_kind *kind,
                                          const struct kube_reflector_ops *ops, void *ctx);
void kube_reflector_free(struct kube_reflector **r); /* nulls; accepts NULL inside */

struct kube_reflector_status kube_reflector_status(const struct kube_reflector *r);
