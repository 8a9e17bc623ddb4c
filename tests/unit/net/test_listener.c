/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "net/listener.h"
#include "net/socket.h"

#define CLIENT_COUNT 100

static struct listener *listener;
static int accepted[CLIENT_COUNT];
static struct addr peers[CLIENT_COUNT];
static size_t accepted_count;
static bool has_accepted;
static bool must_close;

static void on_accept(void *ctx, int fd, const struct addr *peer)
{
    ck_assert_ptr_eq(ctx, &listener);
    ck_assert_uint_lt(accepted_count, CLIENT_COUNT);
    accepted[accepted_count] = fd;
    peers[accepted_count] = *peer;
    accepted_count++;
    has_accepted = true;
    if (must_close) {
        listener_close(&listener);
    }
}

static void setup(void)
{
    loop_setup();
    accepted_count = 0;
    has_accepted = false;
    must_close = false;
}

static void teardown(void)
{
    listener_close(&listener);
    for (size_t i = 0; i < accepted_count; i++) {
        close(accepted[i]);
    }
    loop_teardown();
}

static struct addr open_on(struct addr addr)
{
    ck_assert_int_eq(listener_open(loop, &addr, on_accept, &listener, &listener), 0);
    return listener_addr(listener);
}

START_TEST(accepted_socket_comes_ready_for_use_with_the_clients_address)
{
    struct addr at = open_on(loopback(0));
    struct addr client_addr = {0};

    ck_assert_uint_ne(at.port, 0);
    int client = dial(&at);

    turn_until(&has_accepted);
    ck_assert_int_eq(socket_local_addr(client, &client_addr), 0);
    ck_assert(addr_eq(&peers[0], &client_addr));
    ck_assert_int_ne(fcntl(accepted[0], F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(accepted[0], F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_eq(int_option(accepted[0], IPPROTO_TCP, TCP_NODELAY), 1);
    close(client);
}
END_TEST

START_TEST(ipv6_listener_takes_ipv6_only)
{
    struct addr any = {.family = ADDR_V6};
    struct addr at = open_on(any);
    struct addr v6 = loopback_v6(at.port);
    struct addr v4 = loopback(at.port);
    int client = dial(&v6);

    turn_until(&has_accepted);
    ck_assert(addr_is_loopback(&peers[0]));
    ck_assert_int_eq(peers[0].family, ADDR_V6);

    /* The IPv4 port of the same number is free for another. */
    struct listener *second = NULL;

    ck_assert_int_eq(listener_open(loop, &v4, on_accept, &listener, &second), 0);
    listener_close(&second);
    close(client);
}
END_TEST

START_TEST(one_turn_accepts_one_batch)
{
    struct addr at = open_on(loopback(0));
    int clients[CLIENT_COUNT];

    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        clients[i] = dial(&at);
    }
    loop_turn(loop, true);
    ck_assert_uint_eq(accepted_count, LISTENER_BATCH);
    loop_turn(loop, true);
    ck_assert_uint_eq(accepted_count, CLIENT_COUNT);
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        close(clients[i]);
    }
}
END_TEST

START_TEST(out_of_descriptors_it_pauses_then_goes_on)
{
    struct addr at = open_on(loopback(0));
    int client = dial(&at);

    descriptors_forbid();
    while (listener_pauses(listener) == 0) {
        loop_turn(loop, true);
    }
    for (int i = 0; i < 100; i++) {
        loop_turn(loop, false);
    }
    descriptors_allow();
    /* 100 turns take far less than the pause: it did not try in each of them. */
    ck_assert_uint_lt(listener_pauses(listener), 10);
    ck_assert_uint_eq(accepted_count, 0);

    /* A second client, because valgrind imitates the limit by closing what the kernel accepted. */
    int second = dial(&at);

    turn_until(&has_accepted);
    close(second);
    close(client);
}
END_TEST

START_TEST(listener_can_be_closed_while_it_pauses)
{
    struct addr at = open_on(loopback(0));
    int client = dial(&at);

    descriptors_forbid();
    while (listener_pauses(listener) == 0) {
        loop_turn(loop, true);
    }
    descriptors_allow();
    listener_close(&listener);
    loop_turn(loop, false);

    ck_assert_ptr_null(listener);
    close(client);
}
END_TEST

static bool is_gate_open;
static int pause_error;

static bool may_accept(void *ctx)
{
    ck_assert_ptr_eq(ctx, &listener);
    return is_gate_open;
}

static void on_pause(void *ctx, int error)
{
    ck_assert_ptr_eq(ctx, &listener);
    pause_error = error;
}

START_TEST(owner_that_wants_no_more_makes_it_pause)
{
    struct addr at = open_on(loopback(0));
    int client = dial(&at);

    listener_set_gate(listener, may_accept, on_pause);
    is_gate_open = false;
    while (listener_pauses(listener) < 2) {
        loop_turn(loop, true);
    }
    ck_assert_uint_eq(accepted_count, 0);
    ck_assert_int_eq(pause_error, -EUSERS);

    is_gate_open = true;
    turn_until(&has_accepted);
    ck_assert_uint_eq(accepted_count, 1);
    close(client);
}
END_TEST

START_TEST(pause_for_want_of_descriptors_says_so)
{
    struct addr at = open_on(loopback(0));
    int client = dial(&at);

    listener_set_gate(listener, may_accept, on_pause);
    is_gate_open = true;
    pause_error = 0;
    descriptors_forbid();
    while (pause_error == 0) {
        loop_turn(loop, true);
    }
    descriptors_allow();
    ck_assert_int_eq(pause_error, -EMFILE);
    close(client);
}
END_TEST

START_TEST(accepted_sockets_inherit_the_keepalive)
{
    struct addr at = open_on(loopback(0));

    listener_set_keepalive(listener, usec_from_ms(59500));
    int client = dial(&at);

    turn_until(&has_accepted);
    ck_assert_int_eq(int_option(accepted[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(int_option(accepted[0], IPPROTO_TCP, TCP_KEEPIDLE), 60);
    ck_assert_int_eq(int_option(accepted[0], IPPROTO_TCP, TCP_KEEPINTVL), 20);
    ck_assert_int_eq(int_option(accepted[0], IPPROTO_TCP, TCP_KEEPCNT), 3);
    close(client);
}
END_TEST

START_TEST(listener_can_be_closed_by_what_it_accepts)
{
    struct addr at = open_on(loopback(0));
    int first = dial(&at);
    int second = dial(&at);

    must_close = true;
    loop_turn(loop, true);

    ck_assert_uint_eq(accepted_count, 1);
    ck_assert_ptr_null(listener);
    close(first);
    close(second);
}
END_TEST

START_TEST(port_in_use_is_an_error_and_leaves_nothing)
{
    struct addr at = open_on(loopback(0));
    struct listener *second = NULL;
    int before = dup(STDERR_FILENO);

    ck_assert_int_eq(listener_open(loop, &at, on_accept, &listener, &second), -EADDRINUSE);

    ck_assert_ptr_null(second);
    close(before);
    int after = dup(STDERR_FILENO);

    ck_assert_int_eq(before, after);
    close(after);
    listener_close(&second);
}
END_TEST

START_TEST(port_is_free_again_right_after_closing)
{
    struct addr at = open_on(loopback(0));
    int client = dial(&at);

    turn_until(&has_accepted);
    close(accepted[--accepted_count]); /* our side closes first and keeps TIME_WAIT */
    listener_close(&listener);
    close(client);

    ck_assert_int_eq(listener_open(loop, &at, on_accept, &listener, &listener), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("listener");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, accepted_socket_comes_ready_for_use_with_the_clients_address);
    tcase_add_test(tcase, ipv6_listener_takes_ipv6_only);
    tcase_add_test(tcase, one_turn_accepts_one_batch);
    tcase_add_test(tcase, out_of_descriptors_it_pauses_then_goes_on);
    tcase_add_test(tcase, listener_can_be_closed_while_it_pauses);
    tcase_add_test(tcase, owner_that_wants_no_more_makes_it_pause);
    tcase_add_test(tcase, pause_for_want_of_descriptors_says_so);
    tcase_add_test(tcase, accepted_sockets_inherit_the_keepalive);
    tcase_add_test(tcase, listener_can_be_closed_by_what_it_accepts);
    tcase_add_test(tcase, port_in_use_is_an_error_and_leaves_nothing);
    tcase_add_test(tcase, port_is_free_again_right_after_closing);
    return run_tcase(tcase);
}
