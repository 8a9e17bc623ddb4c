/* SPDX-License-Identifier: Apache-2.0 */

#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/hangup.h"
#include "net/socket.h"
#include "net/tls.h"

#define UNANSWERED_MIN 3 /* retransmissions or window probes */

static void want(struct event *event, bool *is_wanted, bool wanted);

/* --- TLS --- */

/* The events that the socket is watched for: the owner's wishes, and what TLS needs itself. */
static void arm(struct stream *s)
{
    bool reads = s->wants_read;
    bool writes = s->wants_write;

    if (s->tls != NULL) {
        bool is_shaking = !tls_is_established(s->tls);

        reads = reads || is_shaking;
        writes = (writes && !is_shaking) || tls_has_output(s->tls);
    }
    want(&s->readable, &s->is_reading, reads);
    want(&s->writable, &s->is_writing, writes);
    if (s->tls != NULL && s->wants_read && tls_has_input(s->tls)) {
        event_active(&s->readable, EV_READ, 0); /* no event of the socket would tell of it */
    }
}

/* The owner learns of a failure as it would of the socket's: by the event it waits for. */
static void tell_failure(struct stream *s)
{
    if (s->wants_read) {
        s->on_readable(s);
    } else if (s->wants_write) {
        s->on_writable(s);
    } else {
        want(&s->readable, &s->is_reading, false); /* until the owner asks */
        want(&s->writable, &s->is_writing, false);
    }
}

/* True if the event is the owner's to handle. */
static bool tls_takes_event(struct stream *s)
{
    bool was_established = tls_is_established(s->tls);
    int r = was_established ? tls_flush(s->tls, s->fd) : tls_handshake(s->tls, s->fd);

    if (r < 0 && r != -EAGAIN) {
        tell_failure(s);
        return true;
    }
    arm(s);
    return !was_established || r == -EAGAIN;
}

/* --- events --- */

static void on_read_event(evutil_socket_t fd, short events, void *ctx)
{
    struct stream *s = ctx;

    (void)fd;
    (void)events;
    if (s->tls != NULL && !tls_is_established(s->tls) && tls_takes_event(s)) {
        return;
    }
    if (s->wants_read) {
        s->on_readable(s);
    }
}

static void on_write_event(evutil_socket_t fd, short events, void *ctx)
{
    struct stream *s = ctx;

    (void)fd;
    (void)events;
    if (s->tls != NULL && tls_takes_event(s)) {
        return;
    }
    if (s->wants_write) {
        s->on_writable(s);
    }
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

void stream_set_hangup_handler(struct stream *s, void (*on_hangup)(struct stream *s))
{
    s->on_hangup = on_hangup;
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
        s->wants_read = wanted;
        arm(s);
        if (!wanted && s->on_hangup != NULL && !s->is_watched) {
            s->is_watched = true;
            hangup_add(loop_hangups(s->loop), s->fd, s);
        }
    }
}

void stream_want_write(struct stream *s, bool wanted)
{
    if (stream_is_open(s)) {
        assert(!wanted || s->on_writable != NULL);
        s->wants_write = wanted;
        arm(s);
    }
}

/* Forgets the socket; the caller closes it or hands it on. */
static int release(struct stream *s)
{
    int fd = s->fd;

    s->wants_read = false;
    s->wants_write = false;
    want(&s->readable, &s->is_reading, false);
    want(&s->writable, &s->is_writing, false);
    event_del(&s->readable); /* one that was made active, too */
    s->fd = -1;
    return fd;
}

void stream_move(struct stream *to, struct stream *from)
{
    struct tls *tls = from->tls;

    assert(stream_is_open(from));
    from->tls = NULL;
    if (from->is_watched) {
        hangup_remove(loop_hangups(from->loop), from->fd);
    }
    stream_init(to, from->loop, release(from));
    to->tls = tls;
    if (tls != NULL) {
        arm(to);
    }
}

int stream_start_tls(struct stream *s, struct tls_context *context, const char *server_name)
{
    assert(stream_is_open(s) && s->tls == NULL);
    s->tls = tls_new(context, server_name);
    if (s->tls == NULL) {
        return -ENOMEM;
    }
    int r = tls_handshake(s->tls, s->fd); /* a client's first words; a failure shows in the owner's first call */

    (void)r;
    arm(s);
    return 0;
}

const char *stream_tls_error(const struct stream *s)
{
    return s->tls != NULL ? tls_error_text(s->tls) : "";
}

const char *stream_tls_alpn(const struct stream *s)
{
    return s->tls != NULL ? tls_alpn(s->tls) : NULL;
}

static ssize_t result_of(ssize_t n)
{
    return n < 0 ? -errno : n;
}

ssize_t stream_recv(struct stream *s, void *buf, size_t size)
{
    if (s->tls == NULL) {
        return result_of(recv(stream_fd(s), buf, size, 0));
    }
    ssize_t n = tls_recv(s->tls, stream_fd(s), buf, size);

    arm(s);
    return n;
}

ssize_t stream_peek(struct stream *s, void *buf, size_t size)
{
    return s->tls != NULL ? -EOPNOTSUPP : result_of(recv(stream_fd(s), buf, size, MSG_PEEK));
}

ssize_t stream_send(struct stream *s, const void *buf, size_t len)
{
    if (s->tls == NULL) {
        return result_of(send(stream_fd(s), buf, len, MSG_NOSIGNAL));
    }
    ssize_t n = tls_send(s->tls, stream_fd(s), buf, len);

    arm(s);
    return n;
}

int stream_take_error(struct stream *s)
{
    int error = 0;
    socklen_t len = sizeof error;

    return getsockopt(stream_fd(s), SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

static size_t queue_length(const struct stream *s, unsigned long request)
{
    int len = 0;

    return ioctl(stream_fd(s), request, &len) < 0 || len < 0 ? 0 : (size_t)len;
}

size_t stream_unacknowledged(const struct stream *s)
{
    return queue_length(s, SIOCOUTQ);
}

size_t stream_unsent(const struct stream *s)
{
    return queue_length(s, SIOCOUTQNSD);
}

bool stream_peer_is_gone(const struct stream *s, struct usec limit)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;

    return getsockopt(stream_fd(s), IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
           (info.tcpi_retransmits >= UNANSWERED_MIN || info.tcpi_probes >= UNANSWERED_MIN) &&
           info.tcpi_last_ack_recv >= limit.v / 1000;
}

void stream_shutdown_write(struct stream *s)
{
    if (s->tls != NULL) {
        tls_shutdown(s->tls, stream_fd(s));
    }
    shutdown(stream_fd(s), SHUT_WR);
}

void stream_close(struct stream *s)
{
    if (stream_is_open(s)) {
        if (s->tls != NULL) {
            tls_shutdown(s->tls, s->fd);
        }
        tls_free(&s->tls);
        close(release(s));
    }
}

void stream_abort(struct stream *s)
{
    if (stream_is_open(s)) {
        tls_free(&s->tls);
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
