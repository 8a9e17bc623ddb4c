/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/wheel.h"

void wheel_init(struct wheel *w, struct usec now)
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&w->slots[i]);
    }
    w->done = now.v / WHEEL_TICK_US;
}

struct usec wheel_set(struct wheel *w, struct wheel_entry *e, struct usec due)
{
    uint64_t tick = due.v / WHEEL_TICK_US + (due.v % WHEEL_TICK_US != 0);

    if (tick <= w->done) {
        tick = w->done + 1;
    }
    list_unlink(&e->node);
    e->due = due;
    list_push_back(&w->slots[tick % WHEEL_SLOTS], &e->node);
    return (struct usec){tick * WHEEL_TICK_US};
}

void wheel_clear(struct wheel_entry *e)
{
    list_unlink(&e->node);
}

static void expire_slot(struct list *slot, struct usec now, struct list *due)
{
    list_for_each(node, slot) {
        const struct wheel_entry *e = list_entry(node, struct wheel_entry, node);

        if (!usec_before(now, e->due)) {
            list_unlink(node);
            list_push_back(due, node);
        }
    }
}

void wheel_expire(struct wheel *w, struct usec now, struct list *due)
{
    uint64_t tick = now.v / WHEEL_TICK_US;
    uint64_t first = w->done + 1;

    if (tick < first) {
        return;
    }
    if (tick - first >= WHEEL_SLOTS) {
        first = tick - WHEEL_SLOTS + 1; /* each slot once */
    }
    for (; first <= tick; first++) {
        expire_slot(&w->slots[first % WHEEL_SLOTS], now, due);
    }
    w->done = tick;
}

struct usec wheel_next(const struct wheel *w)
{
    for (uint64_t tick = w->done + 1; tick <= w->done + WHEEL_SLOTS; tick++) {
        if (!list_is_empty(&w->slots[tick % WHEEL_SLOTS])) {
            return (struct usec){tick * WHEEL_TICK_US};
        }
    }
    return USEC_NEVER;
}
