/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The load of one endpoint as the whole process sees it: the one thing that workers share, because a cost that counts only one
 * worker's requests would let all of them pick the same endpoint.
 *
 * Owner:   whoever shares it out among the workers; every worker's endpoint links to the same one.
 * Threads: any. Relaxed: the count guides a choice and orders nothing else.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

struct load {
    _Atomic uint32_t in_flight; /* picked and not yet over, pending connects included */
};

static inline void load_add(struct load *l)
{
    atomic_fetch_add_explicit(&l->in_flight, 1, memory_order_relaxed);
}

/* Ends what one load_add began. */
static inline void load_sub(struct load *l)
{
    uint32_t before = atomic_fetch_sub_explicit(&l->in_flight, 1, memory_order_relaxed);

    assert(before > 0);
    (void)before;
}

static inline uint32_t load_in_flight(const struct load *l)
{
    return atomic_load_explicit(&l->in_flight, memory_order_relaxed);
}
