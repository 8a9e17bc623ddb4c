/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The settings of the data path, as the program fills them from its settings table (app/settings.def has names, defaults and ranges).
 *
 * Owner:   the program; constant once the workers run.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/usec.h"
#include "h2/client_pool.h"
#include "h2/session.h"
#include "policy/byte_budget.h"
#include "policy/timeouts.h"

struct flow_options {
    unsigned workers;          /* how many there are: connection ids count in steps of it, so that each is one connection's */
    struct addr outbound;      /* listening addresses; ADDR_NONE switches one off */
    struct addr outbound_twin; /* the same in the other family */
    struct addr inbound;
    struct addr inbound_twin;

    struct usec detect_silence;      /* client silent for this long: dial the original destination */
    struct usec detect_hold;         /* longest hold of a preface prefix while the server says nothing */
    struct usec server_first_memory; /* how long a server-first destination is remembered */

    struct usec discovery_timeout;   /* no answer for this long: serve from the original destination */
    struct usec discovery_retention; /* addresses and clusters nobody uses are kept for this long */
    struct usec connect_timeout;
    struct usec tcp_keepalive; /* of accepted and raw connections; 0: never */
    int64_t max_connections;   /* of all workers together; accepting pauses there */

    struct timeouts timeouts; /* of requests, both directions */

    uint32_t retry_attempts;    /* deliveries of one request, the first included */
    size_t retry_buffer_bytes;  /* of a request's body kept for another attempt */
    size_t retry_process_bytes; /* of all requests together */

    uint64_t connection_buffer_bytes; /* that may wait for one connection's peer */
    struct byte_budget *buffers;      /* link: of all of them; NULL: no limits */

    bool has_endpoint_metrics;
    bool has_forwarded_for;

    /* Each worker's own copy names its host. */
    struct h2_options server; /* sessions towards the one who dialled */
    struct pool_options pool; /* sessions towards endpoints (outbound) */
    struct h2_options app;    /* session towards the app (inbound) */
};
