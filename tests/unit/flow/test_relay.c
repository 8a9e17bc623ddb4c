/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metric.h"
#include "base/object.h"
#include "flow/relay.h"
#include "unit.h"

/*
 *     client_end ═══ near │ relay │ far ═══ server_end        (TCP on loopback: resets need it)
 */
static const struct metric_family families[] = {{.kind = METRIC_COUNTER, .name = "bytes", .help = "bytes", .labels = "flow"}};

static struct loop *loop;
static struct metrics *metrics;
static struct metric *to_server;
static struct metric *to_client;
static struct splice_pool *pipes;
static struct stream client_end;
static struct stream server_end;
static struct stream near;
static struct stream far;
static struct relay *relay;
static struct usec patience;
static int ends;
static enum close_reason ended_with;

static void tcp_pair(struct stream *a, struct stream *b)
{
    struct sockaddr_storage sa;
    struct addr any;
    socklen_t len = sizeof sa;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int one = socket(AF_INET, SOCK_STREAM, 0);
    int other;

    ck_assert(addr_parse(STR("127.0.0.1:0"), &any));
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, addr_to_sockaddr(&any, (struct sockaddr *)&sa)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    ck_assert_int_eq(connect(one, (struct sockaddr *)&sa, len), 0);
    other = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    ck_assert_int_ge(other, 0);
    close(listener);
    stream_init(a, loop, one);
    stream_init(b, loop, other);
    ck_assert_int_eq(fcntl(one, F_SETFL, O_NONBLOCK), 0);
}

static void on_end(void *ctx, enum close_reason reason)
{
    (void)ctx;
    ends++;
    ended_with = reason;
    relay_close(&relay, reason != CLOSE_DONE);
}

static void start(const char *from_client, const char *from_server)
{
    struct relay_start s = {
        .client = &near,
        .server = &far,
        .from_client = from_client,
        .from_client_len = strlen(from_client),
        .from_server = from_server,
        .from_server_len = strlen(from_server),
        .to_server_bytes = to_server,
        .to_client_bytes = to_client,
        .pipes = pipes,
        .reset_patience = patience,
    };

    relay = relay_new(&s, on_end, NULL);
}

static void setup(void)
{
    struct metric_shard *shard;

    loop = loop_new(1);
    metrics = metrics_new("t_", families, 1, 1);
    shard = metrics_shard(metrics, 0);
    to_server = metric_get(shard, 0, (const char *[]){"to_server"});
    to_client = metric_get(shard, 0, (const char *[]){"to_client"});
    pipes = splice_pool_new();
    tcp_pair(&client_end, &near);
    tcp_pair(&server_end, &far);
    ends = 0;
    patience = usec_from_s(3600); /* a test that hangs is ended by Check */
}

static void teardown(void)
{
    relay_close(&relay, false);
    stream_close(&client_end);
    stream_close(&server_end);
    loop_turn(loop, false);
    ck_assert_int_eq(object_live(OBJECT_RELAY), 0);
    splice_pool_free(pipes);
    ck_assert_int_eq(object_live(OBJECT_PIPE), 0);
    metric_put(&to_server);
    metric_put(&to_client);
    metrics_free(metrics);
    loop_free(loop);
}

/* Turns the loop until `s` has something to say; its answer as stream_recv gives it. */
static ssize_t receive(struct stream *s, void *buf, size_t size)
{
    ssize_t n = stream_recv(s, buf, size);

    while (n == -EAGAIN) {
        loop_turn(loop, false);
        n = stream_recv(s, buf, size);
    }
    return n;
}

static void expect(struct stream *s, const char *wanted)
{
    char got[256];
    size_t len = 0;

    while (len < strlen(wanted)) {
        ssize_t n = receive(s, got + len, sizeof got - len);

        ck_assert_int_gt(n, 0);
        len += (size_t)n;
    }
    ck_assert_uint_eq(len, strlen(wanted));
    ck_assert_mem_eq(got, wanted, len);
}

static void send_all(struct stream *s, const char *text)
{
    ck_assert_int_eq(stream_send(s, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(bytes_pass_both_ways_and_are_counted)
{
    start("", "");
    send_all(&client_end, "question");
    expect(&server_end, "question");
    send_all(&server_end, "an answer");
    expect(&client_end, "an answer");

    ck_assert_uint_eq(metric_value(to_server), 8);
    ck_assert_uint_eq(metric_value(to_client), 9);
}
END_TEST

START_TEST(held_bytes_go_first)
{
    start("held ", "220 ");
    send_all(&client_end, "later");
    send_all(&server_end, "ready");

    expect(&server_end, "held later");
    expect(&client_end, "220 ready");
}
END_TEST

START_TEST(a_half_close_passes_and_the_other_direction_goes_on)
{
    char byte;

    start("", "");
    send_all(&client_end, "bye");
    stream_shutdown_write(&client_end);
    expect(&server_end, "bye");
    ck_assert_int_eq(receive(&server_end, &byte, 1), 0);
    ck_assert_int_eq(ends, 0);

    send_all(&server_end, "still here");
    expect(&client_end, "still here");
}
END_TEST

START_TEST(two_half_closes_end_it)
{
    char byte;

    start("", "");
    stream_shutdown_write(&client_end);
    ck_assert_int_eq(receive(&server_end, &byte, 1), 0);
    stream_shutdown_write(&server_end);
    ck_assert_int_eq(receive(&client_end, &byte, 1), 0);
    loop_turn(loop, false);

    ck_assert_int_eq(ends, 1);
    ck_assert_int_eq(ended_with, CLOSE_DONE);
}
END_TEST

START_TEST(bulk_arrives_whole_and_in_order_through_a_slow_reader)
{
    static const size_t total = (size_t)8 * 1024 * 1024;
    static uint8_t block[65536];
    size_t sent = 0;
    size_t received = 0;
    size_t wrong = 0;

    start("", "");
    while (received < total) {
        ssize_t n;

        for (size_t i = 0; i < sizeof block; i++) {
            block[i] = (uint8_t)((sent + i) * 31 >> 3);
        }
        n = sent < total ? stream_send(&client_end, block, sizeof block) : -EAGAIN;
        sent += n > 0 ? (size_t)n : 0;
        loop_turn(loop, false);
        n = stream_recv(&server_end, block, 50000);
        for (ssize_t i = 0; i < n; i++) {
            wrong += block[i] != (uint8_t)((received + (size_t)i) * 31 >> 3);
        }
        received += n > 0 ? (size_t)n : 0;
    }

    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(metric_value(to_server), received);
}
END_TEST

/* --- resets, in every state --- */

static void turn_until_it_ends(void)
{
    while (ends == 0) {
        loop_turn(loop, true);
    }
    ck_assert_int_eq(ends, 1);
}

/* Both ways round: which end resets, and which one must learn of it. */
struct ends {
    struct stream *from;
    struct stream *to;
    struct metric **passed;
};

static const struct ends both_ways[] = {{&client_end, &server_end, &to_server}, {&server_end, &client_end, &to_client}};

START_TEST(a_reset_of_an_idle_side_passes_as_a_reset)
{
    const struct ends *e = &both_ways[_i];
    char byte;

    start("", "");
    send_all(e->from, "x");
    expect(e->to, "x");
    stream_abort(e->from);

    ck_assert_int_eq(receive(e->to, &byte, 1), -ECONNRESET);
    ck_assert_int_eq(ends, 1);
    ck_assert_int_eq(ended_with, CLOSE_PEER_RESET);
}
END_TEST

START_TEST(bytes_before_a_reset_arrive_before_it)
{
    const struct ends *e = &both_ways[_i];
    char byte;

    start("", "");
    send_all(e->from, "last words");
    stream_abort(e->from);

    expect(e->to, "last words");
    ck_assert_int_eq(receive(e->to, &byte, 1), -ECONNRESET);
}
END_TEST

START_TEST(a_reset_after_a_half_close_passes_though_nothing_is_read)
{
    const struct ends *e = &both_ways[_i];
    char byte;

    start("", "");
    send_all(e->from, "bye");
    stream_shutdown_write(e->from);
    expect(e->to, "bye");
    ck_assert_int_eq(receive(e->to, &byte, 1), 0);
    ck_assert_int_eq(ends, 0);
    stream_abort(e->from);
    turn_until_it_ends();

    ck_assert_int_eq(ended_with, CLOSE_PEER_RESET);
    ck_assert_int_eq(stream_take_error(e->to), -EPIPE); /* what a reset after a FIN is */
}
END_TEST

START_TEST(a_reset_right_behind_a_half_close_leaves_bytes_and_end_in_order)
{
    const struct ends *e = &both_ways[_i];
    char byte;

    start("", "");
    send_all(e->from, "all of it");
    stream_shutdown_write(e->from);
    stream_abort(e->from);

    expect(e->to, "all of it");
    ck_assert_int_eq(receive(e->to, &byte, 1), 0);
    while (ends == 0) {
        loop_turn(loop, true);
    }
    ck_assert_int_eq(stream_take_error(e->to), -EPIPE);
}
END_TEST

START_TEST(a_reset_of_the_side_that_was_told_the_end_passes)
{
    const struct ends *e = &both_ways[_i];
    char byte;

    start("", "");
    stream_shutdown_write(e->to);
    ck_assert_int_eq(receive(e->from, &byte, 1), 0);
    stream_abort(e->from);
    turn_until_it_ends();

    ck_assert_int_eq(receive(e->to, &byte, 1), -ECONNRESET);
}
END_TEST

/* Sends until neither the relay nor any socket takes more; returns how much. */
static size_t fill(struct stream *from)
{
    static const uint8_t block[65536];
    size_t sent = 0;
    unsigned refused = 0;

    while (refused < 10) {
        ssize_t n = stream_send(from, block, sizeof block);

        refused = n > 0 ? 0 : refused + 1;
        sent += n > 0 ? (size_t)n : 0;
        loop_turn(loop, false);
    }
    return sent;
}

START_TEST(a_reset_under_back_pressure_destroys_nothing_that_came_before_it)
{
    const struct ends *e = &both_ways[_i];
    static uint8_t block[65536];
    size_t sent;
    size_t delivered;
    size_t received = 0;
    ssize_t n;

    start("", "");
    sent = fill(e->from);
    delivered = sent - stream_unacknowledged(e->from); /* is in the relay or its sockets */
    stream_abort(e->from);
    loop_turn(loop, false);
    ck_assert_int_eq(ends, 0);
    while ((n = receive(e->to, block, sizeof block)) > 0) {
        received += (size_t)n;
    }

    ck_assert_int_eq(n, -ECONNRESET);
    ck_assert_uint_ge(received, delivered);
    ck_assert_uint_eq(metric_value(*e->passed), received);
    ck_assert_int_eq(ends, 1);
}
END_TEST

START_TEST(a_receiver_that_takes_nothing_learns_of_the_reset_all_the_same)
{
    const struct ends *e = &both_ways[_i];

    patience = usec_from_ms(20);
    start("", "");
    (void)fill(e->from);
    stream_abort(e->from);
    turn_until_it_ends();

    ck_assert_int_eq(ended_with, CLOSE_PEER_RESET);
    ck_assert_int_eq(stream_take_error(e->to), -ECONNRESET);
}
END_TEST

START_TEST(a_receiver_that_resets_under_back_pressure_ends_the_sender)
{
    const struct ends *e = &both_ways[_i];

    start("", "");
    (void)fill(e->from);
    stream_abort(e->to);
    turn_until_it_ends();

    ck_assert_int_eq(ended_with, CLOSE_PEER_RESET);
    ck_assert_int_eq(stream_take_error(e->from), -ECONNRESET);
}
END_TEST

START_TEST(a_failed_write_does_not_lose_what_the_other_side_had_sent)
{
    char byte;

    send_all(&server_end, "goodbye");
    stream_abort(&server_end);
    start("too late", "");

    expect(&client_end, "goodbye");
    ck_assert_int_eq(receive(&client_end, &byte, 1), -ECONNRESET);
    ck_assert_uint_eq(metric_value(to_server), 0);
    ck_assert_int_eq(ended_with, CLOSE_PEER_RESET);
}
END_TEST

START_TEST(a_failed_write_passes_the_end_that_had_come_before_it)
{
    char byte;

    send_all(&server_end, "goodbye");
    stream_shutdown_write(&server_end);
    stream_abort(&server_end);
    start("too late", "");

    expect(&client_end, "goodbye");
    ck_assert_int_eq(receive(&client_end, &byte, 1), 0);
    turn_until_it_ends();
    ck_assert_int_eq(stream_take_error(&client_end), -EPIPE);
}
END_TEST

START_TEST(two_resets_end_it_once)
{
    start("", "");
    (void)fill(&client_end);
    stream_abort(&client_end);
    stream_abort(&server_end);
    turn_until_it_ends();

    ck_assert_int_eq(ended_with, CLOSE_PEER_RESET);
}
END_TEST

START_TEST(bytes_for_a_slow_reader_are_not_left_behind_by_two_half_closes)
{
    static uint8_t block[65536];
    size_t sent;
    size_t received = 0;
    ssize_t n;
    char byte;

    start("", "");
    sent = fill(&client_end);
    stream_shutdown_write(&client_end);
    stream_shutdown_write(&server_end);
    ck_assert_int_eq(receive(&client_end, &byte, 1), 0);
    ck_assert_int_eq(ends, 0);
    while ((n = receive(&server_end, block, sizeof block)) > 0) {
        received += (size_t)n;
    }
    ck_assert_int_eq(n, 0);
    ck_assert_uint_eq(received, sent);
    turn_until_it_ends();
    ck_assert_int_eq(ended_with, CLOSE_DONE);
}
END_TEST

int main(void)
{
    const TTest *const once[] = {
        bytes_pass_both_ways_and_are_counted,
        held_bytes_go_first,
        a_half_close_passes_and_the_other_direction_goes_on,
        two_half_closes_end_it,
        bulk_arrives_whole_and_in_order_through_a_slow_reader,
        a_failed_write_does_not_lose_what_the_other_side_had_sent,
        a_failed_write_passes_the_end_that_had_come_before_it,
        two_resets_end_it_once,
        bytes_for_a_slow_reader_are_not_left_behind_by_two_half_closes,
    };
    const TTest *const either_way[] = {
        a_reset_of_an_idle_side_passes_as_a_reset,
        bytes_before_a_reset_arrive_before_it,
        a_reset_after_a_half_close_passes_though_nothing_is_read,
        a_reset_right_behind_a_half_close_leaves_bytes_and_end_in_order,
        a_reset_of_the_side_that_was_told_the_end_passes,
        a_reset_under_back_pressure_destroys_nothing_that_came_before_it,
        a_receiver_that_takes_nothing_learns_of_the_reset_all_the_same,
        a_receiver_that_resets_under_back_pressure_ends_the_sender,
    };
    TCase *loops = unit_case("either way", setup, teardown, NULL, 0);

    for (size_t i = 0; i < ARRAY_LEN(either_way); i++) {
        tcase_add_loop_test(loops, either_way[i], 0, ARRAY_LEN(both_ways));
    }
    return unit_run("relay", unit_case("once", setup, teardown, once, ARRAY_LEN(once)), loops, (TCase *)NULL);
}
