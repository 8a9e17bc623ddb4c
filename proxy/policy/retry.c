/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/retry.h"

#include <assert.h>
#include <math.h>

const struct retry_policy retry_policy_default = {
    .tries_max = 3,
    .share = 0.2,
    .per_second = 10,
    .memory = {10 * 1000 * 1000},
};

/* What `per_second` alone comes to, once as much fades as is deposited. */
static double floor_tokens(const struct retry_policy *p)
{
    return p->per_second * usec_seconds(p->memory);
}

double retry_budget_tokens(const struct retry_budget *b, struct usec now)
{
    double floor = floor_tokens(b->policy);
    double age = usec_seconds(usec_since(now, b->faded_at));

    return floor + (b->tokens - floor) * exp(-age / usec_seconds(b->policy->memory));
}

static void fade(struct retry_budget *b, struct usec now)
{
    if (usec_before(b->faded_at, now)) {
        b->tokens = retry_budget_tokens(b, now);
        b->faded_at = now;
    }
}

void retry_budget_init(struct retry_budget *b, const struct retry_policy *policy, struct usec now)
{
    assert(policy->tries_max >= 1 && policy->memory.v > 0 && policy->per_second > 0);
    *b = (struct retry_budget){.policy = policy, .tokens = floor_tokens(policy), .faded_at = now};
}

void retry_budget_request(struct retry_budget *b, struct usec now)
{
    /* A hundred times in the memory is exact enough, and spares most requests the exp(). */
    if (usec_since(now, b->faded_at).v >= b->policy->memory.v / 100) {
        fade(b, now);
    }
    b->tokens += b->policy->share;
}

static bool withdraw(struct retry_budget *b, struct usec now)
{
    fade(b, now);
    if (b->tokens < 1) {
        return false;
    }
    b->tokens -= 1;
    return true;
}

enum retry_outcome retry_allowed(struct retry_budget *b, const struct retry_case *c, struct usec now)
{
    assert(c->tries >= 1);
    if (c->tries < b->policy->tries_max && c->has_copy && c->has_endpoint && withdraw(b, now)) {
        return RETRY_ELSEWHERE;
    }
    return c->was_connected ? RETRY_REFUSED : RETRY_FAIL;
}
