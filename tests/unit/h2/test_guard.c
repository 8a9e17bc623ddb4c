/* SPDX-License-Identifier: Apache-2.0 */

/* What a session does not put up with, told by raw frames; the whole proxy is attacked in tests/protocol/test_attacks_*.py. */

#include <unistd.h>

#include "base/container.h"
#include "h2/guard.h"
#include "rawpeer.h"

static struct heard a;

static void setup(void)
{
    fixture_setup();
    memset(&peer, 0, sizeof peer);
    a = (struct heard){0};
}

static void teardown(void)
{
    heard_clear(&a);
    fixture_teardown();
    close(peer.fd);
}

#define assert_ended(end, with_code, with_reason)                                             \
    do {                                                                                      \
        struct raw_frame farewell = raw_expect(&peer, RAW_GOAWAY);                            \
                                                                                              \
        ck_assert_uint_eq(raw_u32(farewell.payload + 4), (with_code));                        \
        shutdown(peer.fd, SHUT_RDWR);                                                         \
        settle();                                                                             \
        ck_assert((end)->is_closed);                                                          \
        ck_assert_str_eq(close_reason_label((end)->reason), close_reason_label(with_reason)); \
    } while (0)

/* --- floods --- */

struct flood_sample {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    size_t len;
    unsigned allowed; /* of a peer that does nothing else */
    enum close_reason reason;
};

/* One stream is open on 1. */
static const struct flood_sample samples[] = {
    {RAW_SETTINGS, 0, 0, 6, 999, CLOSE_SETTINGS_FLOOD}, /* its first SETTINGS count */
    {RAW_PING, 0, 0, 8, 1000, CLOSE_PING_FLOOD},
    {RAW_PING, RAW_ACK, 0, 8, 1000, CLOSE_PING_FLOOD},
    {RAW_PRIORITY, 0, 1, 5, 1000, CLOSE_PRIORITY_FLOOD},
    {0x10, 0, 0, 4, 1000, CLOSE_PRIORITY_FLOOD},
    {RAW_DATA, 0, 1, 0, 1000, CLOSE_EMPTY_DATA_FLOOD},
    {RAW_DATA, 0x8, 1, 1, 1000, CLOSE_EMPTY_DATA_FLOOD},   /* the pad length, no padding */
    {RAW_DATA, 0x8, 1, 256, 1000, CLOSE_EMPTY_DATA_FLOOD}, /* nothing but padding */
    {RAW_WINDOW, 0, 0, 4, 10000, CLOSE_WINDOW_UPDATE_FLOOD},
    {RAW_RST, 0, 1, 4, 500, CLOSE_RESET_FLOOD}, /* options.reset_rate */
    {0xfa, 0, 0, 3, 1000, CLOSE_FRAME_FLOOD},
};

static void flood(const struct flood_sample *s, unsigned count)
{
    uint8_t payload[256] = {0};

    if (s->type == RAW_SETTINGS) {
        payload[1] = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS;
    } else if (s->type == RAW_WINDOW) {
        payload[3] = 1;
    } else if (s->type == RAW_DATA && s->len > 0) {
        payload[0] = (uint8_t)(s->len - 1);
    }
    for (unsigned i = 0; i < count; i++) {
        raw_frame(&peer, (enum raw_type)s->type, s->flags, s->stream, payload, s->len);
        if (i % 50 == 49) {
            settle();
        }
    }
    settle();
}

START_TEST(a_flood_is_refused_at_the_frame_that_is_one_too_many)
{
    const struct flood_sample *s = &samples[_i];

    options.reset_rate = 500;
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    flood(s, s->allowed);
    ck_assert_msg(!server.is_closed && server.session != NULL, "what is allowed is allowed");
    flood(s, 60); /* time gives a token for every 10 ms that the machine took */
    raw_receive(&peer);
    for (int i = 0; i < 1000 && !peer.has_ended; i++) {
        flood(s, 60);
        raw_receive(&peer);
    }
    assert_ended(&server, H2_ENHANCE_YOUR_CALM, s->reason);
}
END_TEST

START_TEST(a_server_that_floods_is_refused_as_well)
{
    const struct flood_sample pings = {RAW_PING, 0, 0, 8, 1000, CLOSE_PING_FLOOD};

    call_raw();
    request(&a, false);
    settle();
    for (int i = 0; i < 100 && !client.is_closed; i++) {
        flood(&pings, 50);
    }
    ck_assert(client.is_closed);
    ck_assert_int_eq(client.reason, CLOSE_PING_FLOOD);
    assert_closed(&a, H2_INTERNAL_ERROR, CLOSE_PING_FLOOD);
}
END_TEST

START_TEST(pings_that_come_with_data_are_ordinary)
{
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    for (int i = 0; i < 5000; i++) {
        raw_frame(&peer, RAW_DATA, 0, 1, "x", 1);
        raw_frame(&peer, RAW_PING, 0, 0, "12345678", 8);
        if (i % 50 == 49) {
            settle();
            raw_receive(&peer);
            peer.at = peer.end = 0;
        }
    }
    settle();
    ck_assert(!server.is_closed);
    ck_assert_uint_eq(served(0)->received, 5000);
}
END_TEST

/* --- frames on streams where the peer has finished --- */

START_TEST(data_after_the_end_of_a_closed_stream_ends_the_session)
{
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, true, &out);
    settle();
    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), true);
    settle();
    ck_assert(served(0)->is_closed);
    raw_frame(&peer, RAW_DATA, 0, 1, "x", 1);
    settle();
    assert_ended(&server, NGHTTP2_STREAM_CLOSED, CLOSE_PROTOCOL_ERROR);
}
END_TEST

START_TEST(data_for_a_stream_that_we_have_reset_is_no_mistake)
{
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    settle();
    h2_stream_reset(served(0)->stream, H2_CANCEL);
    settle();
    raw_frame(&peer, RAW_DATA, 0, 1, "x", 1);
    raw_frame(&peer, RAW_DATA, RAW_END_STREAM, 1, "x", 1);
    settle();
    ck_assert(!server.is_closed && server.session != NULL);
    raw_headers(&peer, 3, true, &out);
    settle();
    ck_assert_uint_eq(server.requests, 2);
}
END_TEST

/* As gRPC's C core does it when a deadline passes (the stream has ended) or a cancellation crosses its answer (we have reset it). */
START_TEST(a_server_may_say_farewell_twice)
{
    const uint8_t no_error[4] = {0};
    struct heard b = {0};
    bool is_cancelled = _i == 1;

    call_raw();
    request(&a, true);
    settle();
    if (is_cancelled) {
        h2_stream_reset(a.stream, H2_CANCEL);
        settle();
    }
    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_headers(&peer, 1, true, &out);
    raw_frame(&peer, RAW_RST, 0, 1, no_error, sizeof no_error);
    raw_headers(&peer, 1, true, &out);
    raw_frame(&peer, RAW_DATA, RAW_END_STREAM, 1, "late", 4);
    settle();
    ck_assert(!client.is_closed);
    ck_assert(a.is_closed);
    assert_closed(&a, is_cancelled ? H2_CANCEL : H2_NO_ERROR, CLOSE_DONE);
    request(&b, true);
    settle();
    raw_headers(&peer, 3, true, &out);
    settle();
    ck_assert_str_eq(value_of(b.response, ":status"), "200");
    heard_clear(&b);
}
END_TEST

START_TEST(headers_on_an_id_passed_over_end_the_session)
{
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 5, true, &out);
    raw_headers(&peer, 3, true, &out);
    settle();
    ck_assert_uint_eq(server.requests, 1);
    assert_ended(&server, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
}
END_TEST

START_TEST(what_came_before_a_refused_frame_in_the_same_bytes_is_served)
{
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, true, &out);
    raw_rst(&peer, 1, H2_CANCEL);
    raw_headers(&peer, 3, true, &out);
    raw_frame(&peer, RAW_DATA, 0, 1, "x", 1);
    raw_headers(&peer, 5, true, &out);
    settle();
    ck_assert_uint_eq(server.requests, 2);
    assert_ended(&server, NGHTTP2_STREAM_CLOSED, CLOSE_PROTOCOL_ERROR);
}
END_TEST

START_TEST(heads_may_come_byte_by_byte)
{
    static const uint8_t self[] = {0, 0, 5, RAW_PRIORITY, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0};
    static const uint8_t other[] = {0, 0, 5, RAW_PRIORITY, 0, 0, 0, 0, 3, 0x80, 0, 0, 1, 0};

    serve_raw();
    for (size_t i = 0; i < sizeof other; i++) {
        raw_send(&peer, other + i, 1);
        settle();
    }
    ck_assert(!server.is_closed && server.session != NULL);
    for (size_t i = 0; i < sizeof self && !peer.has_ended; i++) {
        raw_send(&peer, self + i, 1);
        settle();
    }
    assert_ended(&server, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
}
END_TEST

START_TEST(a_push_is_refused)
{
    call_raw();
    request(&a, true);
    settle();
    raw_frame(&peer, RAW_PUSH, RAW_END_HEADERS, 1, "\0\0\0\2\x82", 5);
    settle();
    ck_assert(client.is_closed);
    ck_assert_uint_eq(raw_u32(raw_expect(&peer, RAW_GOAWAY).payload + 4), H2_PROTOCOL_ERROR);
    assert_closed(&a, H2_INTERNAL_ERROR, CLOSE_PROTOCOL_ERROR);
}
END_TEST

/* --- header blocks --- */

START_TEST(continuations_without_end_are_refused)
{
    serve_raw();
    raw_frame(&peer, RAW_HEADERS, 0, 1, "\x82", 1);
    for (int i = 0; i < H2_BLOCK_FRAMES_MAX - 1; i++) {
        raw_frame(&peer, RAW_CONT, 0, 1, NULL, 0);
    }
    settle();
    ck_assert(!server.is_closed && server.session != NULL);
    raw_frame(&peer, RAW_CONT, 0, 1, NULL, 0);
    settle();
    assert_ended(&server, H2_ENHANCE_YOUR_CALM, CLOSE_CONTINUATION_FLOOD);
}
END_TEST

START_TEST(a_block_of_many_continuations_passes_byte_by_byte)
{
    serve_raw();
    raw_request(&out);
    raw_frame(&peer, RAW_HEADERS, RAW_END_STREAM, 1, out.bytes, 1);
    for (size_t i = 1; i < out.len; i++) {
        uint8_t bytes[10] = {0, 0, 1, RAW_CONT, i + 1 == out.len ? RAW_END_HEADERS : 0, 0, 0, 0, 1, out.bytes[i]};

        for (size_t j = 0; j < sizeof bytes; j++) {
            raw_send(&peer, bytes + j, 1);
            settle();
        }
    }
    ck_assert_uint_eq(server.requests, 1);
}
END_TEST

START_TEST(a_block_too_large_on_the_wire_is_refused)
{
    static const uint8_t piece[16384] = {0};

    options.max_header_list_bytes = 16384;
    serve_raw();
    /* One field whose name never ends: nothing is decoded, nothing is counted but bytes. */
    raw_frame(&peer, RAW_HEADERS, 0, 1, "\x00\x7f\x80\x80\x80\x01", 6);
    for (int i = 0; i < 6; i++) {
        raw_frame(&peer, RAW_CONT, 0, 1, piece, sizeof piece);
        settle();
    }
    ck_assert(server.is_closed || raw_find(&peer, RAW_GOAWAY, &(struct raw_frame){0}));
    ck_assert(server.session == NULL || server.requests == 0);
}
END_TEST

/* One field of 4,000 bytes enters the table; each byte after that is the field again. */
START_TEST(a_block_far_beyond_the_limit_when_decoded_ends_the_session)
{
    char value[4001] = {0};

    memset(value, 'x', sizeof value - 1);
    options.max_header_list_bytes = 16384;
    serve_raw();
    raw_request(&out);
    raw_field_kind(&out, 0x40, "x", value);
    memset(out.bytes + out.len, 0x80 | 62, 200);
    out.len += 200;
    raw_headers(&peer, 1, true, &out);
    settle();
    ck_assert_uint_eq(server.requests, 0);
    assert_ended(&server, H2_ENHANCE_YOUR_CALM, CLOSE_HEADER_LIMIT);
}
END_TEST

START_TEST(a_hundred_informational_responses_pass_and_one_more_resets_the_stream)
{
    struct raw_block info = {.len = 0};

    raw_field(&info, ":status", "103");
    call_raw();
    request(&a, true);
    settle();
    for (int i = 0; i < 100; i++) {
        raw_headers(&peer, 1, false, &info);
    }
    settle();
    ck_assert_uint_eq(a.informational, 100);
    raw_headers(&peer, 1, false, &info);
    settle();
    assert_closed(&a, H2_ENHANCE_YOUR_CALM, CLOSE_INFORMATIONAL_FLOOD);
    ck_assert(!client.is_closed);
}
END_TEST

/* --- refusals --- */

START_TEST(a_request_for_two_hosts_is_answered_400_and_counted)
{
    serve_raw();
    raw_request(&out);
    raw_field(&out, "host", "b");
    raw_headers(&peer, 1, true, &out);
    settle();
    ck_assert_uint_eq(server.requests, 0);
    ck_assert_uint_eq(raw_expect(&peer, RAW_HEADERS).flags, RAW_END_HEADERS | RAW_END_STREAM);
    ck_assert_uint_eq(server.refusals, 1);
    ck_assert_int_eq(server.refusal, CLOSE_BAD_REQUEST);
}
END_TEST

START_TEST(provoked_resets_are_counted_and_end_the_session)
{
    unsigned i = 0;

    serve_raw();
    out.len = 0;
    raw_field(&out, ":method", "GET"); /* no path: a reset of ours */
    for (; i < 2000 && !peer.has_ended; i++) {
        raw_headers(&peer, 1 + 2 * i, true, &out);
        if (i % 50 == 49) {
            settle();
            raw_receive(&peer);
        }
    }
    ck_assert_uint_ge(i, 1000);
    ck_assert_uint_ge(server.refusals, 1000);
    assert_ended(&server, H2_ENHANCE_YOUR_CALM, CLOSE_PROVOKED_RESETS);
}
END_TEST

START_TEST(resets_that_the_server_orders_are_not_the_peers_doing)
{
    serve_raw();
    raw_request(&out);
    for (unsigned i = 0; i < 2000; i++) {
        raw_headers(&peer, 1 + 2 * i, false, &out);
        settle();
        h2_stream_reset(server.heard[0].stream, H2_PROTOCOL_ERROR);
        settle();
        heard_clear(&server.heard[0]);
        server.heard[0] = (struct heard){0};
        server.requests = 0;
        peer.at = peer.end = 0;
        raw_receive(&peer);
    }
    ck_assert(!server.is_closed);
    ck_assert_uint_eq(server.refusals, 0);
}
END_TEST

/* --- stalls --- */

START_TEST(a_stream_nobody_reads_is_reset_others_live)
{
    options.stall_timeout = usec_from_ms(200);
    serve_raw();
    raw_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10);
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    raw_headers(&peer, 3, false, &out);
    settle();
    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), false);
    send_filler(served(0)->stream, 20);
    turn_until(&served(0)->is_closed);

    assert_closed(served(0), H2_ENHANCE_YOUR_CALM, CLOSE_STALLED);
    ck_assert_uint_eq(served(0)->sent, 10);
    ck_assert_uint_eq(server.refusals, 1);
    ck_assert_msg(!served(1)->is_closed && !server.is_closed, "it waits for nothing of ours");
}
END_TEST

START_TEST(a_connection_nobody_reads_is_closed)
{
    int size = 4096;

    options.stall_timeout = usec_from_ms(200);
    serve_raw();
    setsockopt(stream_fd(h2_session_stream(server.session)), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    raw_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    raw_frame(&peer, RAW_WINDOW, 0, 0, "\0\x10\0\0", 4);
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    settle();
    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), false);
    send_filler(served(0)->stream, 1 << 20);
    turn_until(&server.is_closed);

    ck_assert_int_eq(server.reason, CLOSE_STALLED);
    assert_closed(served(0), H2_CANCEL, CLOSE_STALLED);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_server_that_floods_is_refused_as_well,
                                  pings_that_come_with_data_are_ordinary,
                                  data_after_the_end_of_a_closed_stream_ends_the_session,
                                  data_for_a_stream_that_we_have_reset_is_no_mistake,
                                  headers_on_an_id_passed_over_end_the_session,
                                  what_came_before_a_refused_frame_in_the_same_bytes_is_served,
                                  heads_may_come_byte_by_byte,
                                  a_push_is_refused,
                                  continuations_without_end_are_refused,
                                  a_block_of_many_continuations_passes_byte_by_byte,
                                  a_block_too_large_on_the_wire_is_refused,
                                  a_block_far_beyond_the_limit_when_decoded_ends_the_session,
                                  a_hundred_informational_responses_pass_and_one_more_resets_the_stream,
                                  a_request_for_two_hosts_is_answered_400_and_counted,
                                  provoked_resets_are_counted_and_end_the_session,
                                  resets_that_the_server_orders_are_not_the_peers_doing,
                                  a_stream_nobody_reads_is_reset_others_live,
                                  a_connection_nobody_reads_is_closed};
    TCase *floods = tcase_create("floods");
    TCase *farewells = tcase_create("farewells");

    tcase_add_checked_fixture(floods, setup, teardown);
    tcase_add_loop_test(floods, a_flood_is_refused_at_the_frame_that_is_one_too_many, 0, (int)ARRAY_LEN(samples));
    tcase_add_checked_fixture(farewells, setup, teardown);
    tcase_add_loop_test(farewells, a_server_may_say_farewell_twice, 0, 2);
    return unit_run("guard", floods, farewells, unit_case("guard", setup, teardown, tests, ARRAY_LEN(tests)), NULL);
}
