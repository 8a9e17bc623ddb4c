#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Header fields pass as they are: order, bytes, duplicates, indexing; of requests, responses and trailers."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sides import as_bytes, on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import (HEADER_TABLE_SIZE, INDEX, NEVER, PRIORITY, encode, frame, get_fields, grpc_fields, header_frames,  # noqa: E402
                   grpc_message)

EVERY_BYTE = bytes(b for b in range(0x21, 0x100) if b != 0x7F)


@on_both_sides
class Fields:
    def check_passes(self, extra):
        """These fields pass in a request, its trailers, a response and its trailers: all of them, in this order, and nothing else."""
        request, response = grpc_fields(extra=extra), [(":status", "200"), *extra]
        asked, served = self.begin(request)
        asked.data(b"body").headers(extra, end=True)
        served.wait_end()
        self.assertEqual(served.fields, as_bytes(request))
        self.assertEqual(served.trailers, as_bytes(extra))
        served.headers(response).data(b"body").headers(extra, end=True)
        asked.wait_end()
        self.assertEqual(asked.fields, as_bytes(response))
        self.assertEqual(asked.trailers, as_bytes(extra))
        return asked, served

    def test_order_and_duplicates_are_kept(self):
        self.check_passes([("b", "2"), ("a", "1"), ("b", "2"), ("c", "3"), ("a", "0"), ("b", "1")])

    def test_pseudo_headers_keep_their_order(self):
        asked, served = self.begin(grpc_fields(), end=True)
        for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)):
            fields = [grpc_fields()[i] for i in order] + grpc_fields()[4:]
            asked, served = self.again(asked, served, fields, end=True)
            self.assertEqual(served.fields, as_bytes(fields))

    def test_a_field_may_be_empty(self):
        self.check_passes([("empty", ""), ("empty-bin", ""), ("full", "x"), ("empty", "")])

    def test_every_legal_byte_of_a_value_passes(self):
        self.check_passes([("all", EVERY_BYTE), ("inner", b"a \t b"), ("high", bytes(range(0x80, 0x100)))])

    def test_every_legal_character_of_a_name_passes(self):
        self.check_passes([("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", "v")])

    def test_binary_metadata_passes_as_it_is_written(self):
        self.check_passes([("trace-bin", "AAECAw=="), ("trace-bin", "AAECAw"), ("trace-bin", "AA==,AQ==,,+/8="), ("x-bin", "a,b")])

    def test_cookie_crumbs_stay_apart(self):
        self.check_passes([("cookie", "a=b"), ("x", "between"), ("cookie", "c=d"), ("cookie", "e=" + "f" * 50)])

    def test_set_cookies_stay_apart(self):
        self.check_passes([("set-cookie", "a=b, c"), ("set-cookie", "d=e")])

    def test_te_and_content_headers_of_grpc_pass(self):
        request = grpc_fields(extra=[("grpc-timeout", "5S"), ("grpc-encoding", "gzip"), ("grpc-accept-encoding", "identity,gzip"),
                                     ("user-agent", "raw/1"), ("content-length", "8")])
        asked, served = self.begin(request)
        asked.data(grpc_message(b"abc"), end=True)
        self.assertEqual(served.wait_end().fields, as_bytes(request))

    def test_a_request_without_a_content_type_passes(self):
        fields = get_fields("/", method="POST")
        asked, served = self.begin(fields)
        asked.data(b"body", end=True)
        self.assertEqual((served.wait_end().fields, served.body_bytes), (as_bytes(fields), b"body"))

    def test_the_priority_header_passes(self):
        self.check_passes([("priority", "u=1, i")])

    def test_priorities_of_the_old_kind_change_nothing(self):
        fields = grpc_fields()
        client = self.client()
        client.send(frame(PRIORITY, 0, 9, b"\0\0\0\7\x10"),
                    header_frames(1, encode(fields), end=True, priority=b"\x80\0\0\3\xff"))
        served = self.accept().next_request()
        self.assertEqual((served.fields, served.blocks[0].is_end), (as_bytes(fields), True))

    def test_names_of_a_proxy_are_not_added(self):
        asked, served = self.begin(get_fields(), end=True)
        served.headers([(":status", "200")], end=True)
        names = {n for n, _ in served.fields + asked.wait_end().fields}
        self.assertEqual(names, {b":method", b":scheme", b":authority", b":path", b":status"})

    def test_grpc_web_passes_with_its_trailers_in_the_body(self):
        fields = get_fields("/a.B/C", method="POST", extra=[("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")])
        body = grpc_message(b"answer") + b"\x80\0\0\0\x0fgrpc-status: 0\n"
        asked, served = self.begin(fields)
        asked.data(grpc_message(b"question"), end=True)
        self.assertEqual((served.wait_end().fields, served.body_bytes), (as_bytes(fields), grpc_message(b"question")))
        served.headers([(":status", "200"), ("content-type", "application/grpc-web+proto")]).data(body, end=True)
        self.assertEqual((asked.wait_end().body_bytes, len(asked.blocks)), (body, 1))


@on_both_sides
class Indexing:
    def test_never_indexed_stays_never_indexed_and_nothing_else_becomes_it(self):
        extra = [("x-secret", "hush", NEVER), ("x-open", "hello"), ("x-indexed", "again", INDEX), ("grpc-message", "no", NEVER)]
        asked, served = self.begin(grpc_fields(extra=extra))
        asked.headers(extra, end=True)
        served.wait_end().headers([(":status", "200"), *extra]).headers(extra, end=True)
        asked.wait_end()
        for block in (*served.blocks, *asked.blocks):
            self.assertEqual(block.never, {b"x-secret", b"grpc-message"})

    def test_a_hundred_requests_with_changing_fields_share_the_table(self):
        asked, served = self.begin(get_fields(), end=True)
        for i in range(100):
            fields = get_fields(f"/{i}", extra=[("a", f"value {i % 7}", INDEX), (f"name-{i % 30}", "x" * (i * 37 % 900), INDEX)])
            more, seen = self.again(asked, served, fields, end=True)
            self.assertEqual(seen.fields, as_bytes(fields))
            answer = [(":status", "200"), ("server", f"s{i % 5}", INDEX), (f"r-{i % 40}", "y" * (i * 91 % 700), INDEX)]
            seen.headers(answer, end=True)
            self.assertEqual(more.wait_end().fields, as_bytes(answer))

    def test_a_peer_without_a_table_gets_no_entries(self):
        """Its decoder, the test's, refuses an entry that does not fit."""
        none = {"settings": {HEADER_TABLE_SIZE: 0}}
        fields = grpc_fields(extra=[("a", "1", INDEX)])
        asked, served = self.begin(fields, end=True, client=none, server=none)
        for _ in range(5):
            served.headers([(":status", "200"), ("b", "2", INDEX)], end=True)
            self.assertEqual(asked.wait_end().fields, [(b":status", b"200"), (b"b", b"2")])
            asked, served = self.again(asked, served, fields, end=True)
            self.assertEqual(served.fields, as_bytes(fields))

    def test_a_peer_with_a_large_table_is_understood(self):
        large = {"settings": {HEADER_TABLE_SIZE: 65536}}
        asked, served = self.begin(get_fields(), end=True, client=large, server=large)
        for i in range(50):
            fields = get_fields(extra=[(f"name-{i % 20}", "v" * 700, INDEX)])
            asked, served = self.again(asked, served, fields, end=True)
            self.assertEqual(served.fields, as_bytes(fields))
            served.headers([(":status", "200"), (f"name-{i % 20}", "w" * 700, INDEX)], end=True)
            self.assertEqual(asked.wait_end().fields, [(b":status", b"200"), (b"name-%d" % (i % 20), b"w" * 700)])


@on_both_sides
class Series:
    def test_nothing_that_a_peer_writes_becomes_a_series(self):
        """Authorities, paths, methods and statuses are anybody's choice: they may not cost memory, or a scrape its size."""
        asked, served = self.begin(get_fields(), end=True)
        served.headers([(":status", "299"), ("grpc-status", "17")], end=True)
        asked.wait_end()
        before = set(self.proxy.metrics())
        for i in range(100):
            asked, served = self.again(asked, served, get_fields(f"/{i}", f"host-{i}", method=f"M{i}"), end=True)
            served.headers([(":status", str(230 + i % 70)), ("grpc-status", str(18 + i)), ("server", f"s{i}")], end=True)
            asked.wait_end()
        self.assertEqual(set(self.proxy.metrics()) - before, set())


if __name__ == "__main__":
    unittest.main()
