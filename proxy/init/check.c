/* SPDX-License-Identifier: Apache-2.0 */

#include "init/check.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/socket.h"

/* One attempt and all it needs. */
struct probe {
    const struct init_settings *settings;
    struct addr target;
    uint64_t deadline_ms;
    int listener; /* -1 if the port is taken */
    int client;
};

static const char *const documentation_v4[] = {"192.0.2.1", "198.51.100.1", "203.0.113.1"};
static const char *const documentation_v6[] = {"2001:db8::1", "3fff::1"};

/* ---- where to ---- */

static bool is_skipped_ip(const struct addr *ip, const struct cidr_list *cidrs)
{
    for (unsigned i = 0; i < cidrs->count; i++) {
        if (addr_in_network(ip, &cidrs->network[i])) {
            return true;
        }
    }
    return false;
}

static bool is_skipped_port(unsigned port, const struct port_ranges *ports)
{
    for (unsigned i = 0; i < ports->count; i++) {
        if (port >= ports->range[i].first && port <= ports->range[i].last) {
            return true;
        }
    }
    return false;
}

bool check_choose_target(const struct init_settings *s, enum addr_family family, struct addr *ret_target)
{
    const char *const *texts = family == ADDR_V6 ? documentation_v6 : documentation_v4;
    size_t count = family == ADDR_V6 ? ARRAY_LEN(documentation_v6) : ARRAY_LEN(documentation_v4);
    unsigned port = 1;

    while (port <= UINT16_MAX && is_skipped_port(port, &s->skip_outbound_ports)) {
        port++;
    }
    for (size_t i = 0; i < count && port <= UINT16_MAX; i++) {
        struct addr ip;

        if (addr_parse_ip(str_from(texts[i]), &ip) && !is_skipped_ip(&ip, &s->skip_outbound_cidrs)) {
            *ret_target = ip;
            ret_target->port = (uint16_t)port;
            return true;
        }
    }
    return false;
}

/* ---- sockets ---- */

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool wait_for(const struct probe *p, int fd, short events)
{
    for (;;) {
        uint64_t now = now_ms();
        struct pollfd pfd = {.fd = fd, .events = events};
        int r = poll(&pfd, 1, now < p->deadline_ms ? (int)(p->deadline_ms - now) : 0);

        if (r > 0) {
            return true;
        }
        if (r == 0 || errno != EINTR) {
            return false;
        }
    }
}

static int new_socket(enum addr_family family)
{
    return socket(family == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* On the loopback address that REDIRECT sends locally made connections to. */
static enum check_outcome open_listener(struct probe *p, struct text *ret_text)
{
    struct sockaddr_storage sa;
    struct addr here;
    bool is_v6 = p->target.family == ADDR_V6;
    CLEANUP_FD int fd = new_socket((enum addr_family)p->target.family);

    if (fd < 0 || !addr_parse_ip(is_v6 ? STR("::1") : STR("127.0.0.1"), &here)) {
        text_printf(ret_text, "the kernel does not offer it (%s)", strerror(errno));
        return CHECK_IMPOSSIBLE;
    }
    here.port = (uint16_t)p->settings->outbound_port;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&sa, addr_to_sockaddr(&here, (struct sockaddr *)&sa)) == 0 && listen(fd, 16) == 0) {
        p->listener = steal_fd(&fd);
        return CHECK_PASSED;
    }
    if (errno == EADDRINUSE) {
        return CHECK_PASSED;
    }
    text_printf(ret_text, "cannot listen on the loopback address, port %u (%s)", here.port, strerror(errno));
    return errno == EADDRNOTAVAIL ? CHECK_IMPOSSIBLE : CHECK_FAILED;
}

/* The hop limit makes a connection that is not redirected die at the first router, which mostly says so at once. */
static enum check_outcome start_client(struct probe *p, struct text *ret_text)
{
    struct sockaddr_storage sa;
    uint32_t len = addr_to_sockaddr(&p->target, (struct sockaddr *)&sa);
    bool is_v6 = p->target.family == ADDR_V6;

    p->client = new_socket((enum addr_family)p->target.family);
    if (p->client < 0 || setsockopt(p->client, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_UNICAST_HOPS : IP_TTL, &(int){1},
                                    sizeof(int)) < 0) {
        text_printf(ret_text, "cannot make a socket (%s)", strerror(errno));
        return CHECK_FAILED;
    }
    if (connect(p->client, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS) {
        return CHECK_PASSED;
    }
    if (errno == ENETUNREACH || errno == EHOSTUNREACH || errno == EADDRNOTAVAIL) {
        text_printf(ret_text, "no route, so nothing of this family leaves (%s)", strerror(errno));
        return CHECK_IMPOSSIBLE;
    }
    text_printf(ret_text, "cannot connect (%s)", strerror(errno));
    return CHECK_FAILED;
}

/* ---- the proof ---- */

static enum check_outcome await_connect(const struct probe *p, const char *target, struct text *ret_text)
{
    int error = 0;

    if (!wait_for(p, p->client, POLLOUT)) {
        text_printf(ret_text, "not redirected: the connection to %s left the pod and nobody answered", target);
        return CHECK_FAILED;
    }
    getsockopt(p->client, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error == ECONNREFUSED) {
        text_printf(ret_text, "the connection to %s was refused: not redirected, or to another port than %" PRIu64, target,
                    p->settings->outbound_port);
        return CHECK_FAILED;
    }
    if (error != 0) {
        text_printf(ret_text, "not redirected: the connection to %s left the pod (%s)", target, strerror(error));
        return CHECK_FAILED;
    }
    return CHECK_PASSED;
}

static enum check_outcome judge_accepted(const struct probe *p, int fd, const char *target, struct text *ret_text)
{
    char wanted[ADDR_TEXT_SIZE];
    struct addr original;
    int r = socket_original_dst(fd, &original);

    if (r < 0) {
        text_printf(ret_text, "the connection to %s arrived without its original destination (%s)", target, strerror(-r));
        return CHECK_FAILED;
    }
    if (!addr_eq(&original, &p->target)) {
        text_printf(ret_text, "the connection to %s arrived with original destination %s", target,
                    addr_format(&original, wanted));
        return CHECK_FAILED;
    }
    text_printf(ret_text, "a connection to %s arrives at port %" PRIu64 " with its original destination", target,
                p->settings->outbound_port);
    return CHECK_PASSED;
}

/* Other programs of the pod may be captured meanwhile: only the connection that comes from our own socket counts. */
static enum check_outcome await_accept(const struct probe *p, const char *target, struct text *ret_text)
{
    struct addr from;

    if (socket_local_addr(p->client, &from) < 0) {
        text_printf(ret_text, "the connection to %s was lost", target);
        return CHECK_FAILED;
    }
    while (wait_for(p, p->listener, POLLIN)) {
        struct sockaddr_storage sa = {0};
        struct addr peer;
        int fd = accept4(p->listener, (struct sockaddr *)&sa, &(socklen_t){sizeof sa}, SOCK_CLOEXEC);

        if (fd < 0) {
            continue;
        }
        if (addr_from_sockaddr((struct sockaddr *)&sa, &peer) && addr_eq(&peer, &from)) {
            enum check_outcome outcome = judge_accepted(p, fd, target, ret_text);

            socket_abort(fd); /* leaves no TIME_WAIT on the port that the proxy is about to take */
            return outcome;
        }
        socket_abort(fd);
    }
    text_printf(ret_text, "the connection to %s was answered, but not at port %" PRIu64, target, p->settings->outbound_port);
    return CHECK_FAILED;
}

static enum check_outcome run_probe(struct probe *p, struct text *ret_text)
{
    char target[ADDR_TEXT_SIZE];
    enum check_outcome outcome = open_listener(p, ret_text);

    addr_format(&p->target, target);
    if (outcome == CHECK_PASSED) {
        outcome = start_client(p, ret_text);
    }
    if (outcome == CHECK_PASSED) {
        outcome = await_connect(p, target, ret_text);
    }
    if (outcome != CHECK_PASSED) {
        return outcome;
    }
    if (p->listener >= 0) {
        return await_accept(p, target, ret_text);
    }
    text_printf(ret_text, "a connection to %s is answered inside the pod; port %" PRIu64 " is in use, by the proxy as it seems",
                target, p->settings->outbound_port);
    return CHECK_PASSED;
}

enum check_outcome check_redirection(const struct init_settings *s, enum addr_family family, struct text *ret_text)
{
    struct probe p = {.settings = s, .deadline_ms = now_ms() + CHECK_TIMEOUT_MS, .listener = -1, .client = -1};
    enum check_outcome outcome;

    if (geteuid() == s->proxy_uid) {
        text_printf(ret_text, "this check runs as user %" PRIu64 ", the proxy's, whose connections are not captured",
                    s->proxy_uid);
        return CHECK_FAILED;
    }
    if (!check_choose_target(s, family, &p.target)) {
        text_printf(ret_text, "the settings skip every port or every network that could be tried");
        return CHECK_IMPOSSIBLE;
    }
    outcome = run_probe(&p, ret_text);
    if (p.client >= 0) {
        socket_abort(p.client);
    }
    if (p.listener >= 0) {
        close(p.listener);
    }
    return outcome;
}
