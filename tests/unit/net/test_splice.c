/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/object.h"
#include "fixture.h"
#include "net/splice.h"

static struct splice_pool *pool;
static struct stream source; /* what the relay reads from… */
static struct stream sink;   /* …and writes to */
static int sender;           /* their other ends */
static int receiver;

static void setup(void)
{
    int in[2];
    int out[2];

    loop_setup();
    pool = splice_pool_new();
    tcp_pair(in);
    tcp_pair(out);
    sender = in[0];
    receiver = out[1];
    stream_init(&source, loop, in[1]);
    stream_init(&sink, loop, out[0]);
}

static void teardown(void)
{
    stream_close(&source);
    stream_close(&sink);
    close(sender);
    close(receiver);
    splice_pool_free(pool);
    loop_teardown();
}

/* Loopback delivers within the send: what was sent can be read. */
static void send_pattern(size_t len)
{
    uint8_t *buf = loop_read_buffer(loop);

    ck_assert_uint_le(len, LOOP_READ_BUFFER_SIZE);
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)(i * 7);
    }
    ck_assert_int_eq(write(sender, buf, len), (ssize_t)len);
}

START_TEST(bytes_pass_unchanged_and_are_counted)
{
    struct splice_pipe *pipe = splice_pipe_get(pool);
    uint8_t got[10000];

    send_pattern(sizeof got);
    ck_assert_int_eq(splice_in(pipe, &source), sizeof got);
    ck_assert_uint_eq(splice_pending(pipe), sizeof got);
    ck_assert_int_eq(splice_in(pipe, &source), -EAGAIN);
    ck_assert_int_eq(splice_out(pipe, &sink), sizeof got);
    ck_assert_uint_eq(splice_pending(pipe), 0);

    ck_assert_uint_eq(read_fully(receiver, got, sizeof got), sizeof got);
    for (size_t i = 0; i < sizeof got; i++) {
        ck_assert_uint_eq(got[i], (uint8_t)(i * 7));
    }
    splice_pipe_put(pool, &pipe);
    ck_assert_ptr_null(pipe);
}
END_TEST

START_TEST(end_of_the_source_is_zero)
{
    struct splice_pipe *pipe = splice_pipe_get(pool);

    close(sender);
    sender = dup(receiver);
    ck_assert_int_eq(splice_in(pipe, &source), 0);
    splice_pipe_put(pool, &pipe);
}
END_TEST

/* So that the sink takes less than a pipe holds. */
static void make_sink_small(void)
{
    int size = 16384;

    ck_assert_int_eq(setsockopt(stream_fd(&sink), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    ck_assert_int_eq(setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

START_TEST(full_pipe_and_full_socket_say_so_and_lose_nothing)
{
    struct splice_pipe *pipe = splice_pipe_get(pool);
    size_t taken = 0;
    size_t given = 0;
    size_t got = 0;
    ssize_t n = 0;
    bool is_partial = false;

    make_sink_small();
    /* Fill the sink's socket, then the pipe. */
    do {
        send_pattern(4096);
        n = splice_in(pipe, &source);
        ck_assert_int_gt(n, 0);
        taken += (size_t)n;
        n = splice_out(pipe, &sink);
        given += n > 0 ? (size_t)n : 0;
    } while (n > 0 && splice_pending(pipe) == 0);
    /* The kernel may pass on to the receiver a moment later what makes room again: until both are full at once. */
    do {
        do {
            send_pattern(4096);
            n = splice_in(pipe, &source);
            taken += n > 0 ? (size_t)n : 0;
        } while (n > 0);
        ck_assert_int_eq(n, -EAGAIN);
        n = splice_out(pipe, &sink);
        given += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    ck_assert_int_eq(n, -EAGAIN);
    ck_assert_uint_eq(splice_pending(pipe), taken - given);

    while (got < taken) {
        uint8_t *buf = loop_read_buffer(loop);

        got += read_fully(receiver, buf, given - got < LOOP_READ_BUFFER_SIZE ? given - got : LOOP_READ_BUFFER_SIZE);
        if (splice_pending(pipe) > 0 && (n = splice_out(pipe, &sink)) > 0) {
            given += (size_t)n;
            is_partial = is_partial || splice_pending(pipe) > 0;
        }
    }
    ck_assert(is_partial);
    ck_assert_uint_eq(got, taken);
    ck_assert_uint_eq(splice_pending(pipe), 0);
    splice_pipe_put(pool, &pipe);
}
END_TEST

START_TEST(errors_of_both_sides_are_forwarded)
{
    struct splice_pipe *pipe = splice_pipe_get(pool);
    int fds[2];
    struct stream reset;

    send_pattern(1);
    ck_assert_int_eq(splice_in(pipe, &source), 1);
    stream_close(&sink);
    ck_assert_int_eq(splice_out(pipe, &sink), -EBADF);
    tcp_pair(fds);
    stream_init(&sink, loop, fds[0]);
    stream_shutdown_write(&sink);
    ck_assert_int_eq(splice_out(pipe, &sink), -EPIPE); /* and no SIGPIPE */
    ck_assert_uint_eq(splice_pending(pipe), 1);
    splice_pipe_put(pool, &pipe);

    pipe = splice_pipe_get(pool);
    stream_init(&reset, loop, fds[1]);
    stream_abort(&reset);
    ck_assert_int_eq(splice_in(pipe, &sink), -ECONNRESET);
    splice_pipe_put(pool, &pipe);
}
END_TEST

START_TEST(emptied_pipe_is_used_again_and_one_with_bytes_is_not)
{
    struct splice_pipe *first = splice_pipe_get(pool);
    struct splice_pipe *remembered = first;

    splice_pipe_put(pool, &first);
    struct splice_pipe *second = splice_pipe_get(pool);

    ck_assert_ptr_eq(second, remembered);
    send_pattern(100);
    ck_assert_int_eq(splice_in(second, &source), 100);
    splice_pipe_put(pool, &second);

    struct splice_pipe *third = splice_pipe_get(pool);

    ck_assert_uint_eq(splice_pending(third), 0);
    ck_assert_int_eq(splice_in(third, &source), -EAGAIN);
    splice_pipe_put(pool, &third);
    splice_pipe_put(pool, &third);
}
END_TEST

START_TEST(pool_has_an_end_and_counts_what_is_out)
{
    struct splice_pipe *pipes[SPLICE_POOL_MAX];

    for (size_t i = 0; i < SPLICE_POOL_MAX; i++) {
        pipes[i] = splice_pipe_get(pool);
        ck_assert_ptr_nonnull(pipes[i]);
    }
    ck_assert_int_eq(object_live(OBJECT_PIPE), SPLICE_POOL_MAX);
    ck_assert_ptr_null(splice_pipe_get(pool));

    splice_pipe_put(pool, &pipes[0]);
    pipes[0] = splice_pipe_get(pool);
    ck_assert_ptr_nonnull(pipes[0]);
    for (size_t i = 0; i < SPLICE_POOL_MAX; i++) {
        splice_pipe_put(pool, &pipes[i]);
    }
    ck_assert_int_eq(object_live(OBJECT_PIPE), 0);
}
END_TEST

START_TEST(no_descriptors_means_no_pipe)
{
    descriptors_forbid();
    struct splice_pipe *pipe = splice_pipe_get(pool);
    descriptors_allow();

    ck_assert_ptr_null(pipe);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("splice");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, bytes_pass_unchanged_and_are_counted);
    tcase_add_test(tcase, end_of_the_source_is_zero);
    tcase_add_test(tcase, full_pipe_and_full_socket_say_so_and_lose_nothing);
    tcase_add_test(tcase, errors_of_both_sides_are_forwarded);
    tcase_add_test(tcase, emptied_pipe_is_used_again_and_one_with_bytes_is_not);
    tcase_add_test(tcase, pool_has_an_end_and_counts_what_is_out);
    tcase_add_test(tcase, no_descriptors_means_no_pipe);
    return run_tcase(tcase);
}
