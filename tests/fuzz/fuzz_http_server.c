/* SPDX-License-Identifier: Apache-2.0 */

/* Requests to the admin port, in pieces: first the size of the pieces (0: one), then bytes. Only what is a request reaches a page. */

#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_page(void *ctx, const struct http_request *request, struct http_response *response)
{
    char *value = http_query_value(request->query, "level");

    (void)ctx;
    assert(str_eq(request->path, STR("/page")) && addr_is_loopback(&request->peer));
    text_printf(&response->body, "%zu %s\n", request->body.len, value != NULL ? value : "");
    mem_free(value);
}

static const struct http_page pages[] = {
    {HTTP_GET, "/page", false, on_page, "a page"},
    {HTTP_POST, "/page", true, on_page, "a page from loopback"},
    {HTTP_PUT, "/page", true, on_page, NULL},
};

static int dial(const struct addr *to)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(to, (struct sockaddr *)&sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(fd, (struct sockaddr *)&sa, len);

    assert(r == 0);
    return fd;
}

/* Reset, so that no port is left waiting. */
static void hang_up(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void expect_http(int fd)
{
    char answer[16];
    ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);

    assert(n < (ssize_t)sizeof answer || memcmp(answer, "HTTP/", 5) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loop *loop = loop_new(1);
    struct http_server *server;
    struct addr addr;
    bool is_good =
        addr_parse(STR("127.0.0.1:0"), &addr) && http_server_open(loop, &addr, pages, ARRAY_LEN(pages), NULL, &server) == 0;

    assert(is_good);
    addr = http_server_addr(server);
    int fd = dial(&addr);

    for (size_t at = 1; at < size;) {
        size_t len = data[0] > 0 && data[0] < size - at ? data[0] : size - at;

        (void)!send(fd, data + at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        at += len;
        loop_turn(loop, false);
    }
    for (unsigned i = 0; i < 4; i++) {
        loop_turn(loop, false);
    }
    expect_http(fd);
    hang_up(fd);
    loop_turn(loop, false);
    http_server_close(&server);
    loop_free(loop);
    return 0;
}
