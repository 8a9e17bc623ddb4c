/* SPDX-License-Identifier: Apache-2.0 */

#include "net/socket.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* SO_ORIGINAL_DST of linux/netfilter_ipv4.h and IP6T_SO_ORIGINAL_DST of linux/netfilter_ipv6/ip6_tables.h, which clash with
 * netinet/in.h. */
#define ORIGINAL_DST 80

#define BACKLOG 4096
#define KEEPALIVE_COUNT 3        /* probes, in the time that the peer may be silent before the first */
#define KEEPALIVE_IDLE_MAX 32767 /* the kernel's; seconds */

int socket_local_addr(int fd, struct addr *ret_addr)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        return -errno;
    }
    return addr_from_sockaddr((struct sockaddr *)&sa, ret_addr) ? 0 : -EAFNOSUPPORT;
}

int socket_original_dst(int fd, struct addr *ret_addr)
{
    int family = 0;
    socklen_t len = sizeof family;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0) {
        return -errno;
    }
    struct sockaddr_storage sa = {0};

    len = sizeof sa;
    if (getsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, ORIGINAL_DST, &sa, &len) < 0) {
        return -errno;
    }
    return addr_from_sockaddr((struct sockaddr *)&sa, ret_addr) ? 0 : -EAFNOSUPPORT;
}

/* The kernel lets sockets bind to multicast addresses, which no TCP connection can have. */
static bool is_multicast(const struct addr *ip)
{
    return ip->family == ADDR_V4 ? ip->bytes[0] >> 4 == 0xe : ip->bytes[0] == 0xff;
}

bool socket_is_local_ip(const struct addr *ip)
{
    struct addr any_port = *ip;
    struct sockaddr_storage sa;

    if (ip->family == ADDR_NONE || is_multicast(ip)) {
        return false;
    }
    any_port.port = 0;
    socklen_t len = addr_to_sockaddr(&any_port, (struct sockaddr *)&sa);
    CLEANUP_FD int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0;
}

static void set_int(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value); /* these tune; a kernel without one of them still connects */
}

void socket_set_keepalive(int fd, struct usec idle)
{
    uint64_t seconds = (idle.v + 999999) / 1000000;
    int wait = seconds > KEEPALIVE_IDLE_MAX ? KEEPALIVE_IDLE_MAX : (int)seconds;

    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, wait > 0);
    if (wait > 0) {
        set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, wait);
        set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, wait / KEEPALIVE_COUNT > 0 ? wait / KEEPALIVE_COUNT : 1);
        set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    }
}

void socket_abort(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static int set_options(int fd, bool is_v6)
{
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) {
        return -errno;
    }
    if (is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) {
        return -errno;
    }
    /* Accepted sockets inherit it: a system call less for each connection. */
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ? -errno : 0;
}

int socket_listen(const struct addr *addr)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(addr, (struct sockaddr *)&sa);
    CLEANUP_FD int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    int r = set_options(fd, addr->family == ADDR_V6);

    if (r < 0) {
        return r;
    }
    if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0) {
        return -errno;
    }
    return steal_fd(&fd);
}

/* The directory's own descriptor is not counted. */
int64_t socket_count_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t count = -1;

    if (dir == NULL) {
        return 0;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

int socket_raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return -errno;
    }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}
