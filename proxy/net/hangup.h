/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Resets of sockets that nobody reads. A socket whose events are off (back-pressure, its FIN was read) is not in libevent's epoll set,
 * and libevent's EV_CLOSED is no help: it also fires at FIN, for as long as the socket is open, and does not fire at an error.
 *
 *     socket ─▶ this set (edge-triggered, no interest of its own: the kernel reports EPOLLERR and EPOLLHUP all the same)
 *                 └─ is itself one readable descriptor of the loop
 *
 * Owner:   the loop, one set each.
 * Threads: the loop's.
 * Errors:  hangup_add aborts: epoll_ctl fails only without memory, or for a caller's mistake.
 */

#include <event2/event_struct.h>

struct event_base;
struct stream;

struct hangup_set {
    int fd;
    struct event readable;
};

/* 0 or negative errno. */
int hangup_set_init(struct hangup_set *set, struct event_base *base) __attribute__((warn_unused_result));
void hangup_set_deinit(struct hangup_set *set);

/* From now on `s->on_hangup` is called when `fd` has an error or both its directions have ended, which may already be so; never from
 * within this call. Closing the socket ends that. */
void hangup_add(struct hangup_set *set, int fd, struct stream *s);
void hangup_remove(struct hangup_set *set, int fd); /* for a socket that stays open */
