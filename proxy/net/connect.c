/* SPDX-License-Identifier: Apache-2.0 */

#include "net/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket.h"

static void finish(struct connect *c, int result)
{
    timer_stop(&c->timer);
    if (result == 0) {
        stream_want_write(&c->stream, false);
    } else {
        stream_close(&c->stream);
    }
    c->is_active = false;
    c->on_done(c, result); /* may free c */
}

static void on_timer(struct timer *t)
{
    struct connect *c = container_of(t, struct connect, timer);

    finish(c, c->early_error != 0 ? c->early_error : -ETIMEDOUT);
}

static void on_writable(struct stream *s)
{
    struct connect *c = container_of(s, struct connect, stream);
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(stream_fd(s), SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        error = errno;
    }
    finish(c, -error);
}

static void set_int(int fd, int level, int option, int value)
{
    /* These tune; a kernel without one of them still connects. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static void set_options(int fd, const struct connect_options *options)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options->user_timeout.v > 0) {
        uint64_t ms = options->user_timeout.v / 1000;

        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms > INT32_MAX ? INT32_MAX : ms == 0 ? 1 : (int)ms);
        socket_set_keepalive(fd, (struct usec){options->user_timeout.v / 2});
    } else if (options->keepalive.v > 0) {
        socket_set_keepalive(fd, options->keepalive);
    }
}

static int bind_source(int fd, const struct addr *source)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(source, (struct sockaddr *)&sa);

    if (source->port == 0) {
        /* Chosen by connect, so that one source port serves many destinations. */
        set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    }
    return bind(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}

/* Socket, options, SYN. */
static int dial(struct connect *c, const struct connect_options *options)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&c->addr, (struct sockaddr *)&sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    stream_init(&c->stream, c->timer.loop, fd);
    stream_set_handlers(&c->stream, NULL, on_writable);
    set_options(fd, options);
    int r = options->source != NULL ? bind_source(fd, options->source) : 0;

    if (r == 0 && connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS) {
        r = -errno;
    }
    if (r == 0) {
        stream_want_write(&c->stream, true);
    }
    return r;
}

void connect_start(struct connect *c, struct loop *l, const struct addr *to, const struct connect_options *options,
                   void (*on_done)(struct connect *c, int result))
{
    *c = (struct connect){.addr = *to, .started = loop_now(l), .on_done = on_done, .is_active = true};
    timer_init(&c->timer, l, on_timer);
    c->early_error = dial(c, options);
    if (c->early_error != 0) {
        stream_close(&c->stream);
        timer_set(&c->timer, (struct usec){0});
    } else if (options->timeout.v > 0) {
        timer_set(&c->timer, options->timeout);
    }
}

void connect_cancel(struct connect *c)
{
    if (c->is_active) {
        timer_stop(&c->timer);
        c->is_active = false;
    }
    stream_close(&c->stream);
}
