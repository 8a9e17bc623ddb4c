/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "fixture.h"
#include "net/http_server.h"
#include "net/socket.h"

/* --- the pages --- */

static int context;

static void show_hello(void *ctx, const struct http_request *request, struct http_response *response)
{
    ck_assert_ptr_eq(ctx, &context);
    ck_assert_int_eq(request->method, HTTP_GET);
    ck_assert(addr_is_loopback(&request->peer));
    ck_assert_uint_ne(request->peer.port, 0);
    text_printf(&response->body, "hello\n");
}

static void show_request(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    text_printf(&response->body, "path=%.*s query=%.*s body=%.*s", (int)request->path.len, request->path.p,
                (int)request->query.len, request->query.p, (int)request->body.len, request->body.p);
}

static void show_unready(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    (void)request;
    response->status = 503;
    response->content_type = "application/json";
    text_printf(&response->body, "{}");
}

static void show_much(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    (void)request;
    for (int i = 0; i < 100000; i++) {
        text_printf(&response->body, "line %8d of a long page\n", i);
    }
}

static const struct http_page pages[] = {
    {HTTP_GET, "/hello", false, show_hello, "says hello"},
    {HTTP_GET, "/echo", false, show_request, "shows the request"},
    {HTTP_POST, "/echo", false, show_request, "shows the request"},
    {HTTP_PUT, "/put", true, show_request, NULL},
    {HTTP_GET, "/ready", false, show_unready, NULL},
    {HTTP_GET, "/much", false, show_much, NULL},
    {HTTP_GET, "/a b", false, show_hello, NULL},
};

/* --- a client --- */

static struct http_server *server;
static struct addr target; /* where the client dials */
static struct stream client;
static struct text got;
static bool is_over;

static void on_readable(struct stream *s)
{
    ssize_t n = stream_recv(s, loop_read_buffer(loop), LOOP_READ_BUFFER_SIZE);

    if (n > 0) {
        text_append(&got, loop_read_buffer(loop), (size_t)n);
    } else if (n != -EAGAIN) {
        is_over = true;
        stream_close(s);
    }
}

static void on_writable(struct stream *s)
{
    (void)s;
}

static void connect_client(void)
{
    int fd = dial(&target);

    stream_close(&client);
    stream_init(&client, loop, fd);
    stream_set_handlers(&client, on_readable, on_writable);
    stream_want_read(&client, true);
    text_clear(&got);
    is_over = false;
}

static void send_text(const char *bytes, size_t len)
{
    size_t sent = 0;

    /* Blocking is fine as long as the server's buffers hold it all. */
    while (sent < len) {
        ssize_t n = send(stream_fd(&client), bytes + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            loop_turn(loop, false);
            continue;
        }
        sent += (size_t)n;
    }
}

/* One exchange; the server closes after it. Returns the whole answer. */
static const char *exchange(const char *request)
{
    connect_client();
    send_text(request, strlen(request));
    turn_until(&is_over);
    return got.p;
}

static void ck_assert_status(const char *answer, int status)
{
    ck_assert_msg(strncmp(answer, "HTTP/1.1 ", 9) == 0 && strtol(answer + 9, NULL, 10) == status, "%.200s", answer);
}

static void ck_assert_has(const char *answer, const char *part)
{
    ck_assert_msg(strcasestr(answer, part) != NULL, "no \"%s\" in:\n%.500s", part, answer);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");

    ck_assert_ptr_nonnull(end);
    return end + 4;
}

static void setup(void)
{
    struct addr at = loopback(0);

    loop_setup();
    text_init(&got, (size_t)16 * 1024 * 1024);
    client = (struct stream){0};
    ck_assert_int_eq(http_server_open(loop, &at, pages, ARRAY_LEN(pages), &context, &server), 0);
    target = http_server_addr(server);
}

static void teardown(void)
{
    stream_close(&client);
    http_server_close(&server);
    text_deinit(&got);
    loop_teardown();
}

#define CLOSING " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

/* --- tests --- */

START_TEST(page_is_served)
{
    const char *answer = exchange("GET /hello" CLOSING);

    ck_assert_status(answer, 200);
    ck_assert_has(answer, "Content-Type: text/plain; charset=utf-8\r\n");
    ck_assert_has(answer, "Content-Length: 6\r\n");
    ck_assert_str_eq(body_of(answer), "hello\n");
}
END_TEST

START_TEST(head_answers_like_get_without_a_body)
{
    const char *answer = exchange("HEAD /hello" CLOSING);

    ck_assert_status(answer, 200);
    ck_assert_has(answer, "Content-Length: 6\r\n");
    ck_assert_str_eq(body_of(answer), "");
}
END_TEST

START_TEST(request_is_shown_to_the_page)
{
    const char *answer = exchange("GET /ec%68o?level=debug&x=%20" CLOSING);

    ck_assert_str_eq(body_of(answer), "path=/echo query=level=debug&x=%20 body=");
    answer = exchange("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde");
    ck_assert_str_eq(body_of(answer), "path=/echo query= body=abcde");
    answer = exchange(
        "PUT /put HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n");
    ck_assert_str_eq(body_of(answer), "path=/put query= body=xyz");
    ck_assert_status(exchange("GET /a%20b" CLOSING), 200);
}
END_TEST

START_TEST(status_and_type_are_the_page_s_choice)
{
    const char *answer = exchange("GET /ready" CLOSING);

    ck_assert_status(answer, 503);
    ck_assert_has(answer, "Content-Type: application/json\r\n");
    ck_assert_str_eq(body_of(answer), "{}");
}
END_TEST

START_TEST(long_page_arrives_whole)
{
    const char *answer = exchange("GET /much" CLOSING);

    ck_assert_status(answer, 200);
    ck_assert_uint_eq(strlen(body_of(answer)), 100000 * strlen("line 00000000 of a long page\n"));
}
END_TEST

START_TEST(root_lists_the_pages)
{
    const char *answer = exchange("GET /" CLOSING);

    ck_assert_status(answer, 200);
    ck_assert_has(answer, "/hello");
    ck_assert_has(answer, "says hello");
    ck_assert_has(answer, "PUT  /put");
}
END_TEST

START_TEST(unknown_path_is_404)
{
    ck_assert_status(exchange("GET /nowhere" CLOSING), 404);
    ck_assert_status(exchange("GET /hello/" CLOSING), 404);
    ck_assert_status(exchange("POST /" CLOSING), 404);
}
END_TEST

START_TEST(wrong_method_is_405_and_names_the_right_ones)
{
    const char *answer = exchange("PUT /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");

    ck_assert_status(answer, 405);
    ck_assert_has(answer, "Allow: GET, POST\r\n");
    ck_assert_status(exchange("DELETE /echo" CLOSING), 501);
}
END_TEST

START_TEST(broken_escapes_are_400)
{
    ck_assert_status(exchange("GET /hello%" CLOSING), 400);
    ck_assert_status(exchange("GET /hello%0" CLOSING), 400);
    ck_assert_status(exchange("GET /hello%zz" CLOSING), 400);
    ck_assert_status(exchange("GET /hello%00" CLOSING), 400);
}
END_TEST

START_TEST(oversize_requests_are_refused)
{
    char *request = mem_alloc(20000);

    snprintf(request, 20000, "GET /hello HTTP/1.1\r\nHost: x\r\nX: %017000d\r\n\r\n", 0);
    const char *answer = exchange(request);

    mem_free(request);
    ck_assert_status(answer, 400);
    answer = exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
    ck_assert_status(answer, 413);
}
END_TEST

START_TEST(body_of_the_largest_size_is_taken)
{
    size_t size = (size_t)1024 * 1024;
    char *body = mem_alloc(size + 1);
    const char *head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n";

    memset(body, 'b', size);
    connect_client();
    send_text(head, strlen(head));
    send_text(body, size);
    turn_until(&is_over);
    mem_free(body);

    ck_assert_status(got.p, 200);
    ck_assert_uint_eq(strlen(body_of(got.p)), size + strlen("path=/echo query= body="));
}
END_TEST

START_TEST(connection_can_carry_more_than_one_request)
{
    const char *answer = exchange("GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /ready" CLOSING);

    ck_assert_status(answer, 200);
    ck_assert_has(answer, "HTTP/1.1 503");
}
END_TEST

/* An address of this host that is not loopback; false if it has none with a route. */
static bool find_other_address(struct addr *ret_addr)
{
    struct addr anywhere = {.family = ADDR_V4, .port = 9, .bytes = {192, 0, 2, 1}};
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&anywhere, (struct sockaddr *)&sa);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_found = connect(fd, (struct sockaddr *)&sa, len) == 0 && socket_local_addr(fd, ret_addr) == 0; /* sends nothing */

    close(fd);
    return is_found && !addr_is_loopback(ret_addr);
}

START_TEST(page_for_loopback_only_is_403_to_others)
{
    static const char request[] = "PUT /put HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct addr any = {.family = ADDR_V4};

    ck_assert_status(exchange(request), 200);
    if (!find_other_address(&target)) {
        return; /* nobody to refuse */
    }
    http_server_close(&server);
    ck_assert_int_eq(http_server_open(loop, &any, pages, ARRAY_LEN(pages), &context, &server), 0);
    target.port = http_server_addr(server).port;
    ck_assert_status(exchange(request), 403);
}
END_TEST

START_TEST(page_for_loopback_only_is_403_to_web_pages)
{
    static const char *const refused[] = {
        "PUT /put HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "PUT /put HTTP/1.1\r\nHost: localhost.evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "PUT /put HTTP/1.1\r\nHost: [::2]\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "PUT /put HTTP/1.1\r\nHost: ]\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "PUT http://evil.example/put HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "PUT /put HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "PUT /put HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    };
    static const char *const hosts[] = {"localhost", "LocalHost:15191", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"};

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        ck_assert_status(exchange(refused[i]), 403);
    }
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        char request[256];

        snprintf(request, sizeof request, "PUT /put HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                 hosts[i]);
        ck_assert_status(exchange(request), 200);
    }
    ck_assert_status(exchange("GET /hello HTTP/1.1\r\nHost: any.name\r\nOrigin: x\r\nConnection: close\r\n\r\n"), 200);
}
END_TEST

START_TEST(many_requests_in_one_piece_are_answered_in_order)
{
    struct text requests;
    const char *at;
    size_t answers = 0;

    text_init(&requests, 65536);
    for (int i = 0; i < 100; i++) {
        text_printf(&requests, "GET /echo?%d HTTP/1.1\r\nHost: x\r\n%s\r\n", i, i == 99 ? "Connection: close\r\n" : "");
    }
    at = exchange(requests.p);
    for (char wanted[32]; answers < 100; answers++) {
        snprintf(wanted, sizeof wanted, "query=%zu body=", answers);
        at = strstr(at, wanted);
        ck_assert_ptr_nonnull(at);
    }
    text_deinit(&requests);
}
END_TEST

START_TEST(requests_are_read_no_faster_than_they_are_answered)
{
    enum { COUNT = 60000 };
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: x\r\nX-Filler: 0123456789012345678901234567890123456789\r\n\r\n";
    static const char last[] = "GET /ready" CLOSING;

    connect_client();
    for (int i = 0; i < COUNT; i++) {
        send_text(request, strlen(request));
    }
    send_text(last, strlen(last));
    turn_until(&is_over);
    const char *at = got.p;

    for (int i = 0; i < COUNT; i++) {
        size_t left = (size_t)(got.p + got.len - at);

        /* Sanitizers look at all that a search is given: an answer, not all of them. */
        at = memmem(at, left < 1000 ? left : 1000, "hello\n", 6);
        ck_assert_ptr_nonnull(at);
        at++;
    }
    ck_assert_has(at, "HTTP/1.1 503");
    ck_assert_ptr_null(strstr(at, "HTTP/1.1 400"));
}
END_TEST

START_TEST(client_that_waits_for_it_is_told_to_continue)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"
                               "Content-Length: 2\r\n\r\n";

    connect_client();
    send_text(head, strlen(head));
    while (strstr(got.p, "\r\n\r\n") == NULL) {
        loop_turn(loop, true);
    }
    ck_assert_str_eq(got.p, "HTTP/1.1 100 Continue\r\n\r\n");
    send_text("ok", 2);
    turn_until(&is_over);
    ck_assert_has(got.p, "HTTP/1.1 200 OK\r\n");
    ck_assert_has(got.p, "body=ok");
}
END_TEST

/* Clients that open connections and say too little. */
static void open_idle(int *fds, size_t count, const char *words)
{
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial(&target);
        ck_assert_int_eq(send(fds[i], words, strlen(words), MSG_NOSIGNAL), (ssize_t)strlen(words));
        loop_turn(loop, false);
    }
    for (int i = 0; i < 10; i++) {
        loop_turn(loop, false);
    }
}

static size_t count_closed(const int *fds, size_t count)
{
    size_t closed = 0;

    for (size_t i = 0; i < count; i++) {
        ssize_t n;

        do { /* what had been sent before the end */
            n = recv(fds[i], loop_read_buffer(loop), LOOP_READ_BUFFER_SIZE, MSG_DONTWAIT);
        } while (n > 0);
        closed += n == 0 || errno != EAGAIN;
        close(fds[i]);
    }
    return closed;
}

START_TEST(connections_that_say_too_little_make_way_for_others)
{
    int fds[HTTP_CONNECTIONS_MAX];

    open_idle(fds, HTTP_CONNECTIONS_MAX, "GET /hel");
    ck_assert_status(exchange("GET /hello" CLOSING), 200);

    ck_assert_uint_eq(count_closed(fds, HTTP_CONNECTIONS_MAX), 1);
}
END_TEST

START_TEST(unfinished_requests_that_take_too_much_memory_make_way_for_others)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    static char body[900000];
    int fds[20];

    open_idle(fds, ARRAY_LEN(fds), head);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        for (size_t sent = 0; sent < sizeof body; loop_turn(loop, false)) {
            ssize_t n = send(fds[i], body, sizeof body - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

            sent += n > 0 ? (size_t)n : 0;
            if (n < 0 && errno != EAGAIN) {
                break;
            }
        }
    }
    for (int i = 0; i < 500; i++) {
        loop_turn(loop, false);
    }
    ck_assert_status(exchange("GET /hello" CLOSING), 200);

    ck_assert_uint_eq(count_closed(fds, ARRAY_LEN(fds)), 2); /* 18 × 900 kB is the most below 16 MiB */
}
END_TEST

START_TEST(answers_that_nobody_takes_make_way_for_others)
{
    int fds[HTTP_WRITING_MAX + 4];

    open_idle(fds, HTTP_WRITING_MAX + 4,
              "GET /much HTTP/1.1\r\nHost: x\r\n\r\nGET /much HTTP/1.1\r\nHost: x\r\n\r\n"
              "GET /much HTTP/1.1\r\nHost: x\r\n\r\nGET /much HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_status(exchange("GET /hello" CLOSING), 200);

    ck_assert_uint_eq(count_closed(fds, ARRAY_LEN(fds)), 4);
}
END_TEST

START_TEST(out_of_descriptors_it_pauses_then_answers)
{
    static const char request[] = "GET /hello" CLOSING;

    connect_client();
    send_text(request, strlen(request));
    struct usec started = loop_clock();

    descriptors_forbid();
    loop_turn(loop, false);
    descriptors_allow();
    for (int i = 0; i < 20; i++) {
        loop_turn(loop, false);
    }
    /* It does not listen for a moment, unless the 20 turns took longer than that. */
    ck_assert(got.len == 0 || usec_since(loop_clock(), started).v >= 100000);

    ck_assert_status(exchange(request), 200);
}
END_TEST

START_TEST(server_can_be_closed_while_it_pauses)
{
    connect_client();
    descriptors_forbid();
    loop_turn(loop, false);
    descriptors_allow();
    http_server_close(&server);

    ck_assert_ptr_null(server);
}
END_TEST

START_TEST(server_can_be_closed_with_connections_open)
{
    connect_client();
    send_text("GET /hel", 8);
    loop_turn(loop, true);
    http_server_close(&server);
    turn_until(&is_over);

    ck_assert_uint_eq(got.len, 0);
    ck_assert_ptr_null(server);
}
END_TEST

START_TEST(any_address_is_that_of_both_families)
{
    static const char request[] = "PUT /put HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct addr any = {.family = ADDR_V4};
    struct addr v6 = {.family = ADDR_V6, .bytes[15] = 1};
    struct http_server *second = NULL;

    http_server_close(&server);
    ck_assert_int_eq(http_server_open(loop, &any, pages, ARRAY_LEN(pages), &context, &server), 0);
    target.port = http_server_addr(server).port;
    ck_assert_status(exchange(request), 200);
    if (!socket_is_local_ip(&v6)) {
        return; /* a host without IPv6: that it has been opened all the same is the point */
    }
    v6.port = target.port;
    target = v6;
    ck_assert_status(exchange(request), 200);
    ck_assert_int_eq(http_server_open(loop, &v6, pages, ARRAY_LEN(pages), &context, &second), -EADDRINUSE);
}
END_TEST

START_TEST(other_family_s_port_in_use_is_an_error)
{
    struct addr any = {.family = ADDR_V6};
    struct http_server *second = NULL;

    any.port = http_server_addr(server).port; /* that of 127.0.0.1 */
    ck_assert_int_eq(http_server_open(loop, &any, pages, ARRAY_LEN(pages), &context, &second),
                     socket_is_local_ip(&(struct addr){.family = ADDR_V6, .bytes[15] = 1}) ? -EADDRINUSE : -EAFNOSUPPORT);
    ck_assert_ptr_null(second);
}
END_TEST

START_TEST(address_in_use_is_an_error)
{
    struct addr at = http_server_addr(server);
    struct http_server *second = NULL;

    ck_assert_int_eq(http_server_open(loop, &at, pages, ARRAY_LEN(pages), &context, &second), -EADDRINUSE);
    ck_assert_ptr_null(second);
}
END_TEST

static void ck_assert_value(const char *query, const char *name, const char *expected)
{
    char *value = http_query_value(str_from(query), name);

    if (expected == NULL) {
        ck_assert_ptr_null(value);
    } else {
        ck_assert_ptr_nonnull(value);
        ck_assert_str_eq(value, expected);
    }
    mem_free(value);
}

START_TEST(query_values_are_found_and_decoded)
{
    ck_assert_value("level=debug&x=1", "level", "debug");
    ck_assert_value("level=debug&x=1", "x", "1");
    ck_assert_value("xlevel=1&level=2", "level", "2");
    ck_assert_value("a=%41%2B+b&a=2", "a", "A+ b");
    ck_assert_value("a=b=c", "a", "b=c");
    ck_assert_value("flag&x=", "flag", "");
    ck_assert_value("flag&x=", "x", "");
    ck_assert_value("", "x", NULL);
    ck_assert_value(NULL, "x", NULL);
    ck_assert_value("x=%4", "x", NULL);
    ck_assert_value("x=%00", "x", NULL);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_server");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, page_is_served);
    tcase_add_test(tcase, head_answers_like_get_without_a_body);
    tcase_add_test(tcase, request_is_shown_to_the_page);
    tcase_add_test(tcase, status_and_type_are_the_page_s_choice);
    tcase_add_test(tcase, long_page_arrives_whole);
    tcase_add_test(tcase, root_lists_the_pages);
    tcase_add_test(tcase, unknown_path_is_404);
    tcase_add_test(tcase, wrong_method_is_405_and_names_the_right_ones);
    tcase_add_test(tcase, broken_escapes_are_400);
    tcase_add_test(tcase, oversize_requests_are_refused);
    tcase_add_test(tcase, body_of_the_largest_size_is_taken);
    tcase_add_test(tcase, connection_can_carry_more_than_one_request);
    tcase_add_test(tcase, page_for_loopback_only_is_403_to_others);
    tcase_add_test(tcase, page_for_loopback_only_is_403_to_web_pages);
    tcase_add_test(tcase, many_requests_in_one_piece_are_answered_in_order);
    tcase_add_test(tcase, requests_are_read_no_faster_than_they_are_answered);
    tcase_add_test(tcase, client_that_waits_for_it_is_told_to_continue);
    tcase_add_test(tcase, connections_that_say_too_little_make_way_for_others);
    tcase_add_test(tcase, unfinished_requests_that_take_too_much_memory_make_way_for_others);
    tcase_add_test(tcase, answers_that_nobody_takes_make_way_for_others);
    tcase_add_test(tcase, out_of_descriptors_it_pauses_then_answers);
    tcase_add_test(tcase, server_can_be_closed_while_it_pauses);
    tcase_add_test(tcase, server_can_be_closed_with_connections_open);
    tcase_add_test(tcase, any_address_is_that_of_both_families);
    tcase_add_test(tcase, other_family_s_port_in_use_is_an_error);
    tcase_add_test(tcase, address_in_use_is_an_error);
    tcase_add_test(tcase, query_values_are_found_and_decoded);
    return run_tcase(tcase);
}
