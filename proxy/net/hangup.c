/* SPDX-License-Identifier: Apache-2.0 */

#include "net/hangup.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/container.h"
#include "net/stream.h"

#define BATCH 32

/* A handler may close other streams of the batch: their memory lives until the end of the turn, and they have no socket any more. */
static void on_readable(evutil_socket_t fd, short events, void *ctx)
{
    struct epoll_event batch[BATCH];
    int count = epoll_wait(fd, batch, ARRAY_LEN(batch), 0);

    (void)events;
    (void)ctx;
    for (int i = 0; i < count; i++) {
        struct stream *s = batch[i].data.ptr;

        if (stream_is_open(s)) {
            s->on_hangup(s);
        }
    }
}

int hangup_set_init(struct hangup_set *set, struct event_base *base)
{
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->fd < 0) {
        return -errno;
    }
    event_assign(&set->readable, base, set->fd, EV_READ | EV_PERSIST, on_readable, set);
    return event_add(&set->readable, NULL) < 0 ? -EINVAL : 0;
}

void hangup_set_deinit(struct hangup_set *set)
{
    event_del(&set->readable);
    close(set->fd);
}

void hangup_add(struct hangup_set *set, int fd, struct stream *s)
{
    struct epoll_event event = {.events = EPOLLET, .data.ptr = s};

    if (epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        fprintf(stderr, "watching for a hang-up: %s\n", strerror(errno));
        abort();
    }
}

void hangup_remove(struct hangup_set *set, int fd)
{
    (void)epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, NULL); /* fails only if it is not in the set */
}
