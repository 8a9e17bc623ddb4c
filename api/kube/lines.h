/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes as they come, cut into lines: the framing of a watch.
 *
 * Owner:   embedded.
 * Threads: the owner's.
 * Limits:  a line of at most `max` bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct kube_lines {
    char *held; /* the beginning of a line */
    size_t len;
    size_t size;
    size_t max;
};

void kube_lines_init(struct kube_lines *l, size_t max);
void kube_lines_deinit(struct kube_lines *l);
void kube_lines_reset(struct kube_lines *l); /* an unfinished line is forgotten */

/* Calls `on_line` for each line that is whole now, without its end; empty ones are left out. False: a line exceeds the maximum. */
bool kube_lines_feed(struct kube_lines *l, const uint8_t *bytes, size_t len, void (*on_line)(void *ctx, struct str line),
                     void *ctx) MUST_CHECK;
