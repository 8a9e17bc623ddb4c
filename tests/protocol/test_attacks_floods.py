#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that send what costs them nothing: each is refused by name, and nobody else notices."""
import itertools
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attacks import RESET_RATE, Attacked, u32  # noqa: E402
from sides import on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import (ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR,  # noqa: E402
                   GOAWAY, HEADERS, MAX_CONCURRENT_STREAMS, PADDED, PING, PRIORITY, PROTOCOL_ERROR, RST_STREAM, WINDOW_UPDATE, encode,
                   frame, get_fields, grpc_fields, header_frames, settings_frame)

AT_ONCE = 100  # frames in one piece


def endless(piece):
    return itertools.repeat(piece * AT_ONCE)


@on_both_sides
class Floods(Attacked):
    """The attacker has one stream open, number 1."""

    def flood(self, piece, reason):
        client = self.client()
        self.open_stream(client)
        self.attack(client, endless(piece), ENHANCE_YOUR_CALM, reason)
        self.assertEqual(self.counted("closes_total", reason=reason), 1)

    def test_of_settings(self):
        self.flood(settings_frame({MAX_CONCURRENT_STREAMS: 7}), "settings_flood")

    def test_of_empty_settings(self):
        self.flood(settings_frame({}), "settings_flood")

    def test_of_pings(self):
        self.flood(frame(PING, 0, 0, b"12345678"), "ping_flood")

    def test_of_answers_to_pings_never_sent(self):
        self.flood(frame(PING, ACK, 0, b"12345678"), "ping_flood")

    def test_of_pings_whose_answers_are_not_read(self):
        client = self.client()
        self.open_stream(client)
        client.hold()
        for _ in range(100):
            client.send(frame(PING, 0, 0, b"12345678") * AT_ONCE)
        self.wait_counted("closes_total", direction=self.SIDE, reason="ping_flood")
        client.go_on()
        client.wait_closed()

    def test_of_priorities(self):
        self.flood(frame(PRIORITY, 0, 1, u32(0) + b"\x10"), "priority_flood")

    def test_of_priorities_of_idle_streams(self):
        self.flood(frame(PRIORITY, 0, 99, u32(0) + b"\x10"), "priority_flood")

    def test_of_priority_updates(self):
        self.flood(frame(0x10, 0, 0, u32(1) + b"u=1"), "priority_flood")

    def test_of_window_updates_of_the_connection(self):
        self.flood(frame(WINDOW_UPDATE, 0, 0, u32(1)), "window_update_flood")

    def test_of_window_updates_of_a_stream(self):
        self.flood(frame(WINDOW_UPDATE, 0, 1, u32(1)), "window_update_flood")

    def test_of_empty_data(self):
        self.flood(frame(DATA, 0, 1), "empty_data_flood")

    def test_of_data_that_is_padding(self):
        self.flood(frame(DATA, PADDED, 1, b"\x03\0\0\0"), "empty_data_flood")

    def test_of_unknown_frames(self):
        self.flood(frame(0xfa, 0, 0, b"grease"), "frame_flood")

    def test_of_goaways(self):
        self.flood(frame(GOAWAY, 0, 0, u32(0) + u32(0) + b"bye"), "frame_flood")

    def test_of_resets_of_one_stream(self):
        self.flood(frame(RST_STREAM, 0, 1, u32(CANCEL)), "reset_flood")


@on_both_sides
class RapidReset(Attacked):
    """CVE-2023-44487."""

    def pairs(self, code):
        block = encode(grpc_fields("/hold/rapid"))
        for first in itertools.count(1, 2 * AT_ONCE):
            yield b"".join(header_frames(n, block) + frame(RST_STREAM, 0, n, u32(code)) for n in range(first, first + 2 * AT_ONCE, 2))

    def test_is_refused(self):
        client = self.client()
        pieces = self.attack(client, self.pairs(CANCEL), ENHANCE_YOUR_CALM, "reset_flood")
        self.assertGreaterEqual(pieces * AT_ONCE, RESET_RATE, "not before the rate that is allowed")
        self.assertEqual(self.counted("closes_total", reason="reset_flood"), 1)

    def test_what_was_cancelled_does_not_stay_at_the_server(self):
        client = self.client()
        self.attack(client, self.pairs(CANCEL), ENHANCE_YOUR_CALM, "reset_flood")
        for request in [r for r in self.requests if r.value(":path") == b"/hold/rapid"]:
            request.connection.wait(lambda r=request: r.reset_code is not None or r.connection.closed, "the cancellation")

    def test_resets_without_an_error_count_too(self):
        self.attack(self.client(), self.pairs(0), ENHANCE_YOUR_CALM, "reset_flood")


@on_both_sides
class MadeYouReset(Attacked):
    """CVE-2025-8671: the client makes mistakes for which the proxy must reset, and each time opens another stream."""

    def provoke(self, fields, mistake):
        """`mistake`: bytes for a stream's number, behind its HEADERS."""
        client = self.client()
        block = encode(fields)

        def pieces():
            for first in itertools.count(1, 2 * AT_ONCE):
                yield b"".join(header_frames(n, block) + mistake(n) for n in range(first, first + 2 * AT_ONCE, 2))

        self.attack(client, pieces(), ENHANCE_YOUR_CALM, "provoked_resets")
        self.assertGreaterEqual(self.counted("refusals_total", direction=self.SIDE, reason="protocol_error"), 1000)
        for request in [r for r in self.requests if r.value(":path") == b"/hold/mistake"]:
            request.connection.wait(lambda r=request: r.is_ended or r.reset_code is not None or r.connection.closed, "the end of a request")
        codes = {s.reset_code for s in client.streams.values() if s.reset_code is not None}
        self.assertTrue(codes <= {PROTOCOL_ERROR, FLOW_CONTROL_ERROR}, codes)

    def test_by_a_window_beyond_its_maximum(self):
        self.provoke(grpc_fields("/hold/mistake"), lambda n: frame(WINDOW_UPDATE, 0, n, u32(0x7fffffff)))

    def test_by_a_body_longer_than_its_content_length(self):
        self.provoke(grpc_fields("/hold/mistake", extra=[("content-length", "1")]), lambda n: frame(DATA, 0, n, b"12"))

    def test_by_a_body_shorter_than_its_content_length(self):
        self.provoke(grpc_fields("/hold/mistake", extra=[("content-length", "9")]), lambda n: frame(DATA, END_STREAM, n, b"12"))

    def test_by_trailers_with_a_pseudo_header(self):
        bad = encode([(":path", "/")])
        self.provoke(grpc_fields("/hold/mistake"), lambda n: header_frames(n, bad, end=True))

    def test_by_trailers_that_do_not_end_the_stream(self):
        trailers = encode([("x", "y")])
        self.provoke(grpc_fields("/hold/mistake"), lambda n: header_frames(n, trailers))

    def test_by_malformed_requests(self):
        self.provoke(get_fields(extra=[("connection", "x")]), lambda n: b"")


@on_both_sides
class Continuations(Attacked):
    """CVE-2024-27316 and its relatives."""

    def begin_block(self, fields=()):
        client = self.client()
        client.ping()  # no ACK of SETTINGS comes in between any more
        client.alone().acquire()  # nor anything else, for the rest of this connection
        client.send(frame(HEADERS, 0, 1, encode(fields)))
        return client

    def test_empty_ones_are_refused(self):
        self.attack(self.begin_block(get_fields()), endless(frame(CONTINUATION, 0, 1)), ENHANCE_YOUR_CALM, "continuation_flood")

    def test_small_fields_without_end_are_refused(self):
        piece = frame(CONTINUATION, 0, 1, encode([("x", "y")]))
        self.attack(self.begin_block(get_fields()), endless(piece), ENHANCE_YOUR_CALM, "continuation_flood")

    def test_large_fields_without_end_are_refused(self):
        client = self.begin_block(get_fields())
        piece = frame(CONTINUATION, 0, 1, encode([("x", "y" * 8000)] * 2))
        self.attack(client, itertools.repeat(piece), ENHANCE_YOUR_CALM, "continuation_flood")

    def test_a_field_without_end_is_refused(self):
        """A name of which more and more comes: nothing that could be counted is ever decoded."""
        client = self.begin_block(get_fields())
        client.send(frame(CONTINUATION, 0, 1, b"\x00\x7f\x80\x80\x80\x04"))
        for _ in range(100):
            client.send(frame(CONTINUATION, 0, 1, b"a" * 16384))
            if client.closed or client.goaway:
                break
        self.assertIn(client.wait_goaway()[1], (ENHANCE_YOUR_CALM, 9), "refused by the guard or by the decoder")
        client.wait_closed()

    def test_a_block_in_many_pieces_byte_by_byte_is_served(self):
        client = self.client()
        with client.alone():
            for byte in header_frames(1, encode(get_fields("/pieces")), end=True, piece=3):
                client.send(bytes([byte]))
        client.wait(lambda: client.closed or (1 in client.streams and client.streams[1].is_ended), "the response")
        self.assertEqual(client.streams[1].status, 200)

    def test_another_stream_in_the_middle_of_a_block(self):
        client = self.begin_block(get_fields())
        client.send(frame(PING, 0, 0, b"12345678"))
        self.assert_refused(client, PROTOCOL_ERROR, "protocol_error")

    def test_a_block_of_another_stream_goes_on(self):
        client = self.begin_block(get_fields())
        client.send(frame(CONTINUATION, END_HEADERS, 3, b""))
        self.assert_refused(client, PROTOCOL_ERROR, "protocol_error")


if __name__ == "__main__":
    unittest.main()
