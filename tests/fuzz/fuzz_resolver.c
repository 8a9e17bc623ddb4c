/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a name server answers, and what /etc/hosts and /etc/resolv.conf may hold. The first byte chooses: 0, a DNS answer from a name
 * server of our own on loopback (header and question are repeated from the query, the rest is the input); 1, a hosts file; 2, a
 * resolv.conf, with which nothing is asked: no query leaves for where it points.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/resolver.h"

#define NAME "name.test:80"
#define DNS_HEAD 12
#define PACKET_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_done;

static void on_done(void *ctx, const struct addr *addresses, size_t count, const char *error)
{
    (void)ctx;
    assert((count == 0) == (error != NULL) && count <= RESOLVER_MAX_ADDRESSES);
    for (size_t i = 0; i < count; i++) {
        assert(addresses[i].family != ADDR_NONE && addresses[i].port == 80);
    }
    is_done = true;
}

/* A file in memory; its path goes to `path`. */
static int write_file(const void *bytes, size_t len, char path[static 64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    ssize_t n = write(fd, bytes, len);

    assert(n == (ssize_t)len);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static int open_server(char text[static 64])
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr addr;
    char ip_port[ADDR_TEXT_SIZE];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_good = addr_parse(STR("127.0.0.1:0"), &addr);

    len = addr_to_sockaddr(&addr, (struct sockaddr *)&sa);
    is_good = is_good && bind(fd, (struct sockaddr *)&sa, len) == 0 && getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
              addr_from_sockaddr((struct sockaddr *)&sa, &addr);
    assert(is_good);
    snprintf(text, 64, "nameserver %s\n", addr_format(&addr, ip_port));
    return fd;
}

/* Answers one query, if there is one. */
static void answer(int fd, const uint8_t *data, size_t size)
{
    uint8_t packet[PACKET_MAX];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    ssize_t n = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &from_len);
    size_t counts = size < 8 ? size : 8;

    if (n < DNS_HEAD) {
        return;
    }
    memcpy(packet + 2, data, counts); /* flags and the sections' sizes */
    packet[4] = 0;
    packet[5] = 1; /* but the one question that is there */
    size -= counts;
    size = size < PACKET_MAX - (size_t)n ? size : PACKET_MAX - (size_t)n;
    memcpy(packet + n, data + counts, size);
    (void)!sendto(fd, packet, (size_t)n + size, 0, (struct sockaddr *)&from, from_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned kind = size > 0 ? data[0] % 3 : 0;
    struct loop *loop = loop_new(1);
    char ours[64];
    char path[64];
    int server = open_server(ours);
    int file = kind == 0 || size == 0 ? write_file(ours, strlen(ours), path) : write_file(data + 1, size - 1, path);
    char ours_path[64];
    int ours_file = write_file(ours, strlen(ours), ours_path);
    struct resolver *resolver = resolver_new_from(loop, kind == 1 ? ours_path : path, kind == 1 ? path : "/dev/null");
    struct resolver_query *query = kind != 2 ? resolver_start(resolver, NAME, on_done, NULL) : NULL;

    is_done = false;
    for (unsigned i = 0; i < 3 && query != NULL && !is_done && size > 0; i++) {
        loop_turn(loop, false);
        answer(server, data + 1, size - 1);
        answer(server, data + 1, size - 1);
        loop_turn(loop, false);
    }
    if (!is_done) {
        resolver_cancel(&query);
    }
    resolver_free(resolver);
    loop_turn(loop, false);
    loop_free(loop);
    close(file);
    close(ours_file);
    close(server);
    return 0;
}
