/* SPDX-License-Identifier: Apache-2.0 */

#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/socket.h"

static void on_read_event(evutil_socket_t fd, short events, void *ctx)
{
    struct stream *s = ctx;

    (void)fd;
    (void)events;
    s->on_readable(s);
}

static void on_write_event(evutil_socket_t fd, short events, void *ctx)
{
    struct stream *s = ctx;

    (void)fd;
    (void)events;
    s->on_writable(s);
}

void stream_init(struct stream *s, struct loop *l, int fd)
{
    assert(fd >= 0);
    *s = (struct stream){.loop = l, .fd = fd};
    event_assign(&s->readable, loop_base(l), fd, EV_READ | EV_PERSIST, on_read_event, s);
    event_assign(&s->writable, loop_base(l), fd, EV_WRITE | EV_PERSIST, on_write_event, s);
}

void stream_set_handlers(struct stream *s, void (*on_readable)(struct stream *s), void (*on_writable)(struct stream *s))
{
    s->on_readable = on_readable;
    s->on_writable = on_writable;
}

bool stream_is_open(const struct stream *s)
{
    return s->loop != NULL && s->fd >= 0;
}

int stream_fd(const struct stream *s)
{
    return stream_is_open(s) ? s->fd : -1;
}

/* Adds or removes an event; the flag saves the epoll_ctl when nothing changes. */
static void want(struct event *event, bool *is_wanted, bool wanted)
{
    if (*is_wanted == wanted) {
        return;
    }
    int r = wanted ? event_add(event, NULL) : event_del(event);

    assert(r == 0);
    *is_wanted = wanted;
}

void stream_want_read(struct stream *s, bool wanted)
{
    if (stream_is_open(s)) {
        assert(!wanted || s->on_readable != NULL);
        want(&s->readable, &s->is_reading, wanted);
    }
}

void stream_want_write(struct stream *s, bool wanted)
{
    if (stream_is_open(s)) {
        assert(!wanted || s->on_writable != NULL);
        want(&s->writable, &s->is_writing, wanted);
    }
}

/* Forgets the socket; the caller closes it or hands it on. */
static int release(struct stream *s)
{
    int fd = s->fd;

    stream_want_read(s, false);
    stream_want_write(s, false);
    s->fd = -1;
    return fd;
}

void stream_move(struct stream *to, struct stream *from)
{
    assert(stream_is_open(from));
    stream_init(to, from->loop, release(from));
}

static ssize_t result_of(ssize_t n)
{
    return n < 0 ? -errno : n;
}

ssize_t stream_recv(struct stream *s, void *buf, size_t size)
{
    return result_of(recv(stream_fd(s), buf, size, 0));
}

ssize_t stream_peek(struct stream *s, void *buf, size_t size)
{
    return result_of(recv(stream_fd(s), buf, size, MSG_PEEK));
}

ssize_t stream_send(struct stream *s, const void *buf, size_t len)
{
    return result_of(send(stream_fd(s), buf, len, MSG_NOSIGNAL));
}

ssize_t stream_sendv(struct stream *s, const struct iovec *iov, int count)
{
    /* sendmsg only reads the vector, but its struct has no const. */
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};

    return result_of(sendmsg(stream_fd(s), &message, MSG_NOSIGNAL));
}

void stream_shutdown_write(struct stream *s)
{
    shutdown(stream_fd(s), SHUT_WR);
}

void stream_close(struct stream *s)
{
    if (stream_is_open(s)) {
        close(release(s));
    }
}

void stream_abort(struct stream *s)
{
    if (stream_is_open(s)) {
        socket_abort(release(s));
    }
}

bool stream_local_addr(const struct stream *s, struct addr *ret_addr)
{
    return socket_local_addr(stream_fd(s), ret_addr) == 0;
}

bool stream_peer_addr(const struct stream *s, struct addr *ret_addr)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    return getpeername(stream_fd(s), (struct sockaddr *)&sa, &len) == 0 && addr_from_sockaddr((struct sockaddr *)&sa, ret_addr);
}
