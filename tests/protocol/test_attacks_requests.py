#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests that two programs could read in two ways, header lists beyond their limits, and numbers at the edges of every frame field."""
import itertools
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attacks import Attacked, u32  # noqa: E402
from sides import FLAGS, on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import (ACK, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS,  # noqa: E402
                   END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, INDEX, INITIAL_WINDOW_SIZE,
                   MAX_FRAME_SIZE, NO_RFC7540_PRIORITIES, PADDED, PING, PRIORITY, PRIORITY_FLAG, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM,
                   SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, encode, frame, get_fields, grpc_fields, header_frames, settings_frame)

LIMIT_BYTES = 16 * 1024
for side, words in FLAGS.items():
    FLAGS[side] = (*words, "--max-header-bytes", str(LIMIT_BYTES))


class Refusals(Attacked):
    def assert_answered(self, fields, status, grpc_status, end=True):
        """As HTTP and as gRPC; the server sees neither, and the connection lives."""
        client = self.client()
        before = len(self.requests)
        asked = client.request(fields, end=end)
        asked.wait_end()
        self.assertEqual((asked.status, len(asked.blocks)), (status, 1))
        called = client.request([*fields, ("content-type", "application/grpc"), ("te", "trailers")], end=end)
        called.wait_end()
        self.assertEqual((called.status, called.value("grpc-status")), (200, str(grpc_status).encode()))
        self.assertTrue(called.value("grpc-message"))
        self.assertEqual(client.request(get_fields("/after"), end=True).wait_end().status, 200)
        self.assertEqual([r.value(":path") for r in self.requests[before:]], [b"/after"])

    def assert_reset(self, fields, codes=(PROTOCOL_ERROR,)):
        """RST_STREAM for that stream; the server does not see it, and the connection lives."""
        client = self.client()
        before = len(self.requests)
        self.assertIn(client.request(fields, end=True).wait_reset(), codes)
        self.assertEqual(client.request(get_fields("/after"), end=True).wait_end().status, 200)
        self.assertEqual([r.value(":path") for r in self.requests[before:]], [b"/after"])
        self.wait_counted("refusals_total", direction=self.SIDE, reason="protocol_error")


@on_both_sides
class Smuggling(Refusals):
    def ambiguous(self, fields):
        self.assert_answered(fields, 400, 3)
        self.assertEqual(self.counted("refusals_total", direction=self.SIDE, reason="bad_request"), 2)

    def test_host_that_is_another_than_authority(self):
        self.ambiguous(get_fields(extra=[("host", "other.shop")]))

    def test_host_that_is_empty(self):
        self.assert_reset(get_fields(extra=[("host", "")]))

    def test_host_with_another_port(self):
        self.ambiguous(get_fields(authority="echo.shop", extra=[("host", "echo.shop:80")]))

    def test_host_that_says_the_same_passes(self):
        fields = get_fields("/same", extra=[("host", "Echo.Shop:50051")])
        self.client().request(fields, end=True).wait_end()
        self.assertEqual(self.wait_request("/same").value("host"), b"Echo.Shop:50051")

    def test_host_alone_passes(self):
        self.client().request([(":method", "GET"), (":scheme", "http"), (":path", "/alone"), ("host", "echo.shop")], end=True).wait_end()
        self.assertEqual(self.wait_request("/alone").value("host"), b"echo.shop")

    def test_user_information_in_authority(self):
        """nghttp2 refuses it itself from 1.64 on, with a reset."""
        client = self.client()
        asked = client.request(get_fields(authority="echo.shop@other.shop"), end=True)
        client.wait(lambda: asked.is_over, "an answer")
        self.assertTrue(asked.reset_code == PROTOCOL_ERROR or asked.status == 400, asked.how())
        self.assertEqual(client.request(get_fields("/after"), end=True).wait_end().status, 200)
        self.assertNotIn(b"echo.shop@other.shop", [r.value(":authority") for r in self.requests])

    def test_user_information_in_host(self):
        client = self.client()
        asked = client.request([(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a@b")], end=True)
        client.wait(lambda: asked.is_over, "an answer")
        self.assertTrue(asked.reset_code == PROTOCOL_ERROR or asked.status == 400, asked.how())

    def test_paths_pass_byte_by_byte(self):
        client = self.client()
        for path in ("/a/../b", "/a//b", "/%2e%2e/%2f", "/a/./b", "//", "/a\\b", "/a;b?c=/../d&e=%00", "/%", "/?"):
            self.assertEqual(client.request(get_fields(path), end=True).wait_end().status, 200)
            self.assertEqual(self.requests[-1].value(":path"), path.encode())

    def test_path_with_a_fragment(self):
        self.ambiguous(get_fields("/a#b"))

    def test_path_in_absolute_form(self):
        self.assert_reset(get_fields("http://other.shop/"))

    def test_path_in_absolute_form_of_an_unknown_scheme(self):
        fields = [(":method", "GET"), (":scheme", "other"), (":authority", "echo.shop"), (":path", "http://other.shop/")]
        self.ambiguous(fields)

    def test_path_that_is_empty(self):
        self.assert_reset(get_fields(""))

    def test_asterisk_of_another_method_than_options(self):
        self.assert_reset(get_fields("*"))

    def test_body_after_a_refused_request(self):
        client = self.client()
        asked = client.request(get_fields("/a#b", method="POST"))
        asked.data(b"GET /admin HTTP/1.1\r\n\r\n").data(b"more", end=True)
        asked.wait_end()
        self.assertEqual(asked.status, 400)
        self.assertEqual(client.request(get_fields("/after"), end=True).wait_end().status, 200)


MALFORMED = {
    "connection": get_fields(extra=[("connection", "close")]),
    "keep_alive": get_fields(extra=[("keep-alive", "1")]),
    "proxy_connection": get_fields(extra=[("proxy-connection", "x")]),
    "transfer_encoding": get_fields(extra=[("transfer-encoding", "chunked")]),
    "upgrade": get_fields(extra=[("upgrade", "websocket")]),
    "te_other_than_trailers": get_fields(extra=[("te", "gzip")]),
    "upper_case": get_fields(extra=[("X-Upper", "x")]),
    "no_name": get_fields(extra=[("", "x")]),
    "space_in_name": get_fields(extra=[("a b", "x")]),
    "colon_in_name": get_fields(extra=[("a:b", "x")]),
    "line_in_name": get_fields(extra=[("a\r\nb", "x")]),
    "line_in_value": get_fields(extra=[("a", "x\r\nb: y")]),
    "newline_in_value": get_fields(extra=[("a", "x\ny")]),
    "zero_in_value": get_fields(extra=[("a", "x\0y")]),
    "pseudo_after_regular": [*get_fields()[:3], ("a", "b"), (":path", "/")],
    "two_paths": get_fields(extra=[])[:4] + [(":path", "/other")],
    "two_methods": [(":method", "GET"), *get_fields()],
    "two_authorities": [(":authority", "x"), *get_fields()],
    "unknown_pseudo": [(":other", "x"), *get_fields()],
    "status_in_a_request": [(":status", "200"), *get_fields()],
    "no_method": get_fields()[1:],
    "no_scheme": [f for f in get_fields() if f[0] != ":scheme"],
    "no_path": get_fields()[:3],
    "method_that_is_no_token": get_fields(method="GET /"),
    "two_content_lengths": get_fields(extra=[("content-length", "0"), ("content-length", "0")]),
    "content_length_no_number": get_fields(extra=[("content-length", "0x")]),
    "content_length_negative": get_fields(extra=[("content-length", "-1")]),
    "content_length_without_body": get_fields(extra=[("content-length", "1")]),
    "content_length_beyond_64_bits": get_fields(extra=[("content-length", "99999999999999999999")]),
    "protocol_without_connect": [(":protocol", "websocket"), *get_fields()],
    "connect_with_a_path": get_fields(method="CONNECT"),
    "space_in_path": get_fields("/a b"),
    "space_in_authority": get_fields(authority="a b"),
    "slash_in_authority": get_fields(authority="a/b"),
}


@on_both_sides
class Malformed(Refusals):
    """One test a row, named after it."""


def add_malformed(cls):
    for row, wrong in MALFORMED.items():
        setattr(cls, f"test_{row}", lambda self, wrong=wrong: self.assert_reset(wrong))


add_malformed(globals()["MalformedOutbound"])
add_malformed(globals()["MalformedInbound"])


@on_both_sides
class HeaderLimits(Refusals):
    def test_a_list_over_the_limit_is_answered(self):
        self.assert_answered(get_fields(extra=[("x", "y" * LIMIT_BYTES)]), 431, 8)
        self.assertEqual(self.counted("refusals_total", direction=self.SIDE, reason="header_limit"), 2)

    def test_a_list_just_below_it_passes(self):
        used = sum(len(n) + len(v) + 32 for n, v in get_fields("/below"))
        self.client().request(get_fields("/below", extra=[("x", "y" * (LIMIT_BYTES - used - 33))]), end=True).wait_end()
        self.assertEqual(len(self.wait_request("/below").value("x")), LIMIT_BYTES - used - 33)

    def test_more_fields_than_there_may_be_are_answered(self):
        client = self.client()
        asked = client.request(get_fields(extra=[("a", "")] * 2000), end=True)
        self.assertEqual(asked.wait_end().status, 431)

    def test_trailers_over_the_limit_end_the_request(self):
        client = self.client()
        asked = client.request(grpc_fields("/hold/trailers"))
        served = self.wait_request("/hold/trailers")
        asked.headers([("x", "y" * LIMIT_BYTES)], end=True)
        self.assertEqual(asked.wait_reset(), ENHANCE_YOUR_CALM)
        served.connection.wait(lambda: served.is_over, "the cancellation")

    def bomb(self, count):
        """4,000 bytes enter the table once; then each byte is a field of 4,000."""
        client = self.client()
        block = encode([*get_fields(), ("x", "y" * 4000, INDEX)]) + bytes([0x80 | 62]) * count
        client.send(header_frames(1, block, end=True))
        return client

    def test_an_hpack_bomb_over_the_limit_is_answered(self):
        client = self.bomb(10)
        client.wait(lambda: 1 in client.streams and client.streams[1].is_ended, "an answer")
        self.assertEqual(client.streams[1].status, 431)

    def test_an_hpack_bomb_far_beyond_it_ends_the_connection(self):
        self.assert_refused(self.bomb(10000), ENHANCE_YOUR_CALM, "header_limit")

    def test_many_hpack_bombs_on_one_connection_end_it_once(self):
        client = self.client()
        client.send(header_frames(1, encode([*get_fields("/table"), ("x", "y" * 4000, INDEX)]), end=True))
        bomb = bytes([0x82, 0x86, 0x84]) + bytes([0x80 | 62]) * 16000
        self.attack(client, (header_frames(n, bomb, end=True) for n in itertools.count(3, 2)), ENHANCE_YOUR_CALM, "header_limit")

    def test_a_table_larger_than_ours_is_refused(self):
        client = self.client()
        client.send(frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x7f" + encode(get_fields())))
        self.assert_refused(client, COMPRESSION_ERROR, "protocol_error")

    def test_an_index_beyond_the_table_is_refused(self):
        client = self.client()
        client.send(frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\x07"))
        self.assert_refused(client, COMPRESSION_ERROR, "protocol_error")

    def test_an_integer_without_end_is_refused(self):
        client = self.client()
        client.send(frame(HEADERS, END_HEADERS, 1, b"\xff" + b"\x80" * 100))
        self.assert_refused(client, COMPRESSION_ERROR, "protocol_error")

    def test_a_string_longer_than_its_block_is_refused(self):
        client = self.client()
        client.send(frame(HEADERS, END_HEADERS, 1, b"\x00\x7f\xff\x03abc"))
        self.assert_refused(client, COMPRESSION_ERROR, "protocol_error")


MAX31 = 0x7fffffff
BLOCK = encode(get_fields("/hold/edge"))

# Bytes sent while stream 1 is open (a request that stays unanswered), and the code of the GOAWAY that must follow.
CONNECTION_EDGES = {
    "window_of_the_connection_beyond_its_maximum": (frame(WINDOW_UPDATE, 0, 0, u32(MAX31)), FLOW_CONTROL_ERROR),
    "window_update_of_nothing_on_the_connection": (frame(WINDOW_UPDATE, 0, 0, u32(0)), PROTOCOL_ERROR),
    "window_update_of_nothing_with_the_reserved_bit": (frame(WINDOW_UPDATE, 0, 0, u32(0x80000000)), PROTOCOL_ERROR),
    "window_update_of_three_bytes": (frame(WINDOW_UPDATE, 0, 1, b"\0\0\1"), FRAME_SIZE_ERROR),
    "window_update_on_an_idle_stream": (frame(WINDOW_UPDATE, 0, 99, u32(1)), PROTOCOL_ERROR),
    "initial_window_beyond_its_maximum": (settings_frame({INITIAL_WINDOW_SIZE: MAX31 + 1}), FLOW_CONTROL_ERROR),
    "max_frame_size_below_its_minimum": (settings_frame({MAX_FRAME_SIZE: 16383}), PROTOCOL_ERROR),
    "max_frame_size_beyond_its_maximum": (settings_frame({MAX_FRAME_SIZE: 1 << 24}), PROTOCOL_ERROR),
    "enable_push_two": (settings_frame({ENABLE_PUSH: 2}), PROTOCOL_ERROR),
    "connect_protocol_two": (settings_frame({ENABLE_CONNECT_PROTOCOL: 2}), PROTOCOL_ERROR),
    "no_priorities_two": (settings_frame({NO_RFC7540_PRIORITIES: 2}), PROTOCOL_ERROR),
    "settings_of_five_bytes": (frame(SETTINGS, 0, 0, b"\0\1\0\0\0"), FRAME_SIZE_ERROR),
    "settings_on_a_stream": (frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
    "settings_ack_with_values": (frame(SETTINGS, ACK, 0, b"\0\1\0\0\0\0"), FRAME_SIZE_ERROR),
    "settings_ack_never_asked_for": (frame(SETTINGS, ACK, 0) * 3, PROTOCOL_ERROR),
    "ping_of_seven_bytes": (frame(PING, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
    "ping_on_a_stream": (frame(PING, 0, 1, b"12345678"), PROTOCOL_ERROR),
    "data_on_stream_zero": (frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "data_on_an_idle_stream": (frame(DATA, 0, 99, b"x"), PROTOCOL_ERROR),
    "data_on_an_even_stream": (frame(DATA, 0, 2, b"x"), PROTOCOL_ERROR),
    "data_padded_beyond_its_end": (frame(DATA, PADDED, 1, b"\x05abcd"), PROTOCOL_ERROR),
    "data_padded_to_all_of_it": (frame(DATA, PADDED, 1, b"\xff" + bytes(254)), PROTOCOL_ERROR),
    "data_padded_without_a_length": (frame(DATA, PADDED, 1), PROTOCOL_ERROR),
    "data_beyond_the_frame_size": (frame(DATA, 0, 1, bytes(16385)), FRAME_SIZE_ERROR),
    "data_that_says_16_mib": (frame(DATA, 0, 1, b"x", length=0xffffff), FRAME_SIZE_ERROR),
    "headers_on_stream_zero": (frame(HEADERS, END_HEADERS, 0, BLOCK), PROTOCOL_ERROR),
    "headers_on_an_even_stream": (frame(HEADERS, END_HEADERS, 2, BLOCK), PROTOCOL_ERROR),
    "headers_padded_beyond_their_end": (frame(HEADERS, END_HEADERS | PADDED, 3, b"\xff" + BLOCK), PROTOCOL_ERROR),
    "headers_with_half_a_priority": (frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 3, b"\0\0\0"), FRAME_SIZE_ERROR),
    "headers_beyond_the_frame_size": (frame(HEADERS, END_HEADERS, 3, bytes(16385)), FRAME_SIZE_ERROR),
    "headers_on_an_id_passed_over": (header_frames(9, BLOCK, end=True) + header_frames(7, BLOCK, end=True), PROTOCOL_ERROR),
    "headers_after_the_end": (frame(DATA, END_STREAM, 1) + header_frames(1, BLOCK, end=True), STREAM_CLOSED),
    "data_after_the_end": (frame(DATA, END_STREAM, 1) + frame(DATA, 0, 1, b"x"), STREAM_CLOSED),
    "data_after_a_reset": (frame(RST_STREAM, 0, 1, u32(8)) + frame(DATA, 0, 1, b"x"), STREAM_CLOSED),
    "headers_after_a_reset": (frame(RST_STREAM, 0, 1, u32(8)) + header_frames(1, BLOCK, end=True), STREAM_CLOSED),
    "reset_of_stream_zero": (frame(RST_STREAM, 0, 0, u32(8)), PROTOCOL_ERROR),
    "reset_of_an_idle_stream": (frame(RST_STREAM, 0, 99, u32(8)), PROTOCOL_ERROR),
    "reset_of_three_bytes": (frame(RST_STREAM, 0, 1, b"\0\0\1"), FRAME_SIZE_ERROR),
    "priority_of_stream_zero": (frame(PRIORITY, 0, 0, u32(1) + b"\0"), PROTOCOL_ERROR),
    "priority_that_depends_on_itself": (frame(PRIORITY, 0, 1, u32(1) + b"\0"), PROTOCOL_ERROR),
    "goaway_of_seven_bytes": (frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "goaway_on_a_stream": (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    "continuation_of_nothing": (frame(CONTINUATION, END_HEADERS, 1, BLOCK), PROTOCOL_ERROR),
    "continuation_on_stream_zero": (frame(CONTINUATION, END_HEADERS, 0, BLOCK), PROTOCOL_ERROR),
    "push_by_a_client": (frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + BLOCK), PROTOCOL_ERROR),
    "block_that_never_was_hpack": (frame(HEADERS, END_HEADERS, 3, b"\x80"), COMPRESSION_ERROR),
}

# The same, for what may only end the stream. A connection error is as good (RFC 9113 §5.4.2).
STREAM_EDGES = {
    "initial_window_that_overflows_a_stream": (frame(WINDOW_UPDATE, 0, 1, u32(1)) + settings_frame({INITIAL_WINDOW_SIZE: MAX31}),
                                               FLOW_CONTROL_ERROR),
    "window_of_a_stream_beyond_its_maximum": (frame(WINDOW_UPDATE, 0, 1, u32(MAX31)), FLOW_CONTROL_ERROR),
    "window_update_of_nothing_on_a_stream": (frame(WINDOW_UPDATE, 0, 1, u32(0)), PROTOCOL_ERROR),
}

# Odd, but right: the request goes on.
FINE = {
    "padding_of_255": frame(DATA, PADDED, 1, b"\xff" + b"x" * 10 + bytes(255)),
    "reserved_bit_of_a_stream_id": frame(DATA, 0, 0x80000001, b"x"),
    "unknown_flags": frame(PING, 0xfe, 0, b"12345678"),
    "unknown_setting": settings_frame({0xffff: 0xffffffff}),
    "largest_settings": settings_frame({MAX_FRAME_SIZE: (1 << 24) - 1, 1: 0xffffffff, 3: 0xffffffff, 6: 0xffffffff}),
    "window_at_its_maximum": frame(WINDOW_UPDATE, 0, 1, u32(MAX31 - 65535)) + frame(WINDOW_UPDATE, 0, 0, u32(MAX31 - 65535)),
    "window_of_zero": settings_frame({INITIAL_WINDOW_SIZE: 0}),
    "unknown_frame_on_an_idle_stream": frame(0xbe, 0xff, 99, b"x"),
    "window_update_after_a_reset": frame(HEADERS, END_HEADERS, 3, BLOCK) + frame(RST_STREAM, 0, 3, u32(8)) +
    frame(WINDOW_UPDATE, 0, 3, u32(1)) + frame(PRIORITY, 0, 3, u32(0) + b"\0") + frame(RST_STREAM, 0, 3, u32(8)),
}


@on_both_sides
class Edges(Attacked):
    """One test a row, named after it."""

    def connection_edge(self, piece, code):
        client = self.client()
        self.open_stream(client, "/hold/edge")
        client.send(piece)
        self.assert_refused(client, code, "protocol_error")

    def stream_edge(self, piece, code):
        client = self.client()
        asked = self.open_stream(client, "/hold/edge")
        client.send(piece)
        client.wait(lambda: asked.is_over, "the end of the stream")
        self.assertEqual(client.goaway[1] if client.goaway else asked.reset_code, code)

    def fine(self, piece):
        client = self.client()
        asked = self.open_stream(client, "/hold/edge")
        client.send(piece)
        asked.data(b"last", end=True)
        served = self.wait_request("/hold/edge").wait_end()
        served.headers([(":status", "200")], end=True)
        self.assertEqual(asked.wait_end().status, 200)

    def test_the_last_stream_id_there_is(self):
        client = self.client()
        self.open_stream(client, "/hold/first")
        client.send(header_frames(MAX31, encode(get_fields("/last")), end=True))
        client.wait(lambda: MAX31 in client.streams and client.streams[MAX31].is_ended, "the response on the last id")
        self.assertEqual(client.streams[MAX31].status, 200)


def add_edges(cls):
    for row, (wrong, code) in CONNECTION_EDGES.items():
        setattr(cls, f"test_{row}", lambda self, wrong=wrong, code=code: self.connection_edge(wrong, code))
    for row, (wrong, code) in STREAM_EDGES.items():
        setattr(cls, f"test_{row}", lambda self, wrong=wrong, code=code: self.stream_edge(wrong, code))
    for row, right in FINE.items():
        setattr(cls, f"test_{row}", lambda self, right=right: self.fine(right))


add_edges(globals()["EdgesOutbound"])
add_edges(globals()["EdgesInbound"])


if __name__ == "__main__":
    unittest.main()
