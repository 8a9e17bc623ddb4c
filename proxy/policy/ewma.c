/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/ewma.h"

#include <assert.h>
#include <math.h>

#define LEAST 1.0

void ewma_init(struct ewma *e, double seed, struct usec now)
{
    *e = (struct ewma){.value = fmax(seed, LEAST), .updated = now};
}

void ewma_add(struct ewma *e, struct usec sample, struct usec decay, struct usec now)
{
    assert(decay.v > 0);
    double keep = exp(-usec_seconds(usec_since(now, e->updated)) / usec_seconds(decay));

    e->value = fmax(keep * e->value + (1 - keep) * (double)sample.v, LEAST);
    if (usec_before(e->updated, now)) {
        e->updated = now;
    }
}
