/* SPDX-License-Identifier: Apache-2.0 */

#include "sockets.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "flow/exchange.h"
#include "flow/relay.h"
#include "net/socket.h"
#include "xds/channel.h"

#define FDS_MAX 256
#define SOCKET_BUFFER 16384 /* small: writes block soon */
#define PORT 50051
#define LOG_LINE_MAX 8192

struct end {
    struct peer *peer; /* link: who is at the other end, or was */
    int connect_error; /* positive errno that SO_ERROR will tell */
    bool is_reset;
};

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
int __wrap_socket_original_dst(int fd, struct addr *ret_addr);
bool __wrap_socket_is_local_ip(const struct addr *ip);
struct relay *__wrap_relay_new(const struct relay_start *start, void (*on_end)(void *ctx, enum close_reason reason), void *ctx);
struct relay *__real_relay_new(const struct relay_start *start, void (*on_end)(void *ctx, enum close_reason reason), void *ctx);
void __wrap_exchange_start(struct http_side *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end);
void __real_exchange_start(struct http_side *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end);
void __wrap_service_metrics_finished(struct service_metrics *m, int grpc_status, unsigned http_status, struct usec duration);
void __real_service_metrics_finished(struct service_metrics *m, int grpc_status, unsigned http_status, struct usec duration);

void __wrap_channel_ask(struct channel *c, const struct addr *addr);
void __real_channel_ask(struct channel *c, const struct addr *addr);
void __wrap_log_write(struct log_site *site, enum log_topic topic, enum log_level level, const char *id, const char *format, ...)
    PRINTF_LIKE(5, 6);

static struct end ends[FDS_MAX + 1]; /* the proxy's, by descriptor; the last is for closed ones */
static unsigned next_destination;

void sockets_reset(void)
{
    memset(ends, 0, sizeof ends);
}

static struct end *end_of(int fd)
{
    assert(fd < FDS_MAX);
    return &ends[fd >= 0 ? fd : FDS_MAX];
}

/* --- pairs --- */

struct peer *sockets_free_peer(void)
{
    for (unsigned i = 0; i < WORLD_PEERS; i++) {
        if (world.peers[i].fd < 0) {
            return &world.peers[i];
        }
    }
    return NULL;
}

int sockets_pair(struct peer *p, bool is_endpoint, enum plan plan)
{
    int size = SOCKET_BUFFER;
    int fds[2];
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);

    assert(r == 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    peer_open(p, fds[1], is_endpoint, plan);
    *end_of(fds[0]) = (struct end){.peer = p};
    return fds[0];
}

void sockets_reset_peer(const struct peer *p)
{
    for (unsigned i = 0; i < FDS_MAX; i++) {
        if (ends[i].peer == p) {
            ends[i].is_reset = true;
        }
    }
}

/* --- reading and writing --- */

ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
    size_t wanted = world.recv_max > 0 && world.recv_max < size ? world.recv_max : size;
    ssize_t n = __real_recv(fd, bytes, wanted, flags);

    if (n == 0 && end_of(fd)->is_reset) {
        errno = ECONNRESET;
        return -1;
    }
    return n;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
    return __real_send(fd, bytes, world.send_max > 0 && world.send_max < len ? world.send_max : len, flags);
}

/* --- redirection --- */

void sockets_address(unsigned destination, struct addr *ret_addr)
{
    bool is_service = destination < WORLD_SERVICES;

    *ret_addr = (struct addr){.family = ADDR_V4, .port = PORT, .bytes = {10, is_service ? 96 : 244, 0, 1}};
    ret_addr->bytes[3] = (uint8_t)(1 + (is_service ? destination : (destination - WORLD_SERVICES) % WORLD_ENDPOINTS));
}

void sockets_set_destination(unsigned destination)
{
    next_destination = destination;
}

int __wrap_socket_original_dst(int fd, struct addr *ret_addr)
{
    (void)fd;
    sockets_address(next_destination, ret_addr);
    return 0;
}

/* For inbound connections, which must be the pod's own; the port tells loops. */
bool __wrap_socket_is_local_ip(const struct addr *ip)
{
    (void)ip;
    return true;
}

/* --- dialling --- */

static unsigned endpoint_at(const struct sockaddr *sa)
{
    struct addr addr;
    bool is_known = addr_from_sockaddr(sa, &addr);

    assert(is_known);
    return (addr.bytes[3] - 1u) % WORLD_ENDPOINTS; /* a service's own address leads to one of them, too */
}

/* `fd` becomes what `from` is. */
static void become(int fd, int from)
{
    int r = dup2(from, fd);

    assert(r == fd);
    close(from);
}

static void accept_at(int fd, unsigned endpoint)
{
    struct peer *p = sockets_free_peer();
    int near = sockets_pair(p, true, world.plan[endpoint]);

    *end_of(near) = (struct end){0};
    become(fd, near);
    *end_of(fd) = (struct end){.peer = p};
    if (world.plan[endpoint] != PLAN_MUTE) {
        peer_greet(p);
    }
}

/* A counter that is full is never writable. */
static void fill_counter(int fd)
{
    uint64_t full = UINT64_MAX - 1;
    ssize_t n = write(fd, &full, sizeof full);

    assert(n == sizeof full);
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    unsigned endpoint = endpoint_at(sa);
    enum dialling how = sockets_free_peer() != NULL ? world.dialling[endpoint] : DIAL_REFUSE_LATER;

    (void)len;
    *end_of(fd) = (struct end){0};
    switch (how) {
    case DIAL_ACCEPT:
        accept_at(fd, endpoint);
        break;
    case DIAL_REFUSE:
        errno = ECONNREFUSED;
        return -1;
    case DIAL_REFUSE_LATER:
        end_of(fd)->connect_error = ECONNREFUSED;
        become(fd, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        break;
    case DIAL_HANG:
    case DIAL_KIND_COUNT:
    default:
        become(fd, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        fill_counter(fd);
        break;
    }
    errno = EINPROGRESS;
    return -1;
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
    if (level == SOL_SOCKET && option == SO_ERROR && end_of(fd)->peer == NULL) {
        *(int *)value = end_of(fd)->connect_error;
        return 0;
    }
    return __real_getsockopt(fd, level, option, value, len);
}

/* --- what is watched --- */

void __wrap_channel_ask(struct channel *c, const struct addr *addr)
{
    struct addr service;

    __real_channel_ask(c, addr);
    for (unsigned i = 0; i < WORLD_SERVICES; i++) {
        sockets_address(i, &service);
        if (addr_eq(addr, &service)) {
            world_tell(i);
        }
    }
}

/* The line goes nowhere, but what it names must be there. */
void __wrap_log_write(struct log_site *site, enum log_topic topic, enum log_level level, const char *id, const char *format, ...)
{
    static char line[LOG_LINE_MAX];
    va_list args;

    (void)site, (void)topic, (void)level;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert(len >= 0);
    snprintf(line, sizeof line, "%s", id != NULL ? id : "");
}

/* Either side may now get any bytes of the other. */
struct relay *__wrap_relay_new(const struct relay_start *start, void (*on_end)(void *ctx, enum close_reason reason), void *ctx)
{
    const int fds[] = {stream_fd(start->client), stream_fd(start->server)};

    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        struct end *e = end_of(fds[i]);

        if (e->peer != NULL) {
            e->peer->is_wild = true;
        }
    }
    return __real_relay_new(start, on_end, ctx);
}

void __wrap_exchange_start(struct http_side *h, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    world.requests_started++;
    __real_exchange_start(h, stream, headers, is_end);
}

void __wrap_service_metrics_finished(struct service_metrics *m, int grpc_status, unsigned http_status, struct usec duration)
{
    world.requests_finished++;
    __real_service_metrics_finished(m, grpc_status, http_status, duration);
}
