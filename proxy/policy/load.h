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
    _Atomic uint32_t streaming; /* of these, responses whose body has begun */
};

/*
 * What a response that is being streamed counts for: its server has answered, and may now be idle for days. Were it a whole request, a
 * few idle streams more would keep an endpoint from getting any call under light load; were it nothing, streams would not be spread.
 */
#define LOAD_STREAMING_SHARE 0.1

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

/* The response's body has begun. Ended by load_stream_over, before load_sub. */
static inline void load_stream_begun(struct load *l)
{
    atomic_fetch_add_explicit(&l->streaming, 1, memory_order_relaxed);
}

static inline void load_stream_over(struct load *l)
{
    uint32_t before = atomic_fetch_sub_explicit(&l->streaming, 1, memory_order_relaxed);

    assert(before > 0);
    (void)before;
}

static inline uint32_t load_in_flight(const struct load *l)
{
    return atomic_load_explicit(&l->in_flight, memory_order_relaxed);
}

/* What the endpoint has to do, in requests. */
static inline double load_queue(const struct load *l)
{
    double in_flight = load_in_flight(l);
    double streaming = atomic_load_explicit(&l->streaming, memory_order_relaxed);
    double queue = in_flight - streaming * (1 - LOAD_STREAMING_SHARE);

    return queue > 0 ? queue : 0; /* the two were not read in one moment */
}
