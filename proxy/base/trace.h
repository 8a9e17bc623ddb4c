/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which HTTP/2 connections are watched, beyond what the log level says: rules that name one connection, a peer or a Service, made and
 * ended at run time (admin port). Each expires by itself, so that a forgotten one costs nothing for ever.
 *
 *     POST /trace?service=shop/cart:50051&seconds=60
 *
 * Owner:   process-wide, like the log's levels.
 * Threads: any; trace_matches takes a lock only while there are rules.
 * Errors:  a rule that cannot be read or does not fit is refused with the reason; nothing changes.
 * Limits:  TRACE_RULES_MAX rules of TRACE_SECONDS_MAX at the longest.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "base/usec.h"

#define TRACE_RULES_MAX 8
#define TRACE_SECONDS_MAX 3600
#define TRACE_ID_SIZE 32

/* What a connection is known by. */
struct trace_tag {
    const char *kind; /* static: "out", "in" (both sides of it), "endpoint", "api", there "proxy"; NULL: untagged, "h2" */
    uint64_t number;  /* with `kind` the connection's id in log lines, "out-12" */
    struct addr peer; /* of the socket; ADDR_NONE: not known */
    uint64_t service; /* trace_service_key of its name in /endpoints and metrics; 0: not known */
};

enum trace_by { TRACE_CONNECTION, TRACE_PEER, TRACE_SERVICE };

extern _Atomic unsigned trace_rule_count; /* expired ones included, until somebody notices */

uint64_t trace_service_key(const char *name);

/* "out-12", or "h2" when untagged. Returns `out`. */
const char *trace_id(const struct trace_tag *tag, char out[static TRACE_ID_SIZE]);

/* `value`: a connection's id "out-12"; a peer "10.0.0.7", "10.0.0.7:5000", "10.0.0.0/8" or the same in IPv6; a Service's name. */
int trace_add(enum trace_by by, struct str value, struct usec now, uint64_t seconds, struct text *ret_error) MUST_CHECK;

/* Ends all rules; says how many there were. */
unsigned trace_clear(void);

/* One line a rule, with what is left of its time. */
void trace_print(struct usec now, struct text *out);

bool trace_matches_slow(const struct trace_tag *tag, struct usec now);

static inline bool trace_matches(const struct trace_tag *tag, struct usec now)
{
    return atomic_load_explicit(&trace_rule_count, memory_order_relaxed) > 0 && trace_matches_slow(tag, now);
}
