/* SPDX-License-Identifier: Apache-2.0 */

/*
 * gRPC's message framing and status texts. The bytes reach a server's call in pieces of any size; what it delivers must be what a
 * straight reading of the whole finds, whatever the cuts. Input: the size of the pieces (0: one piece), then the stream of bytes.
 */

#include "session_pair.h"

#define MESSAGE_MAX 3000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t delivered; /* a hash of lengths and bytes */
static unsigned delivered_count;

static uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t len)
{
    hash = (hash ^ len) * 0x100000001b3;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    }
    return hash;
}

static void on_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    (void)c;
    assert(len <= MESSAGE_MAX);
    delivered = mix(delivered, bytes, len);
    delivered_count++;
}

static void on_call_closed(struct grpc_call *c, enum grpc_status status, struct str message)
{
    (void)c, (void)status, (void)message;
}

static void on_request(struct h2_session *session, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    static const struct grpc_call_ops ops = {.on_message = on_message, .on_closed = on_call_closed};

    (void)session;
    grpc_call_accept(stream, headers, is_end, MESSAGE_MAX, &ops, NULL);
}

static void on_headers(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    (void)s, (void)block, (void)is_end;
    h2_headers_free(&headers);
}

static void on_stream_closed(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    (void)error, (void)reason, (void)is_unprocessed;
    *(struct h2_stream **)s->ctx = NULL;
}

static void on_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    (void)data;
    h2_stream_consume(s, len);
}

static const struct h2_stream_ops stream_ops = {.on_headers = on_headers, .on_data = on_data, .on_closed = on_stream_closed};

static void send_pieces(const uint8_t *data, size_t size, size_t piece)
{
    static const struct h2_session_ops server_ops = {.on_request = on_request, .on_closed = pair_on_closed};
    struct session_pair pair;
    struct h2_stream *stream = NULL;

    pair_open(&pair, &server_ops);
    pair_turn(&pair, 2);
    struct h2_headers *headers = h2_headers_new(loop_slab(pair.loop));

    h2_headers_add_literal(headers, STR(":method"), STR("POST"));
    h2_headers_add_literal(headers, STR(":scheme"), STR("http"));
    h2_headers_add_literal(headers, STR(":path"), STR("/a/b"));
    h2_headers_add_literal(headers, STR(":authority"), STR("a"));
    h2_headers_add_literal(headers, STR("content-type"), STR("application/grpc"));
    int r = h2_session_request(pair.client, headers, false, &stream_ops, &stream, &stream);

    assert(r == 0);
    while (size > 0 && stream != NULL) {
        size_t len = piece > 0 && piece < size ? piece : size;

        h2_stream_send_data(stream, data, len);
        pair_turn(&pair, 2);
        data += len;
        size -= len;
    }
    pair_turn(&pair, 4);
    pair_close(&pair);
}

static void check_status_text(struct str s)
{
    struct text encoded;
    struct text decoded;

    text_init(&encoded, 3 * s.len + 1);
    text_init(&decoded, s.len + 1);
    grpc_encode_message(s, &encoded);
    grpc_decode_message((struct str){encoded.p, encoded.len}, &decoded);
    assert(str_eq((struct str){decoded.p, decoded.len}, s));
    text_clear(&decoded);
    grpc_decode_message(s, &decoded);
    assert(decoded.len <= s.len);
    text_deinit(&decoded);
    text_deinit(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t expected = 0;
    unsigned expected_count = 0;
    size_t at = 1;

    if (size == 0) {
        return 0;
    }
    while (size - at >= 5 && data[at] == 0) {
        size_t len = (size_t)data[at + 1] << 24 | (size_t)data[at + 2] << 16 | (size_t)data[at + 3] << 8 | data[at + 4];

        if (len > MESSAGE_MAX || len > size - at - 5) {
            break;
        }
        expected = mix(expected, data + at + 5, len);
        expected_count++;
        at += 5 + len;
    }
    delivered = 0;
    delivered_count = 0;
    send_pieces(data + 1, size - 1, data[0]);
    assert(delivered_count == expected_count && delivered == expected);
    check_status_text((struct str){(const char *)data, size});
    return 0;
}
