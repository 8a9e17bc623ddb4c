/* SPDX-License-Identifier: Apache-2.0 */

#include "net/listener.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "net/socket.h"
#include "net/timer.h"
#include "net/watch.h"

struct listener {
    struct loop *loop;
    int fd; /* -1 once closed */
    struct addr addr;
    struct watch watch;
    struct timer resume;
    uint64_t pauses;
    listener_accept_fn *on_accept;
    bool (*may_accept)(void *ctx);
    void (*on_pause)(void *ctx, int error);
    void *ctx;
    struct grave grave;
};

/* With no descriptor left the queue stays readable: without the pause each turn would try again at full speed. */
static void take_a_break(struct listener *l, int error)
{
    l->pauses++;
    if (l->on_pause != NULL) {
        l->on_pause(l->ctx, error);
    }
    watch_stop(&l->watch);
    timer_set(&l->resume, usec_from_ms(LISTENER_PAUSE_MS));
}

/* These tell of the one connection that died in the queue (accept(2), "Error handling"). */
static bool is_only_this_one(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPERM:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* False when there is nothing more to accept for now. */
static bool accept_one(struct listener *l)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr peer = {0};

    if (l->may_accept != NULL && !l->may_accept(l->ctx)) {
        take_a_break(l, -EUSERS);
        return false;
    }
    int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        int error = errno;

        if (error != EAGAIN && !is_only_this_one(error)) {
            take_a_break(l, -error);
        }
        return is_only_this_one(error);
    }
    if (!addr_from_sockaddr((struct sockaddr *)&sa, &peer)) {
        close(fd);
        return true;
    }
    l->on_accept(l->ctx, fd, &peer);
    return true;
}

static void on_readable(struct watch *w)
{
    struct listener *l = container_of(w, struct listener, watch);

    /* on_accept may close us. */
    for (unsigned i = 0; i < LISTENER_BATCH && l->fd >= 0; i++) {
        if (!accept_one(l)) {
            break;
        }
    }
}

static void on_resume(struct timer *t)
{
    struct listener *l = container_of(t, struct listener, resume);

    int r = watch_start(&l->watch, l->loop, l->fd, on_readable);

    if (r < 0) {
        take_a_break(l, r);
    }
}

int listener_open(struct loop *l, const struct addr *addr, listener_accept_fn *on_accept, void *ctx,
                  struct listener **ret_listener)
{
    CLEANUP_FD int fd = socket_listen(addr);
    struct addr bound = {0};

    if (fd < 0) {
        return fd;
    }
    int r = socket_local_addr(fd, &bound);

    if (r < 0) {
        return r;
    }
    struct listener *new = mem_alloc(sizeof *new);

    *new = (struct listener){.loop = l, .fd = fd, .addr = bound, .on_accept = on_accept, .ctx = ctx};
    timer_init(&new->resume, l, on_resume);
    r = watch_start(&new->watch, l, fd, on_readable);
    if (r < 0) {
        mem_free(new);
        return r;
    }
    steal_fd(&fd);
    *ret_listener = new;
    return 0;
}

static void reap(struct grave *g)
{
    mem_free(container_of(g, struct listener, grave));
}

void listener_close(struct listener **l)
{
    struct listener *closed = *l;

    if (closed == NULL) {
        return;
    }
    *l = NULL;
    watch_stop(&closed->watch);
    timer_stop(&closed->resume);
    close(closed->fd);
    closed->fd = -1;
    loop_bury(closed->loop, &closed->grave, reap);
}

struct addr listener_addr(const struct listener *l)
{
    return l->addr;
}

void listener_set_keepalive(struct listener *l, struct usec idle)
{
    socket_set_keepalive(l->fd, idle); /* accepted sockets inherit it: no system call for each */
}

void listener_set_gate(struct listener *l, bool (*may_accept)(void *ctx), void (*on_pause)(void *ctx, int error))
{
    l->may_accept = may_accept;
    l->on_pause = on_pause;
}

uint64_t listener_pauses(const struct listener *l)
{
    return l->pauses;
}
