/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests to the Kubernetes API over one HTTP/2 connection (TLS always), which is made when the first request needs it and made anew
 * when it is gone. Any number of watches share it.
 *
 *     DOWN ── a request ─▶ DIALLING ─▶ SECURING (TLS) ─▶ UP        a failure: everybody who waits is told; the next attempt waits
 *                                                                  (0.8 s, doubling to 30 s, jittered), requests until then wait too
 *
 * A GOAWAY of the server lets open requests end; new ones go on a new connection.
 *
 * Owner:   the program owns the client; a request belongs to whoever sent it until on_end, its last event.
 * Threads: the loop's.
 * Errors:  kube_client_send never fails: what goes wrong comes as on_end with a negative errno and a sentence.
 * Limits:  KUBE_REQUESTS_MAX requests at a time. A peer that is silent for 30 s is asked with a PING and given up after 15 s more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "net/loop.h"

#include "api/kube/config.h"

#define KUBE_REQUESTS_MAX 1000

struct kube_client;
struct kube_request;

struct kube_response {
    unsigned status;
    unsigned retry_after_s; /* 0: not said */
};

struct kube_request_ops {
    void (*on_response)(struct kube_request *r, const struct kube_response *response);
    void (*on_data)(struct kube_request *r, const uint8_t *bytes, size_t len);
    /* `error`: 0 after a complete response, else negative errno, and `text` says more. Freed when this returns. */
    void (*on_end)(struct kube_request *r, int error, const char *text);
};

/* Takes `config` over. */
struct kube_client *kube_client_new(struct loop *l, struct kube_config *config);

/* All requests must have been cancelled or have ended. Nulls the link; accepts NULL inside. */
void kube_client_close(struct kube_client **c);

/* A GET of `path` with its query (copied). No event comes from within. */
struct kube_request *kube_client_send(struct kube_client *c, struct str path, const struct kube_request_ops *ops, void *ctx);

/* No event follows. Nulls the link; accepts NULL inside. */
void kube_request_cancel(struct kube_request **r);
void *kube_request_ctx(const struct kube_request *r);

struct loop *kube_client_loop(const struct kube_client *c);
