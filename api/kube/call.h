/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request whose whole response is read and parsed as JSON before anybody is told: an object, or a page of a list.
 *
 * Owner:   whoever started it, until `done` returns.
 * Threads: the loop's.
 * Errors:  in the answer: transport (`error`), or the server's status with its Status object's reason and message.
 * Limits:  KUBE_BODY_MAX bytes of response, KUBE_CALL_LIMIT for all of it.
 */

#include <jansson.h>

#include "base/str.h"

#include "api/kube/client.h"

#define KUBE_BODY_MAX ((size_t)64 * 1024 * 1024)
#define KUBE_CALL_LIMIT usec_from_s(60)

struct kube_answer {
    int error;              /* negative errno: no whole answer came; `text` says why. Else 0 */
    unsigned status;        /* of HTTP; 0 with an error */
    unsigned retry_after_s; /* 0: not said */
    json_t *body;           /* valid during the call (json_incref to keep); NULL with an error */
    const char *reason;     /* of a Status object ("Conflict", "Expired", …) or "" */
    const char *text;       /* its message, or that of the error; "" */
};

typedef void kube_done_fn(void *ctx, const struct kube_answer *answer);

struct kube_call;

/* A GET of `path` (copied). `done` comes later, once, never from within. */
struct kube_call *kube_call_start(struct kube_client *c, struct str path, kube_done_fn *done, void *ctx);

/* No report follows. Nulls the link; accepts NULL inside. */
void kube_call_cancel(struct kube_call **call);

/* 200 to 299. */
bool kube_answer_is_ok(const struct kube_answer *a);

/* A sentence for a log line: status, reason, message. */
void kube_answer_describe(const struct kube_answer *a, struct text *out);
