/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "net/connect.h"
#include "net/socket.h"

static const struct connect_options patient = {.timeout = {10000000}, .user_timeout = {20000000}};
static const struct connect_options impatient = {.timeout = {20000}};

struct attempt {
    struct connect connect;
    bool is_done;
    int result;
    unsigned reports;
};

static struct attempt attempt;
static int listening;
static struct addr target;

static void on_done(struct connect *c, int result)
{
    struct attempt *a = container_of(c, struct attempt, connect);

    a->is_done = true;
    a->result = result;
    a->reports++;
}

static void setup(void)
{
    struct addr any = loopback(0);

    loop_setup();
    attempt = (struct attempt){0};
    listening = socket_listen(&any);
    ck_assert_int_ge(listening, 0);
    ck_assert_int_eq(socket_local_addr(listening, &target), 0);
}

static void teardown(void)
{
    connect_cancel(&attempt.connect);
    close(listening);
    loop_teardown();
}

static int run_attempt(const struct addr *to, const struct connect_options *options)
{
    connect_start(&attempt.connect, loop, to, options, on_done);
    ck_assert(attempt.connect.is_active);
    ck_assert(!attempt.is_done); /* never from within */
    turn_until(&attempt.is_done);
    ck_assert(!attempt.connect.is_active);
    return attempt.result;
}

START_TEST(connected_socket_can_be_taken)
{
    struct stream taken = {0};
    struct addr peer = {0};

    ck_assert_int_eq(run_attempt(&target, &patient), 0);
    stream_move(&taken, &attempt.connect.stream);

    ck_assert(stream_peer_addr(&taken, &peer));
    ck_assert(addr_eq(&peer, &target));
    connect_cancel(&attempt.connect);
    ck_assert(stream_is_open(&taken));
    stream_close(&taken);
}
END_TEST

START_TEST(dialled_socket_has_its_options)
{
    ck_assert_int_eq(run_attempt(&target, &patient), 0);
    int fd = stream_fd(&attempt.connect.stream);

    ck_assert_int_eq(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    ck_assert_int_eq(int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 10);
    ck_assert_int_eq(int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 3);
    ck_assert_int_eq(int_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    ck_assert_int_eq(int_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 20000);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}
END_TEST

START_TEST(source_address_is_used)
{
    struct addr source = {.family = ADDR_V4, .bytes = {127, 0, 0, 6}};
    struct connect_options options = {.source = &source, .timeout = {10000000}};
    struct addr local = {0};

    ck_assert_int_eq(run_attempt(&target, &options), 0);

    ck_assert(stream_local_addr(&attempt.connect.stream, &local));
    ck_assert(addr_eq_ip(&local, &source));
    ck_assert_uint_ne(local.port, 0);
}
END_TEST

START_TEST(source_that_is_not_ours_fails_later_not_from_within)
{
    struct addr source = {.family = ADDR_V4, .bytes = {203, 0, 113, 1}};
    struct connect_options options = {.source = &source, .timeout = {10000000}};

    ck_assert_int_eq(run_attempt(&target, &options), -EADDRNOTAVAIL);
    ck_assert(!stream_is_open(&attempt.connect.stream));
}
END_TEST

START_TEST(port_without_listener_refuses)
{
    /* Bound, so that nobody else listens there. */
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct addr to = {0};

    ck_assert_int_eq(bind(bound, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(socket_local_addr(bound, &to), 0);

    ck_assert_int_eq(run_attempt(&to, &patient), -ECONNREFUSED);
    ck_assert(!stream_is_open(&attempt.connect.stream));
    ck_assert_uint_eq(attempt.reports, 1);
    close(bound);
}
END_TEST

/* A listener that never accepts and whose queue is full: the kernel drops what comes after. */
static int fill_queue(int fds[static 2])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (i == 0 ? 0 : SOCK_NONBLOCK), 0);
        int r = connect(fds[i], (struct sockaddr *)&sa, sizeof sa);

        ck_assert(r == 0 || (i > 0 && errno == EINPROGRESS));
    }
    return fd;
}

START_TEST(own_limit_ends_an_attempt_that_nobody_answers)
{
    int fillers[2];
    int full = fill_queue(fillers);
    struct addr to = {0};

    ck_assert_int_eq(socket_local_addr(full, &to), 0);
    struct usec started = loop_now(loop);

    ck_assert_int_eq(run_attempt(&to, &impatient), -ETIMEDOUT);
    ck_assert_uint_ge(usec_since(loop_now(loop), started).v, impatient.timeout.v);
    ck_assert_uint_eq(attempt.connect.started.v, started.v);
    ck_assert(!stream_is_open(&attempt.connect.stream));
    close(fillers[0]);
    close(fillers[1]);
    close(full);
}
END_TEST

START_TEST(cancelled_attempt_reports_nothing)
{
    connect_start(&attempt.connect, loop, &target, &patient, on_done);
    connect_cancel(&attempt.connect);
    connect_cancel(&attempt.connect);
    for (int i = 0; i < 5; i++) {
        loop_turn(loop, false);
    }

    ck_assert_uint_eq(attempt.reports, 0);
    ck_assert(!stream_is_open(&attempt.connect.stream));
}
END_TEST

START_TEST(attempt_that_failed_at_once_can_be_cancelled_too)
{
    struct addr source = {.family = ADDR_V6, .bytes = {[15] = 1}}; /* of another family */
    struct connect_options options = {.source = &source};

    connect_start(&attempt.connect, loop, &target, &options, on_done);
    connect_cancel(&attempt.connect);
    for (int i = 0; i < 5; i++) {
        loop_turn(loop, false);
    }

    ck_assert_uint_eq(attempt.reports, 0);
}
END_TEST

START_TEST(cancel_closes_a_connection_that_nobody_took)
{
    char buf[1];

    ck_assert_int_eq(run_attempt(&target, &patient), 0);
    int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

    ck_assert_int_ge(accepted, 0);
    connect_cancel(&attempt.connect);

    ck_assert_int_eq(recv(accepted, buf, sizeof buf, 0), 0);
    close(accepted);
}
END_TEST

START_TEST(running_out_of_descriptors_is_reported_like_any_failure)
{
    descriptors_forbid();
    int result = run_attempt(&target, &patient);
    descriptors_allow();

    ck_assert_int_eq(result, -EMFILE);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("connect");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, connected_socket_can_be_taken);
    tcase_add_test(tcase, dialled_socket_has_its_options);
    tcase_add_test(tcase, source_address_is_used);
    tcase_add_test(tcase, source_that_is_not_ours_fails_later_not_from_within);
    tcase_add_test(tcase, port_without_listener_refuses);
    tcase_add_test(tcase, own_limit_ends_an_attempt_that_nobody_answers);
    tcase_add_test(tcase, cancelled_attempt_reports_nothing);
    tcase_add_test(tcase, attempt_that_failed_at_once_can_be_cancelled_too);
    tcase_add_test(tcase, cancel_closes_a_connection_that_nobody_took);
    tcase_add_test(tcase, running_out_of_descriptors_is_reported_like_any_failure);
    return run_tcase(tcase);
}
