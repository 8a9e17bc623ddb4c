#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that misbehave: their client gets a named failure, their connection is dropped, and nobody else notices."""
import contextlib
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attacks import Attacked, u32  # noqa: E402
from sides import FLAGS, on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import (ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR,  # noqa: E402
                   FRAME_SIZE_ERROR, HEADERS, INDEX, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, PADDED, PING, PRIORITY, PROTOCOL_ERROR,
                   PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Client, Server, encode, frame, get_fields, grpc_fields,
                   grpc_message, header_frames, settings_frame)

AT_ONCE = 100
LIMIT_BYTES = 16 * 1024
for side, words in FLAGS.items():
    FLAGS[side] = (*words, "--max-header-bytes", str(LIMIT_BYTES))
BEGIN = [(":status", "200"), ("content-type", "application/grpc")]
PROTOCOL_TEXT = "peer broke the HTTP/2 protocol"


class Hostile(Attacked):
    """The bystander's server is another one than the hostile one, which does to its first request what the test says."""

    def setUp(self):
        super().setUp()
        self.hostile_server = None

    def start_hostile(self, deed, **options):
        self.deed = deed
        self.served = []
        self.hostile_server = Server(self.server_pod.listen(self.server_pod.ip, backlog=64), serve=self.misbehave, **options)
        self.addCleanup(self.hostile_server.close)

    def misbehave(self, stream):
        self.served.append(stream)
        self.deed(stream)

    def hostile_client(self, **options):
        client = Client(self.client_pod.connect(*self.hostile_server.address), **options)
        self.clients.append(client)
        return client

    def call(self, deed, **options):
        """A gRPC call to the hostile server, over in one way or the other."""
        self.start_hostile(deed, **options)
        client = self.hostile_client()
        asked = client.unary(path="/evil/Call")
        client.wait(lambda: asked.is_over, "the end of the call")
        return asked

    def tearDown(self):
        if self.hostile_server is not None:
            for client in self.clients[1:]:  # the first is the bystander
                client.close()
            self.hostile_server.close()
        super().tearDown()

    def assert_failed(self, asked, status, text, reason):
        """The call's own status, whether its response had begun or not, and the count of failures by reason."""
        asked.wait_end()
        fields = dict(asked.blocks[-1].fields)
        self.assertEqual(fields.get(b"grpc-status"), str(status).encode(), asked.blocks)
        self.assertIn(text, fields[b"grpc-message"].decode())
        self.wait_counted("request_failures_total", direction=self.SIDE, reason=reason)

    def assert_dropped(self, code, reason):
        """The hostile connection has ended, with GOAWAY, and is counted."""
        connection = self.served[0].connection
        connection.wait(lambda: connection.closed, "the end of the hostile connection")
        self.assertEqual(connection.goaway and connection.goaway[1], code)
        if self.SIDE == "outbound":
            self.wait_counted("endpoint_closes_total", reason=reason)


def endlessly(piece):
    """Sends until the proxy has had enough."""
    def deed(stream):
        for _ in range(20000):
            stream.connection.send(piece(stream) * AT_ONCE)
            if stream.connection.closed or stream.connection.goaway:
                return
    return deed


def send_much(stream):
    with contextlib.suppress(AssertionError):  # the end of the stream, at some point
        stream.body(bytes(8 << 20))


def after_headers(deed):
    def both(stream):
        stream.headers(BEGIN)
        deed(stream)
    return both


def once(piece):
    return lambda stream: stream.connection.send(piece(stream))


@on_both_sides
class Floods(Hostile):
    def flood(self, piece, reason, text, before=lambda deed: deed):
        asked = self.call(before(endlessly(piece)))
        self.assert_failed(asked, 14, text, reason)
        self.assert_dropped(ENHANCE_YOUR_CALM, reason)

    def test_of_settings(self):
        self.flood(lambda _: settings_frame({MAX_CONCURRENT_STREAMS: 100}), "settings_flood", "too many SETTINGS frames")

    def test_of_pings(self):
        self.flood(lambda _: frame(PING, 0, 0, b"12345678"), "ping_flood", "too many PING frames")

    def test_of_pings_in_the_middle_of_a_response(self):
        self.flood(lambda _: frame(PING, 0, 0, b"12345678"), "ping_flood", "too many PING frames", after_headers)

    def test_of_empty_data(self):
        self.flood(lambda s: frame(DATA, 0, s.id), "empty_data_flood", "too many empty DATA frames", after_headers)

    def test_of_padding(self):
        self.flood(lambda s: frame(DATA, PADDED, s.id, b"\x07" + bytes(7)), "empty_data_flood", "too many empty DATA frames", after_headers)

    def test_of_window_updates(self):
        self.flood(lambda s: frame(WINDOW_UPDATE, 0, s.id, u32(1)), "window_update_flood", "too many WINDOW_UPDATE frames")

    def test_of_priorities(self):
        self.flood(lambda s: frame(PRIORITY, 0, s.id, u32(0) + b"\1"), "priority_flood", "too many PRIORITY frames")

    def test_of_unknown_frames(self):
        self.flood(lambda _: frame(0xfa, 0, 0, b"x"), "frame_flood", "too many frames of no use")

    def test_of_resets_of_streams_that_have_ended(self):
        def deed(stream):
            stream.headers(BEGIN + [("grpc-status", "0")], end=True)
            endlessly(lambda s: frame(RST_STREAM, 0, s.id, u32(CANCEL)))(stream)
        asked = self.call(deed)
        self.assertEqual(asked.wait_end().value("grpc-status"), b"0")
        self.assert_dropped(ENHANCE_YOUR_CALM, "reset_flood")

    def test_of_continuations(self):
        def deed(stream):
            stream.connection.send(frame(HEADERS, 0, stream.id, encode(BEGIN)))
            endlessly(lambda s: frame(CONTINUATION, 0, s.id))(stream)
        self.assert_failed(self.call(deed, credit=False), 14, "header block without end", "continuation_flood")
        self.assert_dropped(ENHANCE_YOUR_CALM, "continuation_flood")

    def test_of_informational_responses(self):
        piece = encode([(":status", "103"), ("link", "</x>")])
        asked = self.call(lambda s: s.connection.send(header_frames(s.id, piece) * 1000))
        self.assert_failed(asked, 14, "too many informational responses", "informational_flood")
        self.assertEqual(len(asked.blocks), 101, "a hundred were passed on")


@on_both_sides
class Headers(Hostile):
    def test_a_list_over_the_limit_fails_its_call(self):
        asked = self.call(lambda s: s.headers(BEGIN + [("x", "y" * LIMIT_BYTES)]))
        self.assert_failed(asked, 8, "header list too large", "header_limit")

    def test_trailers_over_the_limit_fail_their_call(self):
        asked = self.call(after_headers(lambda s: s.headers([("grpc-status", "0"), ("x", "y" * LIMIT_BYTES)], end=True)))
        self.assert_failed(asked, 8, "header list too large", "header_limit")

    def test_an_hpack_bomb_ends_the_connection(self):
        block = encode([*BEGIN, ("x", "y" * 4000, INDEX)]) + bytes([0x80 | 62]) * 10000
        asked = self.call(lambda s: s.connection.send(header_frames(s.id, block)))
        self.assert_failed(asked, 8, "header list too large", "header_limit")
        self.assert_dropped(ENHANCE_YOUR_CALM, "header_limit")


# What a server sends instead of a response; the call fails with 13 and names the protocol.
MALFORMED = {
    "without_status": [("content-type", "application/grpc")],
    "empty": [],
    "status_that_is_no_number": [(":status", "abc"), ("a", "b")],
    "status_of_two_digits": [(":status", "20")],
    "status_101": [(":status", "101")],
    "two_statuses": [(":status", "200"), (":status", "200")],
    "status_after_a_field": [("a", "b"), (":status", "200")],
    "path_in_a_response": [(":status", "200"), (":path", "/")],
    "upper_case": [(":status", "200"), ("Content-Type", "application/grpc")],
    "connection": [(":status", "200"), ("connection", "close")],
    "transfer_encoding": [(":status", "200"), ("transfer-encoding", "chunked")],
    "line_in_value": [(":status", "200"), ("a", "b\r\nc: d")],
    "content_length_no_number": [(":status", "200"), ("content-length", "x")],
}

# Bytes of a server, and the code with which its connection is dropped.
BROKEN = {
    "data_before_settings_ack_of_zero": (lambda s: frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "push_promise": (lambda s: frame(PUSH_PROMISE, END_HEADERS, s.id, u32(2) + encode(get_fields())), PROTOCOL_ERROR),
    "response_on_a_stream_never_opened": (lambda s: header_frames(99, encode(BEGIN)), PROTOCOL_ERROR),
    "response_on_an_even_stream": (lambda s: header_frames(2, encode(BEGIN)), PROTOCOL_ERROR),
    "data_on_a_stream_never_opened": (lambda s: frame(DATA, 0, 99, b"x"), PROTOCOL_ERROR),
    "reset_of_a_stream_never_opened": (lambda s: frame(RST_STREAM, 0, 99, u32(CANCEL)), PROTOCOL_ERROR),
    "window_of_the_connection_beyond_its_maximum": (lambda s: frame(WINDOW_UPDATE, 0, 0, u32(0x7fffffff)), FLOW_CONTROL_ERROR),
    "settings_of_five_bytes": (lambda s: frame(SETTINGS, 0, 0, b"12345"), FRAME_SIZE_ERROR),
    "settings_initial_window_beyond_its_maximum": (lambda s: settings_frame({INITIAL_WINDOW_SIZE: 1 << 31}), FLOW_CONTROL_ERROR),
    "settings_enable_push_one": (lambda s: settings_frame({2: 1}), PROTOCOL_ERROR),
    "settings_acks_never_asked_for": (lambda s: frame(SETTINGS, ACK) * 3, PROTOCOL_ERROR),
    "ping_of_seven_bytes": (lambda s: frame(PING, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
    "goaway_on_a_stream": (lambda s: frame(7, 0, 1, bytes(8)), PROTOCOL_ERROR),
    "frame_beyond_the_frame_size": (lambda s: frame(DATA, 0, s.id, bytes(16385)), FRAME_SIZE_ERROR),
    "header_block_that_is_none": (lambda s: frame(HEADERS, END_HEADERS, s.id, b"\x80"), 9),
    "preface_again": (lambda s: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FRAME_SIZE_ERROR),
    "http1": (lambda s: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", FRAME_SIZE_ERROR),
}


@on_both_sides
class Malformed(Hostile):
    """One test a row, named after it."""

    def test_data_before_headers(self):
        self.assert_failed(self.call(lambda s: s.data(b"x")), 13, PROTOCOL_TEXT, "protocol_error")

    def test_a_body_longer_than_its_content_length(self):
        asked = self.call(lambda s: s.headers(BEGIN + [("content-length", "1")]).data(b"123"))
        self.assert_failed(asked, 13, PROTOCOL_TEXT, "protocol_error")

    def test_a_body_shorter_than_its_content_length(self):
        asked = self.call(lambda s: s.headers(BEGIN + [("content-length", "9")]).data(b"123", end=True))
        self.assert_failed(asked, 13, PROTOCOL_TEXT, "protocol_error")

    def test_an_informational_response_that_ends_the_stream(self):
        asked = self.call(lambda s: s.headers([(":status", "103")], end=True))
        self.assert_failed(asked, 13, PROTOCOL_TEXT, "protocol_error")

    def test_trailers_with_a_pseudo_header(self):
        asked = self.call(after_headers(lambda s: s.headers([(":status", "200"), ("grpc-status", "0")], end=True)))
        self.assert_failed(asked, 13, PROTOCOL_TEXT, "protocol_error")

    def test_trailers_that_do_not_end_the_stream(self):
        asked = self.call(after_headers(lambda s: s.headers([("grpc-status", "0")]).data(b"x")))
        self.assert_failed(asked, 13, PROTOCOL_TEXT, "protocol_error")

    def test_more_data_than_the_window_allows(self):
        """The client takes nothing, so no credit comes back."""
        self.start_hostile(lambda s: s.headers(BEGIN) and [s.connection.send(frame(DATA, 0, s.id, bytes(16384))) for _ in range(64)])
        client = self.hostile_client(credit=False)
        client.unary(path="/evil/Call")
        self.wait_counted("request_failures_total", direction=self.SIDE, reason="protocol_error")
        self.assertEqual(self.served[0].wait_reset(), FLOW_CONTROL_ERROR)

    def after_the_end(self, more):
        """Real servers do it when a deadline passes; what comes is dropped, and the connection serves the next call."""
        def deed(stream):
            stream.headers(BEGIN + [("grpc-status", "0")], end=True)
            if len(self.served) == 1:
                more(stream)
        asked = self.call(deed)
        self.assertEqual(asked.wait_end().value("grpc-status"), b"0")
        again = asked.connection.unary(path="/evil/Again")
        self.assertEqual(again.wait_end().value("grpc-status"), b"0")
        self.assertIs(self.served[1].connection, self.served[0].connection)
        self.assertEqual((len(asked.blocks), asked.body_len), (1, 0))

    def test_headers_after_the_end_are_dropped(self):
        self.after_the_end(lambda s: s.headers([("x", "y")], end=True))

    def test_data_after_the_end_is_dropped(self):
        self.after_the_end(lambda s: s.data(b"x"))


def add_rows(cls):
    for row, block in MALFORMED.items():
        def malformed(self, block=block):
            asked = self.call(lambda s: s.headers(block))
            self.assert_failed(asked, 13, PROTOCOL_TEXT, "protocol_error")
        setattr(cls, f"test_response_{row}", malformed)
    for row, (piece, code) in BROKEN.items():
        def broken(self, piece=piece, code=code):
            self.assert_failed(self.call(once(piece)), 13, PROTOCOL_TEXT, "protocol_error")
            self.assert_dropped(code, "protocol_error")
        setattr(cls, f"test_{row}", broken)


add_rows(globals()["MalformedOutbound"])
add_rows(globals()["MalformedInbound"])


@on_both_sides
class Stalls(Hostile):
    """--stall-timeout is two seconds here."""

    def test_a_client_that_gives_no_window_is_reset(self):
        self.start_hostile(lambda s: s.headers([(":status", "200")]).data(b"x" * 100, end=True))
        client = self.hostile_client(settings={INITIAL_WINDOW_SIZE: 10}, credit=False)
        asked = client.request(get_fields("/slow"), end=True)
        self.assertEqual(asked.wait_reset(), ENHANCE_YOUR_CALM)
        self.assertEqual(asked.body_len, 10)
        self.wait_counted("refusals_total", direction=self.SIDE, reason="stalled")
        client.ping()

    def test_a_client_that_reads_nothing_is_closed(self):
        def deed(stream):
            stream.headers([(":status", "200")])
            threading.Thread(target=send_much, args=(stream,), daemon=True).start()
        self.start_hostile(deed)
        client = self.hostile_client(settings={INITIAL_WINDOW_SIZE: 1 << 30})
        client.credit(1 << 30)
        client.hold()
        client.request(get_fields("/slow"), end=True)
        self.wait_counted("closes_total", direction=self.SIDE, reason="stalled")
        client.go_on()

    def test_a_client_that_reads_slowly_is_served(self):
        self.start_hostile(lambda s: s.headers([(":status", "200")]).data(b"x" * 60, end=True))
        client = self.hostile_client(settings={INITIAL_WINDOW_SIZE: 10}, credit=False)
        asked = client.request(get_fields("/slow"), end=True)
        for size in range(10, 60, 10):
            asked.wait_data(size)
            time.sleep(0.8)  # more than the timeout in all, less each time
            asked.credit(10)
        self.assertEqual(asked.wait_end().body_len, 60)

    def test_a_server_that_does_not_read_fails_the_call(self):
        asked = self.call(lambda s: None, settings={INITIAL_WINDOW_SIZE: 0})
        self.assert_failed(asked, 14, "took nothing", "stalled")

    def test_a_silent_stream_lives(self):
        self.start_hostile(lambda s: s.headers(BEGIN))
        asked = self.hostile_client().request(grpc_fields("/silent"))
        asked.wait_headers()
        time.sleep(3 * 2)
        asked.data(grpc_message(b"still here"))
        self.served[0].wait_data(15)
        self.served[0].headers([("grpc-status", "0")], end=True)
        self.assertEqual(dict(asked.wait_end().trailers), {b"grpc-status": b"0"})


if __name__ == "__main__":
    unittest.main()
