/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A span of time, or a point of the monotonic clock, in microseconds.
 *
 * A struct, so that the compiler refuses `usec + 5` and `sleep(milliseconds)`: the unit is part of the type.
 */

#include <stdbool.h>
#include <stdint.h>

struct usec {
    uint64_t v;
};

#define USEC_NEVER ((struct usec){UINT64_MAX})

static inline struct usec usec_from_ms(uint64_t ms)
{
    return (struct usec){ms * 1000};
}

static inline struct usec usec_from_s(uint64_t s)
{
    return (struct usec){s * 1000000};
}

/* Saturates at USEC_NEVER. */
static inline struct usec usec_add(struct usec a, struct usec b)
{
    return (struct usec){a.v > UINT64_MAX - b.v ? UINT64_MAX : a.v + b.v};
}

/* Time from `earlier` to `later`; 0 if they are the other way round. */
static inline struct usec usec_since(struct usec later, struct usec earlier)
{
    return (struct usec){later.v > earlier.v ? later.v - earlier.v : 0};
}

static inline bool usec_before(struct usec a, struct usec b)
{
    return a.v < b.v;
}

static inline double usec_seconds(struct usec t)
{
    return (double)t.v / 1e6;
}
