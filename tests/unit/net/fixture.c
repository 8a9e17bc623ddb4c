/* SPDX-License-Identifier: Apache-2.0 */

#include "fixture.h"

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/object.h"
#include "net/socket.h"

struct loop *loop;

static rlim_t limit_before;

void loop_setup(void)
{
    loop = loop_new(1);
}

void loop_teardown(void)
{
    /* Some objects end in a later turn. */
    for (int i = 0; i < 5; i++) {
        loop_turn(loop, false);
    }
    /* A timer or watch that outlives its object is not seen by the sanitizers: libevent is built without them. */
    ck_assert_int_eq(event_base_get_num_events(loop_base(loop), EVENT_BASE_COUNT_ADDED), 2); /* the mailbox, the hang-ups */
    loop_free(loop);
    loop = NULL;
    ck_assert_int_eq(object_live(OBJECT_PIPE), 0);
}

TCase *loop_tcase(const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, loop_setup, loop_teardown);
    tcase_set_timeout(tcase, 30);
    return tcase;
}

int run_tcase(TCase *tcase)
{
    Suite *suite = suite_create("net");

    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void turn_until(const bool *flag)
{
    while (!*flag) {
        loop_turn(loop, true);
    }
}

struct addr loopback(uint16_t port)
{
    return (struct addr){.family = ADDR_V4, .port = port, .bytes = {127, 0, 0, 1}};
}

struct addr loopback_v6(uint16_t port)
{
    return (struct addr){.family = ADDR_V6, .port = port, .bytes = {[15] = 1}};
}

int dial(const struct addr *to)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(to, (struct sockaddr *)&sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    ck_assert_int_eq(poll(&p, 1, -1), 1);
}

void tcp_pair(int fds[static 2])
{
    struct addr any = loopback(0);
    struct addr bound;
    int listening = socket_listen(&any);

    ck_assert_int_ge(listening, 0);
    ck_assert_int_eq(socket_local_addr(listening, &bound), 0);
    fds[0] = dial(&bound);
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    wait_readable(listening);
    fds[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(fds[1], 0);
    close(listening);
}

size_t read_fully(int fd, void *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        wait_readable(fd);
        ssize_t n = recv(fd, (char *)buf + done, len - done, MSG_DONTWAIT);

        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    return done;
}

int int_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void set_limit(rlim_t limit)
{
    struct rlimit r;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
    limit_before = r.rlim_cur;
    r.rlim_cur = limit;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
}

void descriptors_forbid(void)
{
    /* The lowest free number is the next to be given. */
    int next = dup(STDERR_FILENO);

    ck_assert_int_ge(next, 0);
    close(next);
    set_limit((rlim_t)next);
    ck_assert_int_lt(dup(STDERR_FILENO), 0);
}

void descriptors_allow(void)
{
    set_limit(limit_before);
}
