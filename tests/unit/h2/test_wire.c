/* SPDX-License-Identifier: Apache-2.0 */

/* A session against a peer that sends frames by hand: what goes over the wire, and what a peer may do that ours would not. */

#include <nghttp2/nghttp2.h>
#include <unistd.h>

#include "base/object.h"
#include "fixture.h"
#include "rawframes.h"

static struct raw peer;
static struct raw_block out;
static struct heard a;
static struct heard b;

static void setup(void)
{
    fixture_setup();
    memset(&peer, 0, sizeof peer);
    a = (struct heard){0};
    b = (struct heard){0};
}

static void teardown(void)
{
    heard_clear(&a);
    heard_clear(&b);
    fixture_teardown();
    close(peer.fd);
}

/* Our server, the peer a raw client that has sent preface and SETTINGS. */
static void serve_raw(void)
{
    int fds[2];

    socket_pair(fds);
    end_start(&server, H2_SERVER, fds[0], NULL, 0);
    peer.fd = fds[1];
    raw_send(&peer, RAW_PREFACE, RAW_PREFACE_LEN);
    raw_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535);
    settle();
    raw_frame(&peer, RAW_SETTINGS, RAW_ACK, 0, NULL, 0);
    settle();
}

/* Our client, the peer a raw server that has sent SETTINGS. */
static void call_raw(void)
{
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    peer.fd = fds[1];
    peer.is_server = true;
    raw_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 50);
    settle();
}

static uint32_t setting(const struct raw_frame *f, uint16_t id)
{
    for (uint32_t at = 0; at + 6 <= f->len; at += 6) {
        if ((f->payload[at] << 8 | f->payload[at + 1]) == id) {
            return raw_u32(f->payload + at + 2);
        }
    }
    return UINT32_MAX;
}

/* --- the start --- */

START_TEST(a_server_announces_its_options_first)
{
    struct raw_frame f = {0};

    options.max_concurrent_streams = 10000;
    options.stream_window_bytes = 200000;
    options.max_header_list_bytes = 12345;
    serve_raw();

    ck_assert(raw_next(&peer, &f));
    ck_assert_uint_eq(f.type, RAW_SETTINGS);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 10000);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE), 200000);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE), 12345);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES), 1);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL), 1);
    f = raw_expect(&peer, RAW_WINDOW);
    ck_assert_uint_eq(f.stream, 0);
    ck_assert_uint_eq(raw_u32(f.payload), (1 << 20) - 65535);
}
END_TEST

START_TEST(a_client_starts_with_preface_and_settings_without_push)
{
    struct raw_frame f = {0};

    call_raw();

    ck_assert(raw_next(&peer, &f)); /* the preface was checked */
    ck_assert_uint_eq(f.type, RAW_SETTINGS);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_ENABLE_PUSH), 0);
    ck_assert_uint_eq(h2_session_peer_max_streams(client.session), 50);
}
END_TEST

START_TEST(bytes_read_before_the_session_come_first)
{
    int fds[2];

    socket_pair(fds);
    peer.fd = fds[1];
    raw_send(&peer, &RAW_PREFACE[10], RAW_PREFACE_LEN - 10);
    raw_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535);
    raw_request(&out);
    raw_headers(&peer, 1, true, &out);
    end_start(&server, H2_SERVER, fds[0], RAW_PREFACE, 10);
    settle();

    ck_assert_uint_eq(server.requests, 1);
}
END_TEST

START_TEST(a_request_may_come_one_byte_at_a_time)
{
    struct raw recorder = {0};
    int fds[2];

    serve_raw();
    socket_pair(fds);
    recorder.fd = fds[0];
    raw_request(&out);
    raw_headers(&recorder, 1, false, &out);
    raw_frame(&recorder, RAW_DATA, RAW_END_STREAM, 1, "abc", 3);
    for (uint8_t byte; recv(fds[1], &byte, 1, MSG_DONTWAIT) == 1;) {
        raw_send(&peer, &byte, 1);
        loop_turn(loop, false);
    }
    close(fds[0]);
    close(fds[1]);

    ck_assert_uint_eq(served(0)->received, 3);
    ck_assert(served(0)->is_ended);
}
END_TEST

START_TEST(what_is_not_http2_ends_the_session)
{
    int fds[2];

    socket_pair(fds);
    peer.fd = fds[1];
    end_start(&server, H2_SERVER, fds[0], "GET / HTTP/1.1\r\n\r\nxxxxxxxx", 26);
    settle();
    shutdown(peer.fd, SHUT_WR);
    settle();

    ck_assert(server.is_closed);
    ck_assert_int_eq(server.reason, CLOSE_PROTOCOL_ERROR);
}
END_TEST

START_TEST(a_frame_error_is_told_before_the_end)
{
    serve_raw();
    raw_frame(&peer, RAW_DATA, 0, 0, "x", 1); /* DATA on stream 0: RFC 9113 §6.1 */
    settle();

    struct raw_frame f = raw_expect(&peer, RAW_GOAWAY);

    ck_assert_uint_eq(raw_u32(f.payload + 4), NGHTTP2_PROTOCOL_ERROR);
    raw_receive(&peer);
    ck_assert(peer.has_ended);
    ck_assert(!server.is_closed); /* lingers: an RST could destroy the GOAWAY */
    shutdown(peer.fd, SHUT_WR);
    settle();
    ck_assert(server.is_closed);
    ck_assert_int_eq(server.reason, CLOSE_PROTOCOL_ERROR);
}
END_TEST

/* --- header blocks --- */

/* The stream that a request opened is reset, and no handler saw it. */
static void assert_reset_unseen(uint32_t error)
{
    struct raw_frame f = raw_expect(&peer, RAW_RST);

    ck_assert_uint_eq(raw_u32(f.payload), error);
    ck_assert_uint_eq(server.requests, 0);
    ck_assert_int_eq(object_live(OBJECT_H2_STREAM), 0);
    ck_assert(!server.is_closed);
}

static const char *const bad_fields[][2] = {
    {"x", "a\rb"},   {"x", "a\nb"}, {"X-Upper", "1"}, {"connection", "close"}, {"te", "gzip"}, {"transfer-encoding", "chunked"},
    {"sp ace", "1"},
};

START_TEST(an_invalid_field_resets_the_stream)
{
    serve_raw();
    raw_request(&out);
    raw_field(&out, bad_fields[_i][0], bad_fields[_i][1]);
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_reset_unseen(NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(a_request_without_path_resets_the_stream)
{
    serve_raw();
    out.len = 0;
    raw_field(&out, ":method", "GET");
    raw_field(&out, ":scheme", "http");
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_reset_unseen(NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(an_invalid_response_field_resets_the_stream)
{
    call_raw();
    request(&a, true);
    settle();
    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_field(&out, "x", "a\nb");
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_closed(&a, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
    ck_assert_ptr_null(a.response);
    ck_assert_uint_eq(raw_u32(raw_expect(&peer, RAW_RST).payload), NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

/* A request of about `bytes` in all. */
static void send_large_request(bool is_grpc, size_t bytes)
{
    static char value[1001];

    memset(value, 'v', 1000);
    raw_request(&out);
    if (is_grpc) {
        raw_field(&out, "content-type", "application/grpc");
    }
    for (size_t n = 0; n < bytes; n += 1033) {
        raw_field(&out, "x", value);
    }
    raw_headers(&peer, 1, false, &out);
    settle();
}

/* The fields of a received HEADERS frame, inflated. */
static void inflate(const struct raw_frame *f, struct text *text)
{
    nghttp2_hd_inflater *inflater;
    const uint8_t *p = f->payload;
    size_t len = f->len;
    int flags = 0;

    ck_assert_int_eq(nghttp2_hd_inflate_new(&inflater), 0);
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, p, len, 1);

        ck_assert_int_ge(n, 0);
        p += n;
        len -= (size_t)n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            text_printf(text, "%s=%s%s\n", (char *)nv.name, (char *)nv.value,
                        (nv.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? " never" : "");
        }
    }
    nghttp2_hd_inflate_del(inflater);
}

static void assert_answer(const char *field)
{
    struct raw_frame f = raw_expect(&peer, RAW_HEADERS);
    struct text text;

    text_init(&text, 4096);
    inflate(&f, &text);
    ck_assert_msg(strstr(text.p, field) != NULL, "%s is not in\n%s", field, text.p);
    ck_assert(f.flags & RAW_END_STREAM);
    text_deinit(&text);
}

START_TEST(a_header_list_over_the_limit_is_answered_431)
{
    serve_raw();
    send_large_request(false, 100000);

    assert_answer(":status=431\n");
    ck_assert_uint_eq(raw_u32(raw_expect(&peer, RAW_RST).payload), NGHTTP2_NO_ERROR);
    ck_assert_uint_eq(server.requests, 0);
    ck_assert_uint_eq(h2_session_stream_count(server.session), 0);
}
END_TEST

START_TEST(a_grpc_call_over_the_limit_is_answered_in_grpc)
{
    serve_raw();
    send_large_request(true, 100000);

    assert_answer("grpc-status=8\n");
    ck_assert_uint_eq(server.requests, 0);
}
END_TEST

START_TEST(a_header_list_below_the_limit_passes)
{
    serve_raw();
    send_large_request(true, 60000);

    ck_assert_uint_eq(server.requests, 1);
    ck_assert_uint_gt(served(0)->request->list_bytes, 60000);
}
END_TEST

START_TEST(after_a_list_over_the_limit_the_decoder_is_still_in_step)
{
    serve_raw();
    raw_request(&out);
    for (int i = 0; i < 70; i++) {
        static char value[1001];

        memset(value, 'v', 1000);
        raw_field(&out, "x", value);
    }
    raw_field_kind(&out, 0x40, "late", "entry"); /* goes into the table, after the limit was passed */
    raw_headers(&peer, 1, true, &out);
    raw_request(&out);
    out.bytes[out.len++] = 0x80 | 62; /* the newest entry of the dynamic table */
    raw_headers(&peer, 3, true, &out);
    settle();

    ck_assert_uint_eq(server.requests, 1);
    ck_assert_str_eq(value_of(served(0)->request, "late"), "entry");
}
END_TEST

START_TEST(a_response_over_the_limit_ends_the_stream_with_that_reason)
{
    static char value[1001];

    memset(value, 'v', 1000);
    call_raw();
    request(&a, true);
    settle();
    out.len = 0;
    raw_field(&out, ":status", "200");
    for (int i = 0; i < 70; i++) {
        raw_field(&out, "x", value);
    }
    raw_headers(&peer, 1, false, &out);
    settle();

    assert_closed(&a, H2_CANCEL, CLOSE_HEADER_LIMIT);
}
END_TEST

START_TEST(request_trailers_over_the_limit_reset_the_stream)
{
    static char value[1001];

    memset(value, 'v', 1000);
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    out.len = 0;
    for (int i = 0; i < 70; i++) {
        raw_field(&out, "x", value);
    }
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_closed(served(0), H2_ENHANCE_YOUR_CALM, CLOSE_HEADER_LIMIT);
}
END_TEST

START_TEST(too_many_fields_are_over_the_limit)
{
    serve_raw();
    raw_request(&out);
    for (int i = 0; i < H2_FIELDS_MAX; i++) {
        raw_field(&out, "x", "");
    }
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_answer(":status=431\n");
}
END_TEST

START_TEST(a_field_that_must_not_be_indexed_stays_so)
{
    call_raw();
    struct h2_headers *sent = request_block();

    h2_headers_add(sent, STR("x-secret"), STR("s"));
    sent->field[sent->count - 1].is_never_indexed = true;
    h2_headers_add(sent, STR("x-plain"), STR("p"));
    request_with(&a, sent, true);
    settle();

    struct raw_frame f = raw_expect(&peer, RAW_HEADERS);
    struct text text;

    text_init(&text, 4096);
    inflate(&f, &text);
    ck_assert_ptr_nonnull(strstr(text.p, "x-secret=s never\n"));
    ck_assert_ptr_nonnull(strstr(text.p, "x-plain=p\n"));
    text_deinit(&text);
}
END_TEST

START_TEST(that_a_field_must_not_be_indexed_is_noted)
{
    serve_raw();
    raw_request(&out);
    raw_field_kind(&out, 0x10, "x-secret", "s");
    raw_field_kind(&out, 0x40, "x-plain", "p");
    raw_headers(&peer, 1, true, &out);
    settle();

    ck_assert(h2_headers_find(served(0)->request, STR("x-secret"))->is_never_indexed);
    ck_assert(!h2_headers_find(served(0)->request, STR("x-plain"))->is_never_indexed);
}
END_TEST

START_TEST(a_block_of_many_continuations_passes)
{
    serve_raw();
    raw_request(&out);
    raw_field(&out, "x", "1");
    raw_frame(&peer, RAW_HEADERS, RAW_END_STREAM, 1, out.bytes, 4);
    for (size_t at = 4; at < out.len; at += 3) {
        size_t n = out.len - at < 3 ? out.len - at : 3;

        raw_frame(&peer, RAW_CONT, at + n == out.len ? RAW_END_HEADERS : 0, 1, out.bytes + at, n);
    }
    settle();

    ck_assert_uint_eq(server.requests, 1);
}
END_TEST

/* --- ends of streams --- */

START_TEST(streams_above_a_goaways_last_id_are_unprocessed)
{
    call_raw();
    request(&a, true);
    request(&b, true);
    settle();
    raw_goaway(&peer, 1, NGHTTP2_NO_ERROR);
    settle();

    ck_assert(!a.is_closed);
    assert_closed(&b, H2_REFUSED_STREAM, CLOSE_GOAWAY);
    ck_assert(b.is_unprocessed);
    ck_assert_int_eq(client.goaway_last_id, 1);

    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
    ck_assert(client.is_closed); /* nothing is left to do */
    ck_assert_int_eq(client.reason, CLOSE_GOAWAY);
}
END_TEST

START_TEST(a_request_ordered_as_the_goaway_comes_is_unprocessed)
{
    call_raw();
    raw_goaway(&peer, 0, NGHTTP2_NO_ERROR);
    request(&a, true); /* not serialised yet when the GOAWAY is read */
    settle();

    ck_assert(a.is_closed);
    ck_assert(a.is_unprocessed);
    ck_assert_int_eq(a.reason, CLOSE_GOAWAY);
}
END_TEST

START_TEST(a_peer_that_vanishes_mid_stream_is_reported)
{
    call_raw();
    request(&a, true);
    settle();
    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_headers(&peer, 1, false, &out);
    raw_frame(&peer, RAW_DATA, 0, 1, "half", 4);
    shutdown(peer.fd, SHUT_RDWR);
    settle();

    ck_assert_uint_eq(a.received, 4);
    ck_assert(!a.is_ended);
    assert_closed(&a, H2_INTERNAL_ERROR, CLOSE_PEER_EOF);
    ck_assert(!a.is_unprocessed);
    ck_assert_int_eq(client.reason, CLOSE_PEER_EOF);
}
END_TEST

START_TEST(an_answer_sent_before_the_peer_left_is_not_lost)
{
    call_raw();
    request(&a, false);
    settle();
    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_headers(&peer, 1, true, &out);
    close(peer.fd); /* unread bytes are lost, what it sent is not */
    peer.fd = -1;
    send_filler(a.stream, 100000);
    settle();

    ck_assert_str_eq(value_of(a.response, ":status"), "200");
    ck_assert(a.is_ended);
    ck_assert(client.is_closed);
}
END_TEST

START_TEST(a_reset_without_error_before_the_answer_is_a_reset)
{
    call_raw();
    request(&a, true);
    settle();
    raw_rst(&peer, 1, NGHTTP2_NO_ERROR);
    settle();

    assert_closed(&a, H2_NO_ERROR, CLOSE_STREAM_RESET);
    ck_assert(!a.is_unprocessed);
}
END_TEST

START_TEST(a_complete_answer_followed_by_a_reset_is_done)
{
    call_raw();
    request(&a, false);
    settle();
    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_headers(&peer, 1, true, &out);
    raw_rst(&peer, 1, NGHTTP2_NO_ERROR);
    settle();

    assert_closed(&a, H2_NO_ERROR, CLOSE_DONE);
}
END_TEST

START_TEST(streams_over_the_offered_limit_are_refused)
{
    options.max_concurrent_streams = 1;
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, true, &out);
    settle();
    ck_assert_uint_eq(server.requests, 1);

    raw_headers(&peer, 3, true, &out);
    settle();
    ck_assert_uint_eq(server.requests, 1);
    /* Refused, or the connection's error once our SETTINGS were acknowledged (RFC 9113 §5.1.2). */
    struct raw_frame f = {0};

    while (raw_next(&peer, &f) && f.type != RAW_RST && f.type != RAW_GOAWAY) {
    }
    ck_assert(f.type == RAW_RST || f.type == RAW_GOAWAY);
    shutdown(peer.fd, SHUT_WR);
    settle();
}
END_TEST

START_TEST(padding_of_data_is_credited)
{
    uint8_t padded[256] = {254};

    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    /* Each frame carries one byte and 254 of padding: without their credit the window (65,535) ends after 257. */
    for (int i = 0; i < 1000; i++) {
        raw_frame(&peer, RAW_DATA, 0x8, 1, padded, sizeof padded);
        if (i % 100 == 99) {
            settle();
        }
    }

    ck_assert_uint_eq(served(0)->received, 1000);
    ck_assert(!server.is_closed);
}
END_TEST

START_TEST(a_content_length_that_lies_resets_the_stream)
{
    serve_raw();
    raw_request(&out);
    raw_field(&out, "content-length", "5");
    raw_headers(&peer, 1, false, &out);
    raw_frame(&peer, RAW_DATA, RAW_END_STREAM, 1, "abc", 3);
    settle();

    assert_closed(served(0), H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
}
END_TEST

START_TEST(a_ping_is_answered)
{
    serve_raw();
    raw_frame(&peer, RAW_PING, 0, 0, "12345678", 8);
    settle();

    struct raw_frame f = raw_expect(&peer, RAW_PING);

    ck_assert_uint_eq(f.flags, RAW_ACK);
    ck_assert_mem_eq(f.payload, "12345678", 8);
}
END_TEST

START_TEST(a_flood_of_pings_without_reading_ends_the_session)
{
    int size = 4096;

    serve_raw();
    setsockopt(stream_fd(h2_session_stream(server.session)), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    for (int i = 0; i < 20000 && !server.is_closed; i++) {
        uint8_t ping[17] = {0, 0, 8, RAW_PING};

        if (send(peer.fd, ping, sizeof ping, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            settle();
        }
    }
    shutdown(peer.fd, SHUT_RDWR);
    settle();

    ck_assert(server.is_closed);
    ck_assert_int_eq(server.reason, CLOSE_PROTOCOL_ERROR);
}
END_TEST

/* --- drain --- */

START_TEST(a_drain_waits_for_the_ping_before_it_names_the_last_stream)
{
    struct raw_frame f = {0};

    serve_raw();
    h2_session_drain(server.session, CLOSE_DRAINED);
    settle();
    f = raw_expect(&peer, RAW_GOAWAY);
    ck_assert_uint_eq(raw_u32(f.payload), INT32_MAX);
    f = raw_expect(&peer, RAW_PING);
    ck_assert(!raw_find(&peer, RAW_GOAWAY, &(struct raw_frame){0}));

    raw_request(&out);
    raw_headers(&peer, 1, true, &out); /* sent before the notice arrived */
    raw_frame(&peer, RAW_PING, RAW_ACK, 0, f.payload, 8);
    settle();

    ck_assert_uint_eq(server.requests, 1);
    f = raw_expect(&peer, RAW_GOAWAY);
    ck_assert_uint_eq(raw_u32(f.payload), 1);

    raw_headers(&peer, 3, true, &out); /* too late: ignored */
    settle();
    ck_assert_uint_eq(server.requests, 1);

    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), true);
    settle();
    raw_expect(&peer, RAW_HEADERS);
    ck_assert(!raw_next(&peer, &f));
    ck_assert(peer.has_ended); /* FIN, and only after our own the socket is closed */
    ck_assert(!server.is_closed);
    shutdown(peer.fd, SHUT_WR);
    settle();
    ck_assert(server.is_closed);
    ck_assert_int_eq(server.reason, CLOSE_DRAINED);
}
END_TEST

START_TEST(a_lingering_session_does_not_wait_for_ever)
{
    serve_raw();
    h2_session_goaway(server.session, H2_NO_ERROR, CLOSE_DRAINED);
    turn_until(&server.is_closed); /* the peer never closes */

    ck_assert_int_eq(server.reason, CLOSE_DRAINED);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_server_announces_its_options_first,
        a_client_starts_with_preface_and_settings_without_push,
        bytes_read_before_the_session_come_first,
        a_request_may_come_one_byte_at_a_time,
        what_is_not_http2_ends_the_session,
        a_frame_error_is_told_before_the_end,
        a_request_without_path_resets_the_stream,
        an_invalid_response_field_resets_the_stream,
        a_header_list_over_the_limit_is_answered_431,
        a_grpc_call_over_the_limit_is_answered_in_grpc,
        a_header_list_below_the_limit_passes,
        after_a_list_over_the_limit_the_decoder_is_still_in_step,
        a_response_over_the_limit_ends_the_stream_with_that_reason,
        request_trailers_over_the_limit_reset_the_stream,
        too_many_fields_are_over_the_limit,
        a_field_that_must_not_be_indexed_stays_so,
        that_a_field_must_not_be_indexed_is_noted,
        a_block_of_many_continuations_passes,
        streams_above_a_goaways_last_id_are_unprocessed,
        a_request_ordered_as_the_goaway_comes_is_unprocessed,
        a_peer_that_vanishes_mid_stream_is_reported,
        an_answer_sent_before_the_peer_left_is_not_lost,
        a_reset_without_error_before_the_answer_is_a_reset,
        a_complete_answer_followed_by_a_reset_is_done,
        streams_over_the_offered_limit_are_refused,
        padding_of_data_is_credited,
        a_content_length_that_lies_resets_the_stream,
        a_ping_is_answered,
        a_flood_of_pings_without_reading_ends_the_session,
        a_drain_waits_for_the_ping_before_it_names_the_last_stream,
        a_lingering_session_does_not_wait_for_ever,
    };
    TCase *wire = unit_case("wire", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_add_loop_test(wire, an_invalid_field_resets_the_stream, 0, ARRAY_LEN(bad_fields));
    return unit_run("wire", wire, (TCase *)NULL);
}
