/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "net/socket.h"

static struct addr ip(const char *text)
{
    struct addr a = {0};

    ck_assert(addr_parse_ip(str_from(text), &a));
    return a;
}

START_TEST(loopback_is_ours)
{
    struct addr v4 = ip("127.0.0.1");
    struct addr other_v4 = ip("127.1.2.3");
    struct addr v6 = ip("::1");

    v4.port = 1; /* the port does not matter */
    ck_assert(socket_is_local_ip(&v4));
    ck_assert(socket_is_local_ip(&other_v4));
    ck_assert(socket_is_local_ip(&v6));
}
END_TEST

START_TEST(documentation_and_multicast_addresses_are_not_ours)
{
    static const char *const foreign[] = {"203.0.113.7", "224.0.0.1", "2001:db8::7", "ff02::1"};
    struct addr none = {0};

    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        struct addr a = ip(foreign[i]);

        ck_assert_msg(!socket_is_local_ip(&a), "%s", foreign[i]);
    }
    ck_assert(!socket_is_local_ip(&none));
}
END_TEST

START_TEST(local_address_is_where_the_client_connected_to)
{
    int fds[2];
    struct addr accepted = {0};
    struct addr client = {0};
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    tcp_pair(fds);
    ck_assert_int_eq(socket_local_addr(fds[1], &accepted), 0);
    ck_assert_int_eq(getpeername(fds[0], (struct sockaddr *)&sa, &len), 0);
    ck_assert(addr_from_sockaddr((struct sockaddr *)&sa, &client));
    ck_assert(addr_eq(&accepted, &client));
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(sockets_of_other_kinds_are_errors)
{
    int fds[2];
    struct addr a = {0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(socket_local_addr(fds[0], &a), -EAFNOSUPPORT);
    ck_assert_int_lt(socket_original_dst(fds[0], &a), 0);
    ck_assert_int_eq(socket_local_addr(-1, &a), -EBADF);
    ck_assert_int_eq(socket_original_dst(-1, &a), -EBADF);
    ck_assert_uint_eq(a.family, ADDR_NONE);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* Whether the kernel tracks loopback connections is the machine's business; both answers are as the header says. */
START_TEST(connection_that_was_not_redirected_has_its_own_address_or_none)
{
    int fds[2];
    struct addr original = {0};
    struct addr local = {0};

    tcp_pair(fds);
    int r = socket_original_dst(fds[1], &original);

    ck_assert_int_eq(socket_local_addr(fds[1], &local), 0);
    ck_assert_msg(r == -ENOENT || r == -ENOPROTOOPT || (r == 0 && addr_eq(&original, &local)), "%d", r);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(abort_sends_a_reset)
{
    int fds[2];
    char buf[1];

    tcp_pair(fds);
    socket_abort(fds[0]);

    ck_assert_uint_eq(read_fully(fds[1], buf, 1), 0);
    errno = 0;
    /* read_fully has taken the error; what is left is a dead socket. */
    ck_assert_int_eq(send(fds[1], "x", 1, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, EPIPE);
    close(fds[1]);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("socket");

    tcase_add_test(tcase, loopback_is_ours);
    tcase_add_test(tcase, documentation_and_multicast_addresses_are_not_ours);
    tcase_add_test(tcase, local_address_is_where_the_client_connected_to);
    tcase_add_test(tcase, sockets_of_other_kinds_are_errors);
    tcase_add_test(tcase, connection_that_was_not_redirected_has_its_own_address_or_none);
    tcase_add_test(tcase, abort_sends_a_reset);
    return run_tcase(tcase);
}
