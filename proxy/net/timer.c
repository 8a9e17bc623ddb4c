/* SPDX-License-Identifier: Apache-2.0 */

#include "net/timer.h"

#include <assert.h>
#include <event2/event.h>

#define DELAY_MAX_S ((uint64_t)10 * 365 * 86400) /* far enough for "never", near enough for any time_t arithmetic */

static void add(struct timer *t, struct usec delay)
{
    uint64_t seconds = delay.v / 1000000;
    struct timeval tv = {
        .tv_sec = (time_t)(seconds < DELAY_MAX_S ? seconds : DELAY_MAX_S),
        .tv_usec = (suseconds_t)(delay.v % 1000000),
    };
    int r = event_add(&t->event, &tv);

    assert(r == 0); /* fails only without memory */
}

/* libevent counts on the coarse clock, which is up to a tick behind ours: it may come that much too early. */
static void on_event(evutil_socket_t fd, short events, void *ctx)
{
    struct timer *t = ctx;
    struct usec now = loop_now(t->loop);

    (void)fd;
    (void)events;
    if (usec_before(now, t->due)) {
        add(t, usec_since(t->due, now));
        return;
    }
    t->on_fire(t);
}

void timer_init(struct timer *t, struct loop *l, void (*on_fire)(struct timer *t))
{
    t->loop = l;
    t->due = (struct usec){0};
    t->on_fire = on_fire;
    event_assign(&t->event, loop_base(l), -1, 0, on_event, t);
}

void timer_set(struct timer *t, struct usec delay)
{
    t->due = usec_add(loop_now(t->loop), delay);
    add(t, delay);
}

bool timer_is_set(const struct timer *t)
{
    return event_pending(&t->event, EV_TIMEOUT, NULL) != 0;
}

void timer_stop(struct timer *t)
{
    event_del(&t->event);
}
