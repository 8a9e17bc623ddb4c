/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/deadlines.h"

static void arm(struct deadlines *all, struct usec at)
{
    all->armed = at;
    if (at.v != USEC_NEVER.v) {
        timer_set(&all->timer, usec_since(at, loop_now(all->loop)));
    }
}

static void on_timer(struct timer *t)
{
    struct deadlines *all = container_of(t, struct deadlines, timer);
    struct list due;
    struct list *node;

    list_init(&due);
    all->armed = (struct usec){0}; /* deadlines set from here on need not arm it: that comes last */
    wheel_expire(&all->wheel, loop_now(all->loop), &due);
    while ((node = list_pop_front(&due)) != NULL) {
        struct deadline *d = container_of(list_entry(node, struct wheel_entry, node), struct deadline, entry);

        d->on_due(d);
    }
    arm(all, wheel_next(&all->wheel));
}

void deadlines_init(struct deadlines *all, struct loop *l)
{
    all->loop = l;
    all->armed = USEC_NEVER;
    wheel_init(&all->wheel, loop_now(l));
    timer_init(&all->timer, l, on_timer);
}

void deadlines_deinit(struct deadlines *all)
{
    timer_stop(&all->timer);
}

void deadline_init(struct deadline *d, void (*on_due)(struct deadline *d))
{
    list_init(&d->entry.node);
    d->on_due = on_due;
}

void deadline_set(struct deadlines *all, struct deadline *d, struct usec due)
{
    struct usec found = wheel_set(&all->wheel, &d->entry, due);

    if (usec_before(found, all->armed)) {
        arm(all, found);
    }
}

bool deadline_is_set(const struct deadline *d)
{
    return list_is_linked(&d->entry.node);
}

void deadline_clear(struct deadline *d)
{
    wheel_clear(&d->entry);
}
