/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/byte_budget.h"

#include <assert.h>

#define REFUSE_AFTER usec_from_s(1)
#define EVICT_AFTER usec_from_s(3)
#define NEXT_AFTER usec_from_ms(1500) /* a farewell takes a second at most, and until its end the header blocks count */

void byte_budget_init(struct byte_budget *b, uint64_t max_bytes)
{
    b->max_bytes = max_bytes;
    atomic_init(&b->used, 0);
    atomic_init(&b->over_since, 0);
    for (unsigned i = 0; i < BYTE_BUDGET_PARTIES; i++) {
        atomic_init(&b->largest[i], 0);
    }
}

void byte_budget_add(struct byte_budget *b, int64_t bytes)
{
    atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed);
}

uint64_t byte_budget_used(const struct byte_budget *b)
{
    int64_t used = atomic_load_explicit(&b->used, memory_order_relaxed);

    return used > 0 ? (uint64_t)used : 0; /* a moment's view: another party's subtraction may have come before its addition */
}

/* How long it has been over three quarters. Two parties may start the time at once: the difference does not matter. */
static struct usec over_for(struct byte_budget *b, struct usec now)
{
    struct usec since = {atomic_load_explicit(&b->over_since, memory_order_relaxed)};

    if (since.v == 0) {
        atomic_store_explicit(&b->over_since, now.v, memory_order_relaxed);
        return (struct usec){0};
    }
    return usec_before(since, now) ? usec_since(now, since) : (struct usec){0};
}

enum budget_level byte_budget_level(struct byte_budget *b, struct usec now)
{
    uint64_t used = byte_budget_used(b);
    struct usec over;

    if (used < b->max_bytes / 4 * 3) {
        atomic_store_explicit(&b->over_since, 0, memory_order_relaxed);
        return used < b->max_bytes / 2 ? BUDGET_CALM : BUDGET_TIGHT;
    }
    over = over_for(b, now);
    if (used >= b->max_bytes || !usec_before(over, EVICT_AFTER)) {
        return BUDGET_EVICT;
    }
    return used >= b->max_bytes / 8 * 7 || !usec_before(over, REFUSE_AFTER) ? BUDGET_REFUSE : BUDGET_WITHHOLD;
}

void byte_budget_tell_largest(struct byte_budget *b, unsigned party, uint64_t bytes)
{
    assert(party < BYTE_BUDGET_PARTIES);
    atomic_store_explicit(&b->largest[party], bytes, memory_order_relaxed);
}

static uint64_t largest_of(const struct byte_budget *b, unsigned party)
{
    return atomic_load_explicit(&b->largest[party], memory_order_relaxed);
}

bool byte_budget_is_largest(struct byte_budget *b, unsigned party, struct usec now)
{
    uint64_t own = largest_of(b, party);

    for (unsigned i = 0; i < BYTE_BUDGET_PARTIES; i++) {
        if (largest_of(b, i) > own) {
            return false;
        }
    }
    if (own == 0) {
        return false;
    }
    byte_budget_tell_largest(b, party, 0);
    atomic_store_explicit(&b->over_since, now.v - (EVICT_AFTER.v - NEXT_AFTER.v), memory_order_relaxed);
    return true;
}
