/* SPDX-License-Identifier: Apache-2.0 */

#include "api/kube/token.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#include "api/kube/config.h"

#define READ_AGAIN_S 60

void kube_token_init(struct kube_token *t, const char *file, const char *fixed)
{
    *t = (struct kube_token){.file = file, .value = file == NULL && fixed != NULL ? mem_strdup(fixed) : NULL};
}

void kube_token_deinit(struct kube_token *t)
{
    mem_free(t->value);
    *t = (struct kube_token){0};
}

static void read_file(struct kube_token *t)
{
    char *value = kube_read_file(t->file);

    if (value == NULL) {
        log_warn(LOG_SOURCE, t->file, "the token cannot be read: %s", strerror(errno));
        return;
    }
    value[strcspn(value, "\r\n")] = '\0';
    mem_free(t->value);
    t->value = value;
}

const char *kube_token_get(struct kube_token *t, struct usec now)
{
    if (t->file != NULL && (!t->is_read || usec_since(now, t->read_at).v >= usec_from_s(READ_AGAIN_S).v)) {
        read_file(t);
        t->is_read = true;
        t->read_at = now;
    }
    return t->value;
}

void kube_token_forget(struct kube_token *t)
{
    t->is_read = false;
}
