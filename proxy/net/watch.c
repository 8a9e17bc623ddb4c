/* SPDX-License-Identifier: Apache-2.0 */

#include "net/watch.h"

#include <errno.h>
#include <event2/event.h>

static void on_event(evutil_socket_t fd, short events, void *ctx)
{
    struct watch *w = ctx;

    (void)fd;
    (void)events;
    w->on_readable(w);
}

int watch_start(struct watch *w, struct loop *l, int fd, void (*on_readable)(struct watch *w))
{
    *w = (struct watch){.fd = fd, .on_readable = on_readable};
    event_assign(&w->event, loop_base(l), fd, EV_READ | EV_PERSIST, on_event, w);
    errno = 0;
    if (event_add(&w->event, NULL) < 0) {
        return errno != 0 ? -errno : -EINVAL;
    }
    w->is_on = true;
    return 0;
}

void watch_stop(struct watch *w)
{
    if (w->is_on) {
        event_del(&w->event);
        w->is_on = false;
    }
}
