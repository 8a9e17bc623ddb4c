/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a request that certainly reached no application is sent to another endpoint: its connect failed, its stream was refused
 * (REFUSED_STREAM), or a GOAWAY named a lower last id. Other failures never come here.
 *
 * A budget bounds what all requests of a Service may retry together, so that retries cannot multiply an overload:
 *
 *     each request deposits 0.2, each second deposits 10, each retry takes 1; deposits fade with a time constant of 10 s
 *
 * Fading is the ceiling: at r requests a second no more than (0.2 · r + 10) · 10 s can be saved up.
 *
 * Owner:   a budget is embedded, one for each Service and worker.
 * Threads: the owner's.
 * Errors:  none.
 */

#include <stdbool.h>

#include "base/container.h"
#include "base/usec.h"

struct retry_policy {
    unsigned tries_max; /* in all, the first one included; ≥ 1 */
    double share;       /* of requests that may be retried */
    double per_second;  /* retries a second that are allowed whatever the rate; > 0 */
    struct usec memory; /* time constant of deposits; > 0 */
};

extern const struct retry_policy retry_policy_default; /* 3 tries, 20 %, 10 a second, 10 s */

struct retry_budget {
    const struct retry_policy *policy; /* link; outlives the budget */
    double tokens;
    struct usec faded_at;
};

/* Starts with what an idle Service would have saved up. */
void retry_budget_init(struct retry_budget *b, const struct retry_policy *policy, struct usec now);

/* Deposits for one new request (not for its retries). */
void retry_budget_request(struct retry_budget *b, struct usec now);

/* Retries that could be paid for now. */
double retry_budget_tokens(const struct retry_budget *b, struct usec now);

struct retry_case {
    unsigned tries;     /* made so far, ≥ 1 */
    bool has_copy;      /* the request can be sent again from its beginning */
    bool has_endpoint;  /* another endpoint is left to pick */
    bool was_connected; /* the last try had an established connection: its peer refused the stream */
};

enum retry_outcome {
    RETRY_ELSEWHERE, /* send it to another endpoint; the budget has been charged */
    RETRY_REFUSED,   /* reset it with REFUSED_STREAM: the client library may retry it, as it knows that nothing happened */
    RETRY_FAIL,      /* answer it: no connection could be made (UNAVAILABLE) */
};

/* Charges the budget only if the outcome is RETRY_ELSEWHERE. */
enum retry_outcome retry_allowed(struct retry_budget *b, const struct retry_case *c, struct usec now) MUST_CHECK;
