/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/debounce.h"

static void on_fire(struct timer *t)
{
    struct debounce *d = container_of(t, struct debounce, timer);

    d->run(d);
}

void debounce_init(struct debounce *d, struct loop *l, struct usec quiet, struct usec longest, void (*run)(struct debounce *d))
{
    *d = (struct debounce){.loop = l, .quiet = quiet, .longest = longest, .run = run};
    timer_init(&d->timer, l, on_fire);
}

void debounce_stop(struct debounce *d)
{
    timer_stop(&d->timer);
}

void debounce_poke(struct debounce *d)
{
    struct usec now = loop_now(d->loop);
    struct usec left;

    if (!timer_is_set(&d->timer)) {
        d->deadline = usec_add(now, d->longest);
    }
    left = usec_since(d->deadline, now);
    timer_set(&d->timer, usec_before(left, d->quiet) ? left : d->quiet);
}
