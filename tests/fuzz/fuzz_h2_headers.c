/* SPDX-License-Identifier: Apache-2.0 */

/* Frames from a client nobody trusts: our server sends each block and body back, so what it lets in must be fit to be sent on. */

#include <sys/socket.h>
#include <unistd.h>

#include "base/object.h"
#include "h2/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    h2_stream_send_data(s, data, len);
    h2_stream_consume(s, len);
}

static void on_closed(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    (void)s, (void)error, (void)reason, (void)is_unprocessed;
}

static void on_request(struct h2_session *session, struct h2_stream *s, struct h2_headers *headers, bool is_end)
{
    static const struct h2_stream_ops ops = {h2_stream_send_headers, on_data, h2_stream_send_end, NULL, on_closed};

    (void)session;
    s->ops = &ops;
    h2_stream_send_headers(s, H2_RESPONSE, headers, is_end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h2_options options = {
        .max_concurrent_streams = 100,
        .stream_window_bytes = 65535,
        .connection_window_bytes = 1 << 20,
        .max_header_list_bytes = 8192,
        .out_buffer_bytes = 32768,
    };
    static const struct h2_session_ops ops = {.on_request = on_request};
    struct loop *loop = loop_new(1);
    struct stream stream;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0) {
        stream_init(&stream, loop, fds[0]);
        h2_session_preface(h2_session_new(H2_SERVER, &stream, &options, &ops, NULL), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
        (void)!send(fds[1], data, size, MSG_NOSIGNAL);
        loop_turn(loop, false);
        loop_turn(loop, false);
        for (close(fds[1]); object_live(OBJECT_H2_SESSION) > 0;) {
            loop_turn(loop, false);
        }
    }
    loop_free(loop);
    return 0;
}
