/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Gathers one DeltaDiscoveryResponse: resources by reference, removed names, then the bytes.
 *
 * Owner:   on the stack of whoever sends; holds a reference of each resource until deinit.
 * Threads: the loop's.
 * Limits:  DELTA_RESPONSE_BYTES: past it `delta_response_is_full`; the one entry that passes it is still taken, so the message stays
 *          below gRPC's 4 MiB as long as a single resource does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#include "api/model/resources.h"

#define DELTA_RESPONSE_BYTES ((size_t)1024 * 1024)

struct delta_response {
    size_t resource_count;
    size_t resource_size;
    struct resource **resources;
    size_t removed_count;
    size_t removed_size;
    char **removed;
    size_t bytes; /* about what it will take on the wire */
};

void delta_response_init(struct delta_response *r);
void delta_response_deinit(struct delta_response *r);

void delta_response_add(struct delta_response *r, struct resource **resource); /* takes the reference, nulls the link */
void delta_response_remove(struct delta_response *r, struct str name);
bool delta_response_is_empty(const struct delta_response *r);
bool delta_response_is_full(const struct delta_response *r);

/* The encoded message in fresh memory (mem_free). */
uint8_t *delta_response_encode(const struct delta_response *r, const char *type_url, const char *nonce, size_t *ret_len);
