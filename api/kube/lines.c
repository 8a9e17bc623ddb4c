/* SPDX-License-Identifier: Apache-2.0 */

#include "api/kube/lines.h"

#include <string.h>

#include "base/mem.h"

#define KEPT_SIZE ((size_t)64 * 1024) /* a larger buffer goes back after its line */

void kube_lines_init(struct kube_lines *l, size_t max)
{
    *l = (struct kube_lines){.max = max};
}

void kube_lines_deinit(struct kube_lines *l)
{
    mem_free(l->held);
    *l = (struct kube_lines){0};
}

void kube_lines_reset(struct kube_lines *l)
{
    l->len = 0;
}

static bool hold(struct kube_lines *l, const uint8_t *bytes, size_t len)
{
    if (len > l->max - l->len) {
        return false;
    }
    if (l->size - l->len < len) {
        l->size = (l->len + len) * 2;
        l->held = mem_realloc_array(l->held, l->size, 1);
    }
    memcpy(l->held + l->len, bytes, len);
    l->len += len;
    return true;
}

static void release_large(struct kube_lines *l)
{
    l->len = 0;
    if (l->size > KEPT_SIZE) {
        mem_free(l->held);
        l->held = NULL;
        l->size = 0;
    }
}

bool kube_lines_feed(struct kube_lines *l, const uint8_t *bytes, size_t len, void (*on_line)(void *ctx, struct str line),
                     void *ctx)
{
    while (len > 0) {
        const uint8_t *end = memchr(bytes, '\n', len);
        size_t part = end != NULL ? (size_t)(end - bytes) : len;
        struct str line = {(const char *)bytes, part};

        if (end == NULL || l->len > 0) {
            if (!hold(l, bytes, part)) {
                return false;
            }
            line = (struct str){l->held, l->len};
        }
        if (end == NULL) {
            return true;
        }
        if (line.len > 0) {
            on_line(ctx, line);
        }
        release_large(l);
        bytes += part + 1;
        len -= part + 1;
    }
    return true;
}
