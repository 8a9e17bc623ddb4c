/* SPDX-License-Identifier: Apache-2.0 */

/* A session against a peer that sends frames by hand: what goes over the wire, and what a peer may do that ours would not. */

#include <nghttp2/nghttp2.h>
#include <unistd.h>

#include "base/object.h"
#include "fixture.h"
#include "rawpeer.h"

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
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL), UINT32_MAX); /* not unless it is offered */
    f = raw_expect(&peer, RAW_WINDOW);
    ck_assert_uint_eq(f.stream, 0);
    ck_assert_uint_eq(raw_u32(f.payload), (1 << 20) - 65535);
}
END_TEST

START_TEST(extended_connect_is_offered_at_any_time_and_once)
{
    struct raw_frame f;

    serve_raw();
    f = raw_expect(&peer, RAW_SETTINGS);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL), UINT32_MAX);
    h2_session_offer_connect(server.session);
    settle();
    do {
        f = raw_expect(&peer, RAW_SETTINGS);
    } while ((f.flags & RAW_ACK) != 0);
    ck_assert_uint_eq(setting(&f, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL), 1);
    h2_session_offer_connect(server.session);
    settle();
    ck_assert(!raw_next(&peer, &f) || f.type != RAW_SETTINGS);
}
END_TEST

START_TEST(a_client_knows_whether_extended_connect_is_taken)
{
    call_raw();
    ck_assert(!h2_session_takes_connect(client.session));
    raw_settings(&peer, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    settle();
    ck_assert(h2_session_takes_connect(client.session));
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
    ck_assert_int_eq(server.reason, CLOSE_PING_FLOOD);
}
END_TEST

UNIT_MAIN("wire", setup, teardown, a_server_announces_its_options_first, extended_connect_is_offered_at_any_time_and_once,
          a_client_knows_whether_extended_connect_is_taken, a_client_starts_with_preface_and_settings_without_push,
          bytes_read_before_the_session_come_first, a_request_may_come_one_byte_at_a_time, what_is_not_http2_ends_the_session,
          a_frame_error_is_told_before_the_end, streams_above_a_goaways_last_id_are_unprocessed,
          a_request_ordered_as_the_goaway_comes_is_unprocessed, a_peer_that_vanishes_mid_stream_is_reported,
          an_answer_sent_before_the_peer_left_is_not_lost, a_reset_without_error_before_the_answer_is_a_reset,
          a_complete_answer_followed_by_a_reset_is_done, streams_over_the_offered_limit_are_refused,
          a_content_length_that_lies_resets_the_stream, a_ping_is_answered, a_flood_of_pings_without_reading_ends_the_session)
