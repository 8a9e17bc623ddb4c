/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Gathers and encodes one DeltaDiscoveryRequest.
 *
 * Owner:   on the stack of whoever sends. The texts are links, which outlive it.
 * Threads: the control loop's.
 */

#include <stddef.h>
#include <stdint.h>

#include "xds/discovery.h"
#include "xds/xds_type.h"

struct ads_request {
    enum xds_type type;
    const struct discovery_options *node; /* sent along unless NULL: the stream's first request */
    const char *nonce;                    /* of the response it answers; "" */
    const char *refusal;                  /* NACK: why; NULL */
    size_t subscribe_count;
    size_t subscribe_size;
    char **subscribe;
    char **versions; /* what is held of each of `subscribe`; NULL where nothing is */
    size_t unsubscribe_count;
    size_t unsubscribe_size;
    char **unsubscribe;
};

void ads_request_init(struct ads_request *r, enum xds_type type);
void ads_request_deinit(struct ads_request *r);
void ads_request_subscribe(struct ads_request *r, char *name, char *version);
void ads_request_unsubscribe(struct ads_request *r, char *name);

/* In fresh memory (mem_free). */
uint8_t *ads_request_encode(const struct ads_request *r, size_t *ret_len);
