/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bearer token of requests. The kubelet rotates the file of a projected token; it is read again every minute, and at once after
 * the server has refused it.
 *
 * Owner:   embedded in the client.
 * Threads: the loop's.
 * Errors:  a file that cannot be read leaves the last token in use, and is logged.
 */

#include <stdbool.h>

#include "base/usec.h"

struct kube_token {
    const char *file; /* link; NULL: `value` never changes */
    char *value;      /* NULL: none */
    struct usec read_at;
    bool is_read;
};

/* `file` outlives it; `fixed` is copied and used where there is no file. Either may be NULL. */
void kube_token_init(struct kube_token *t, const char *file, const char *fixed);
void kube_token_deinit(struct kube_token *t);

/* NULL when there is none. Valid until the next call. */
const char *kube_token_get(struct kube_token *t, struct usec now);

/* The server refused it: the next call reads the file. */
void kube_token_forget(struct kube_token *t);
