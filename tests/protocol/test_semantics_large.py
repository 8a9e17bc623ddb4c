#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Large header lists, trailers, fields and paths: up to the setting they pass, above it they get a named answer and hurt nobody else."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sides  # noqa: E402
from sides import as_bytes, on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, MAX_HEADER_LIST_SIZE, NO_ERROR, get_fields, grpc_fields  # noqa: E402

LIMIT = 1024 * 1024  # the largest that the setting takes
sides.FLAGS = {"outbound": ("--max-header-bytes", "1MiB"), "inbound": ("--max-header-bytes", "1MiB")}
OK = [(":status", "200"), ("content-type", "application/grpc")]
STATUS = [("grpc-status", "0")]


def list_bytes(fields):
    """As RFC 9113 §6.5.2 counts."""
    return sum(len(n) + len(v) + 32 for n, v in as_bytes(fields))


def filled(fields, total, value=900):
    """These fields and more of them, up to exactly that many bytes."""
    fields = list(fields)
    while total - list_bytes(fields) > value + 1000:
        fields.append((f"x-{len(fields)}", chr(97 + len(fields) % 26) * value))
    fields.append(("rest", "r" * (total - list_bytes(fields) - 36)))
    assert list_bytes(fields) == total
    return fields


@on_both_sides
class UpToTheLimit:
    def check_passes(self, size, value, **options):
        request, response, trailers = (filled(f, size, value) for f in (grpc_fields(), OK, STATUS))
        asked, served = self.begin(request, **options)
        asked.data(b"body").headers(trailers, end=True, **options)
        served.wait_end()
        self.assertEqual((served.fields, served.trailers), (as_bytes(request), as_bytes(trailers)))
        served.headers(response, **options).data(b"body").headers(trailers, end=True, **options)
        asked.wait_end()
        self.assertEqual((asked.fields, asked.trailers), (as_bytes(response), as_bytes(trailers)))
        self.check_alive(asked, served)

    def test_sixty_four_kib_of_fields_pass_everywhere(self):
        self.check_passes(64 * 1024, 100)

    def test_a_hundred_kib_in_small_continuations_pass(self):
        self.check_passes(100 * 1024, 900, piece=4096)

    def test_as_many_bytes_as_the_setting_says_pass(self):
        self.check_passes(LIMIT, 8000)

    def test_the_limit_is_told(self):
        client = self.client()
        server = None
        if self.SIDE == "inbound":  # which speaks when the app has spoken
            server = self.server.accept()
        self.assertEqual(client.wait_settings()[MAX_HEADER_LIST_SIZE], LIMIT)
        client.request(get_fields(), end=True)
        server = server or self.accept()
        self.assertEqual(server.wait_settings()[MAX_HEADER_LIST_SIZE], LIMIT)

    def test_one_field_of_sixty_kib_passes(self):
        asked, served = self.begin(grpc_fields(extra=[("token", "t" * 60 * 1024)]), end=True)
        self.assertEqual(len(served.value("token")), 60 * 1024)
        served.headers([*OK, ("token", "u" * 60 * 1024)]).headers([("token", "v" * 60 * 1024)], end=True)
        self.assertEqual([len(v) for _, v in (*asked.wait_end().fields[-1:], *asked.trailers)], [60 * 1024] * 2)

    def test_a_path_of_sixty_kib_passes(self):
        path = "/" + "p" * 60 * 1024 + "?q=%2f"
        asked, served = self.begin(get_fields(path), end=True)
        self.assertEqual(served.value(":path"), path.encode())

    def test_a_thousand_fields_pass(self):
        extra = [(f"n{i}", str(i)) for i in range(1000)]
        asked, served = self.begin(get_fields(extra=extra), end=True)
        served.headers([(":status", "200"), *extra], end=True)
        self.assertEqual((served.fields[4:], asked.wait_end().fields[1:]), (as_bytes(extra), as_bytes(extra)))


@on_both_sides
class AboveTheLimit:
    def test_a_request_is_answered_431(self):
        asked, served = self.begin(get_fields(), end=True)
        large = asked.connection.request(filled(get_fields(), LIMIT + 1, 8000), end=True)
        self.assertEqual(large.wait_end().status, 431)
        self.check_alive(asked, served)

    def test_a_grpc_call_is_answered_in_grpc(self):
        asked, served = self.begin(grpc_fields(), end=True)
        large = asked.connection.request(filled(grpc_fields(), LIMIT + 1, 8000))
        self.assertEqual((large.wait_end().status, large.value("grpc-status")), (200, b"8"))
        self.assertEqual(large.wait_reset(), NO_ERROR)
        self.check_alive(asked, served)

    def test_request_trailers_end_their_stream(self):
        asked, served = self.begin(grpc_fields())
        large, seen = self.again(asked, served, grpc_fields())
        large.headers(filled(STATUS, LIMIT + 1, 8000), end=True)
        self.assertEqual(large.wait_reset(), ENHANCE_YOUR_CALM)
        self.assertEqual(seen.wait_reset(), ENHANCE_YOUR_CALM)
        self.check_alive(asked, served)

    def test_a_response_is_replaced_by_a_named_answer(self):
        asked, served = self.begin(get_fields(), end=True)
        call, seen = self.again(asked, served, grpc_fields(), end=True)
        page, shown = self.again(asked, served, get_fields(), end=True)
        for stream in (seen, shown):
            stream.headers(filled(OK, LIMIT + 1, 8000), end=True)
        self.assertEqual((call.wait_end().status, call.value("grpc-status")), (200, b"8"))
        self.assertIn(b"header list too large", call.value("grpc-message"))
        self.assertEqual(page.wait_end().status, 502)
        self.check_alive(asked, served)

    def test_response_trailers_are_replaced_by_named_ones(self):
        asked, served = self.begin(grpc_fields())
        call, seen = self.again(asked, served, grpc_fields(), end=True)
        seen.headers(OK).data(b"body").headers(filled(STATUS, LIMIT + 1, 8000), end=True)
        self.assertEqual((call.wait_end().body_bytes, dict(call.trailers)[b"grpc-status"]), (b"body", b"8"))
        self.check_alive(asked, served)


@on_both_sides
class AboveTheLibrarys:
    """nghttp2 takes no name or value above 64 KiB: the connection's decoder is lost with it (RFC 9113 §4.3)."""

    GIANT = ("x-giant", "g" * 70_000)

    def test_a_field_too_large_for_the_library_ends_its_senders_connection_by_name(self):
        asked, served = self.begin(get_fields(), end=True)
        other = self.client()
        if self.SIDE == "inbound":
            beside = self.accept()
        fine = other.request(get_fields("/other"), end=True)
        seen = (beside if self.SIDE == "inbound" else served.connection).next_request()
        asked.connection.request(get_fields(extra=[self.GIANT]), end=True)
        self.assertEqual(asked.connection.wait_goaway()[1], COMPRESSION_ERROR)
        asked.connection.wait_closed()
        seen.headers([(":status", "200")], end=True)
        self.assertEqual(fine.wait_end().status, 200)

    def test_a_response_field_too_large_for_the_library_is_answered_by_name(self):
        """So are the calls beside it, which the same connection carried; each client's own connection goes on."""
        call, seen = self.begin(grpc_fields(), end=True)
        beside, _ = self.again(call, seen, grpc_fields(), end=True)
        seen.headers([*OK, self.GIANT], end=True)
        for stream in (call, beside):
            self.assertEqual((stream.wait_end().status, stream.value("grpc-status")), (200, b"13"))
            self.assertIn(b"protocol", stream.value("grpc-message"))
        if self.SIDE == "outbound":
            more = call.connection.request(grpc_fields(), end=True)
            self.accept().next_request().headers([*OK, *STATUS], end=True)
            self.assertEqual(more.wait_end().value("grpc-status"), b"0")


if __name__ == "__main__":
    unittest.main()
