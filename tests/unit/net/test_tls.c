/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "fixture.h"
#include "net/tls_context.h"

#define BULK ((size_t)1024 * 1024)

static const char *const h2_only[] = {"h2", NULL};
static const char *const http1_and_h2[] = {"http/1.1", "h2", NULL};

/* One end of a connection: reads all there is, sends what it is told. */
struct end {
    struct stream stream;
    uint8_t *received;
    size_t received_len;
    const uint8_t *to_send;
    size_t to_send_len;
    size_t sent_len;
    int result; /* of the last failed call; 1: the peer's end was read */
    bool is_over;
    bool has_received;
    bool must_pause; /* after the next read */
};

static struct end client;
static struct end server;
static struct text error;

/* --- fixture --- */

static char *file(const char *name)
{
    char *path = mem_printf("%s/%s", CERTS, name);
    char *bytes = mem_alloc(16384);
    FILE *f = fopen(path, "r");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_gt(fread(bytes, 1, 16383, f), 0);
    fclose(f);
    mem_free(path);
    return bytes;
}

/* Files are named by their first part; NULL: none. */
static struct tls_context *context(enum tls_role role, const char *trust, const char *own, const char *const *alpn)
{
    char *key_name = mem_printf("%s.key.pem", own != NULL ? own : "");
    char *own_name = mem_printf("%s.pem", own != NULL ? own : "");
    char *trust_name = mem_printf("%s.pem", trust != NULL ? trust : "");
    char *trust_pem = trust != NULL ? file(trust_name) : NULL;
    char *own_pem = own != NULL ? file(own_name) : NULL;
    char *key_pem = own != NULL ? file(key_name) : NULL;
    struct tls_options options = {
        .trust_pem = str_from(trust_pem), .certificate_pem = str_from(own_pem), .key_pem = str_from(key_pem), .alpn = alpn};
    struct tls_context *c = tls_context_new(role, &options, &error);

    mem_free(key_name);
    mem_free(own_name);
    mem_free(trust_name);
    mem_free(trust_pem);
    mem_free(own_pem);
    mem_free(key_pem);
    return c;
}

static void over(struct end *e, ssize_t result)
{
    e->result = (int)result;
    e->is_over = true;
    stream_want_read(&e->stream, false);
    stream_want_write(&e->stream, false);
}

static void on_readable(struct stream *s)
{
    struct end *e = container_of(s, struct end, stream);
    ssize_t n = stream_recv(s, e->received + e->received_len, 10000); /* less than a record */

    if (n > 0) {
        e->received_len += (size_t)n;
        e->has_received = true;
        stream_want_read(s, !e->must_pause);
    } else if (n == 0) {
        over(e, 1);
    } else if (n != -EAGAIN) {
        over(e, n);
    }
}

static void on_writable(struct stream *s)
{
    struct end *e = container_of(s, struct end, stream);

    while (e->sent_len < e->to_send_len) {
        ssize_t n = stream_send(s, e->to_send + e->sent_len, e->to_send_len - e->sent_len);

        if (n == -EAGAIN) {
            return;
        }
        if (n < 0) {
            over(e, n);
            return;
        }
        e->sent_len += (size_t)n;
    }
    stream_want_write(s, false);
}

static void listen_to(struct end *e, int fd)
{
    stream_init(&e->stream, loop, fd);
    stream_set_handlers(&e->stream, on_readable, on_writable);
    stream_want_read(&e->stream, true);
}

static void start(struct end *e, int fd)
{
    *e = (struct end){.received = mem_alloc(BULK + 20000)};
    listen_to(e, fd);
}

static void setup(void)
{
    int fds[2];

    loop_setup();
    text_init(&error, 1000);
    tcp_pair(fds);
    start(&client, fds[0]);
    start(&server, fds[1]);
}

static void teardown(void)
{
    stream_close(&client.stream);
    stream_close(&server.stream);
    mem_free(client.received);
    mem_free(server.received);
    text_deinit(&error);
    loop_teardown();
}

static void start_tls(struct end *e, struct tls_context *c, const char *server_name)
{
    ck_assert_msg(c != NULL, "%s", error.p);
    ck_assert_int_eq(stream_start_tls(&e->stream, c, server_name), 0);
    tls_context_unref(&c); /* the session holds its own reference */
}

static void secure_both(const char *name)
{
    start_tls(&client, context(TLS_CLIENT, "ca", NULL, h2_only), name);
    start_tls(&server, context(TLS_SERVER, NULL, "server", http1_and_h2), NULL);
}

static void say(struct end *e, const void *bytes, size_t len)
{
    e->to_send = bytes;
    e->to_send_len = len;
    e->sent_len = 0;
    stream_want_write(&e->stream, true);
}

static void receive(struct end *e, size_t len)
{
    while (e->received_len < len && !e->is_over) {
        loop_turn(loop, true);
    }
    ck_assert_uint_eq(e->received_len, len);
}

/* --- tests --- */

START_TEST(bytes_pass_both_ways)
{
    secure_both("localhost");
    say(&client, "question", 8);
    receive(&server, 8);
    ck_assert_mem_eq(server.received, "question", 8);
    say(&server, "answer", 6);
    receive(&client, 6);
    ck_assert_mem_eq(client.received, "answer", 6);
}
END_TEST

START_TEST(both_learn_the_protocol_agreed)
{
    ck_assert_ptr_null(stream_tls_alpn(&client.stream));
    secure_both("localhost");
    say(&client, "x", 1);
    receive(&server, 1);
    ck_assert_str_eq(stream_tls_alpn(&client.stream), "h2");
    ck_assert_str_eq(stream_tls_alpn(&server.stream), "h2");
}
END_TEST

START_TEST(bulk_passes_both_ways_at_once)
{
    uint8_t *bytes = mem_alloc(BULK);

    for (size_t i = 0; i < BULK; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    secure_both("localhost");
    say(&client, bytes, BULK);
    say(&server, bytes, BULK);
    receive(&client, BULK);
    receive(&server, BULK);
    ck_assert_mem_eq(client.received, bytes, BULK);
    ck_assert_mem_eq(server.received, bytes, BULK);
    mem_free(bytes);
}
END_TEST

/* Decrypted bytes that were left inside come without another byte on the socket. */
START_TEST(a_reader_that_paused_goes_on)
{
    uint8_t bytes[16000] = {1, 2, 3};

    secure_both("localhost");
    say(&client, bytes, sizeof bytes); /* one record, more than one read takes */
    server.must_pause = true;
    turn_until(&server.has_received);
    loop_turn(loop, false);
    loop_turn(loop, false);
    ck_assert_uint_lt(server.received_len, sizeof bytes);
    server.must_pause = false;
    stream_want_read(&server.stream, true);
    receive(&server, sizeof bytes);
}
END_TEST

START_TEST(a_session_moves_with_its_stream)
{
    struct stream kept;

    secure_both("localhost");
    say(&client, "x", 1);
    receive(&server, 1);
    stream_move(&kept, &server.stream);
    ck_assert(!stream_is_open(&server.stream));
    ck_assert_int_eq(stream_send(&kept, "moved", 5), 5);
    receive(&client, 5);
    stream_close(&kept);
    turn_until(&client.is_over);
    ck_assert_int_eq(client.result, 1);
}
END_TEST

START_TEST(the_peers_end_is_read_as_an_end)
{
    secure_both("localhost");
    say(&client, "last", 4);
    receive(&server, 4);
    stream_shutdown_write(&client.stream);
    turn_until(&server.is_over);
    ck_assert_int_eq(server.result, 1);
    say(&server, "still heard", 11);
    receive(&client, 11);
}
END_TEST

/* Name the client asks for, and what its certificate check says ("" : accepted). */
static const struct {
    const char *name;
    const char *complaint;
} names[] = {
    {"localhost", ""},
    {"kubernetes.default.svc", ""},
    {"127.0.0.1", ""},
    {"::1", ""},
    {"other.example", "Common Name"},
    {"127.0.0.2", "Common Name"},
    {"::2", "Common Name"},
};

START_TEST(the_certificate_must_name_the_server)
{
    secure_both(names[_i].name);
    say(&client, "x", 1);
    if (names[_i].complaint[0] == '\0') {
        receive(&server, 1);
        return;
    }
    turn_until(&client.is_over);
    ck_assert_int_eq(client.result, -EPROTO);
    ck_assert_ptr_nonnull(strstr(stream_tls_error(&client.stream), names[_i].complaint));
    turn_until(&server.is_over); /* the alert arrived */
    ck_assert_int_eq(server.result, -EPROTO);
    ck_assert_uint_eq(server.received_len, 0);
}
END_TEST

START_TEST(a_stranger_is_not_trusted)
{
    start_tls(&client, context(TLS_CLIENT, "other-ca", NULL, NULL), "localhost");
    start_tls(&server, context(TLS_SERVER, NULL, "server", NULL), NULL);
    turn_until(&client.is_over);
    ck_assert_int_eq(client.result, -EPROTO);
    ck_assert_ptr_nonnull(strstr(stream_tls_error(&client.stream), "not correctly signed"));
}
END_TEST

START_TEST(a_client_certificate_is_asked_for_and_accepted)
{
    start_tls(&client, context(TLS_CLIENT, "ca", "client", NULL), "localhost");
    start_tls(&server, context(TLS_SERVER, "ca", "server", NULL), NULL);
    say(&client, "x", 1);
    receive(&server, 1);
}
END_TEST

START_TEST(a_client_without_the_certificate_asked_for_is_refused)
{
    start_tls(&client, context(TLS_CLIENT, "ca", NULL, NULL), "localhost");
    start_tls(&server, context(TLS_SERVER, "ca", "server", NULL), NULL);
    say(&client, "x", 1);
    turn_until(&server.is_over);
    ck_assert_int_eq(server.result, -EPROTO);
    ck_assert_uint_eq(server.received_len, 0);
}
END_TEST

START_TEST(no_common_protocol_ends_the_handshake)
{
    static const char *const spdy[] = {"spdy/3", NULL};

    start_tls(&client, context(TLS_CLIENT, "ca", NULL, spdy), "localhost");
    start_tls(&server, context(TLS_SERVER, NULL, "server", h2_only), NULL);
    turn_until(&client.is_over);
    ck_assert_int_eq(client.result, -EPROTO);
}
END_TEST

START_TEST(bytes_that_are_not_tls_end_the_handshake)
{
    start_tls(&server, context(TLS_SERVER, NULL, "server", NULL), NULL);
    say(&client, "GET / HTTP/1.1\r\nHost: plain\r\n\r\n", 31);
    turn_until(&server.is_over);
    ck_assert_int_eq(server.result, -EPROTO);
    ck_assert_str_ne(stream_tls_error(&server.stream), "");
}
END_TEST

START_TEST(a_socket_that_ends_during_the_handshake_is_an_error)
{
    start_tls(&client, context(TLS_CLIENT, "ca", NULL, NULL), "localhost");
    stream_close(&server.stream);
    turn_until(&client.is_over);
    ck_assert_int_lt(client.result, 0);
}
END_TEST

/* The handshake of the other side, byte by byte. */
START_TEST(a_handshake_in_single_bytes_succeeds)
{
    int fds[2];
    int relayed[2];
    uint8_t byte;

    /* Between client and server the test itself, which passes one byte a turn: each gets a new pair. */
    stream_close(&client.stream);
    stream_close(&server.stream);
    tcp_pair(fds);
    listen_to(&client, fds[0]);
    relayed[0] = fds[1];
    tcp_pair(fds);
    listen_to(&server, fds[0]);
    relayed[1] = fds[1];
    secure_both("localhost");
    say(&client, "x", 1);
    while (server.received_len == 0 && !server.is_over && !client.is_over) {
        if (recv(relayed[0], &byte, 1, MSG_DONTWAIT) == 1) {
            ck_assert_int_eq(send(relayed[1], &byte, 1, 0), 1);
        }
        if (recv(relayed[1], &byte, 1, MSG_DONTWAIT) == 1) {
            ck_assert_int_eq(send(relayed[0], &byte, 1, 0), 1);
        }
        loop_turn(loop, false);
    }
    ck_assert_uint_eq(server.received_len, 1);
    close(relayed[0]);
    close(relayed[1]);
}
END_TEST

START_TEST(contexts_say_what_is_wrong_with_their_texts)
{
    struct tls_options options = {.trust_pem = STR("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")};

    ck_assert_ptr_null(tls_context_new(TLS_CLIENT, &options, &error));
    ck_assert_ptr_nonnull(strstr(error.p, "certificate authorities"));
    text_clear(&error);
    ck_assert_ptr_null(context(TLS_CLIENT, NULL, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(error.p, "no certificate authority"));
    text_clear(&error);
    ck_assert_ptr_null(context(TLS_SERVER, NULL, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(error.p, "needs a certificate"));
}
END_TEST

START_TEST(a_key_that_does_not_belong_to_the_certificate_is_refused)
{
    char *certificate = file("server.pem");
    char *key = file("client.key.pem");
    struct tls_options options = {.certificate_pem = str_from(certificate), .key_pem = str_from(key)};

    ck_assert_ptr_null(tls_context_new(TLS_SERVER, &options, &error));
    ck_assert_ptr_nonnull(strstr(error.p, "do not belong together"));
    mem_free(certificate);
    mem_free(key);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("tls");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, bytes_pass_both_ways);
    tcase_add_test(t, both_learn_the_protocol_agreed);
    tcase_add_test(t, bulk_passes_both_ways_at_once);
    tcase_add_test(t, a_reader_that_paused_goes_on);
    tcase_add_test(t, a_session_moves_with_its_stream);
    tcase_add_test(t, the_peers_end_is_read_as_an_end);
    tcase_add_loop_test(t, the_certificate_must_name_the_server, 0, (int)(sizeof names / sizeof names[0]));
    tcase_add_test(t, a_stranger_is_not_trusted);
    tcase_add_test(t, a_client_certificate_is_asked_for_and_accepted);
    tcase_add_test(t, a_client_without_the_certificate_asked_for_is_refused);
    tcase_add_test(t, no_common_protocol_ends_the_handshake);
    tcase_add_test(t, bytes_that_are_not_tls_end_the_handshake);
    tcase_add_test(t, a_socket_that_ends_during_the_handshake_is_an_error);
    tcase_add_test(t, a_handshake_in_single_bytes_succeeds);
    tcase_add_test(t, contexts_say_what_is_wrong_with_their_texts);
    tcase_add_test(t, a_key_that_does_not_belong_to_the_certificate_is_refused);
    return run_tcase(t);
}
