/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Filled in whole steps of 10 ms, so that tokens are integers and most frames need no arithmetic on time: within a turn of the loop the
 * clock stands still.
 */

#include "policy/flood.h"

#include <assert.h>

#define STEP_USEC 10000
#define STEPS_PER_SECOND 100
#define STEPS_MAX 100000 /* any bucket is full after this many, and nothing overflows */

static const struct {
    uint32_t burst;
    uint32_t per_second;
    enum close_reason reason;
} rules[FLOOD_KIND_COUNT] = {
#define X(id, burst_, per_second_, reason_) [id] = {burst_, per_second_, reason_},
#include "policy/flood.def"
#undef X
};

#define X(id, burst, per_second, reason) static_assert((per_second) % STEPS_PER_SECOND == 0, #id " fills in whole tokens");
#include "policy/flood.def"
#undef X

static uint32_t burst_of(const struct flood *f, unsigned kind)
{
    return kind == FLOOD_RESET ? f->reset_rate : rules[kind].burst;
}

static uint32_t rate_of(const struct flood *f, unsigned kind)
{
    return kind == FLOOD_RESET ? f->reset_rate : rules[kind].per_second;
}

static void add(struct flood *f, unsigned kind, uint64_t count)
{
    uint32_t burst = burst_of(f, kind);
    uint32_t room = burst - f->tokens[kind];

    f->tokens[kind] = count < room ? f->tokens[kind] + (uint32_t)count : burst;
}

static void fill(struct flood *f, struct usec now)
{
    uint64_t steps = usec_since(now, f->filled_at).v / STEP_USEC;

    if (steps == 0) {
        return;
    }
    f->filled_at = usec_add(f->filled_at, (struct usec){steps * STEP_USEC});
    steps = steps < STEPS_MAX ? steps : STEPS_MAX;
    for (unsigned kind = 0; kind < FLOOD_KIND_COUNT; kind++) {
        add(f, kind, steps * (rate_of(f, kind) / STEPS_PER_SECOND));
    }
}

void flood_init(struct flood *f, uint32_t reset_rate, struct usec now)
{
    *f = (struct flood){.filled_at = now, .reset_rate = reset_rate != 0 ? reset_rate : FLOOD_RESET_RATE_DEFAULT};
    assert(f->reset_rate >= STEPS_PER_SECOND);
    for (unsigned kind = 0; kind < FLOOD_KIND_COUNT; kind++) {
        f->tokens[kind] = burst_of(f, kind);
    }
}

bool flood_take(struct flood *f, enum flood_kind kind, struct usec now)
{
    fill(f, now);
    if (f->tokens[kind] == 0) {
        return false;
    }
    f->tokens[kind]--;
    return true;
}

void flood_earn(struct flood *f, enum flood_kind kind, uint32_t count)
{
    add(f, kind, count);
}

enum close_reason flood_close_reason(enum flood_kind kind)
{
    return rules[kind].reason;
}
