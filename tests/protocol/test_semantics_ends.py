#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How messages begin and end: informational responses, trailers, half-close, early answers, resets."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sides import as_bytes, on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import CANCEL, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, get_fields, grpc_fields, grpc_message  # noqa: E402

OK = [(":status", "200"), ("content-type", "application/grpc")]
STATUS = [("grpc-status", "0")]
POST = get_fields(method="POST")
MUCH = bytes(range(256)) * 8192  # 2 MiB: more than a stream's window at every hop
CODES = [*range(14), 14, 0xff, 0x12345678, 0xffffffff]


@on_both_sides
class Informational:
    def test_several_come_before_the_response_in_their_order(self):
        asked, served = self.begin(get_fields(), end=True)
        sent = [[(":status", "103"), ("link", "</a>")], [(":status", "102")], [(":status", "103"), ("link", "</b>"), ("link", "</c>")],
                [(":status", "199"), ("x", "y")], [(":status", "200"), ("x", "final")]]
        for block in sent:
            served.headers(block)
        served.data(b"body").headers(STATUS, end=True)
        asked.wait_end()
        self.assertEqual([b.fields for b in asked.blocks], [as_bytes(b) for b in [*sent, STATUS]])
        self.assertEqual([b.is_end for b in asked.blocks], [False] * 5 + [True])

    def test_continue_comes_before_the_body_is_sent(self):
        asked, served = self.begin(get_fields(method="POST", extra=[("expect", "100-continue")]))
        self.assertEqual(served.value("expect"), b"100-continue")
        served.headers([(":status", "100")])
        self.assertEqual(asked.wait_headers().fields, [(b":status", b"100")])
        asked.data(b"body", end=True)
        self.assertEqual(served.wait_end().body_bytes, b"body")
        served.headers([(":status", "200")], end=True)
        self.assertEqual(asked.wait_end().status, 200)

    def test_a_response_without_body_after_one(self):
        asked, served = self.begin(get_fields(), end=True)
        served.headers([(":status", "103")]).headers([(":status", "404")], end=True)
        asked.wait_end()
        self.assertEqual([b.fields[0][1] for b in asked.blocks], [b"103", b"404"])

    def test_a_reset_after_one_is_a_reset(self):
        asked, served = self.begin(get_fields(), end=True)
        served.headers([(":status", "103")])
        asked.wait_headers()
        served.reset(CANCEL)
        self.assertEqual(asked.wait_reset(), CANCEL)


@on_both_sides
class Trailers:
    def test_of_a_response_without_body(self):
        asked, served = self.begin(grpc_fields(), end=True)
        served.headers(OK).headers(STATUS, end=True)
        asked.wait_end()
        self.assertEqual([b.fields for b in asked.blocks], [as_bytes(OK), as_bytes(STATUS)])
        self.assertEqual(asked.body_len, 0)

    def test_of_a_request_without_body(self):
        asked, served = self.begin(grpc_fields())
        asked.headers([("x-checksum", "none")], end=True)
        served.wait_end()
        self.assertEqual((served.trailers, served.body_len), ([(b"x-checksum", b"none")], 0))

    def test_come_after_a_body_larger_than_the_windows(self):
        asked, served = self.begin(grpc_fields())
        asked.body(MUCH, end=False).headers([("x-checksum", "1")], end=True)
        served.wait_end()
        self.assertEqual((served.body_bytes, served.trailers), (MUCH, [(b"x-checksum", b"1")]))
        served.headers(OK).body(MUCH, end=False).headers(STATUS, end=True)
        asked.wait_end()
        self.assertEqual((asked.body_bytes, asked.trailers), (MUCH, as_bytes(STATUS)))

    def test_only_is_one_block(self):
        only = [*OK, ("grpc-status", "5"), ("grpc-message", "not%20here")]
        asked, served = self.begin(grpc_fields())
        asked.data(grpc_message(b"x"), end=True)
        served.wait_end().headers(only, end=True)
        asked.wait_end()
        self.assertEqual([(b.fields, b.is_end) for b in asked.blocks], [(as_bytes(only), True)])

    def test_only_as_an_early_answer_to_an_open_request(self):
        only = [*OK, ("grpc-status", "16")]
        asked, served = self.begin(grpc_fields())
        served.headers(only, end=True).reset(NO_ERROR)
        asked.wait_end()
        self.assertEqual(([b.fields for b in asked.blocks], asked.wait_reset()), ([as_bytes(only)], NO_ERROR))
        self.check_alive(asked, served)


@on_both_sides
class Ends:
    def test_end_of_stream_on_headers_on_data_and_on_empty_data(self):
        asked, served = self.begin(POST, end=True)
        served.headers([(":status", "204")], end=True)
        asked.wait_end()
        self.assertEqual((served.blocks[0].is_end, asked.blocks[0].is_end, served.body_len), (True, True, 0))
        asked, served = self.again(asked, served, POST)
        asked.data(b"question", end=True)
        served.wait_end().headers([(":status", "200")]).data(b"answer", end=True)
        self.assertEqual((served.body_bytes, asked.wait_end().body_bytes), (b"question", b"answer"))
        asked, served = self.again(asked, served, POST)
        asked.data(b"question").data(b"", end=True)
        served.wait_end().headers([(":status", "200")]).data(b"answer").data(b"", end=True)
        self.assertEqual((served.body_bytes, asked.wait_end().body_bytes), (b"question", b"answer"))
        asked, served = self.again(asked, served, POST)
        asked.data(b"", end=True)
        served.wait_end().headers([(":status", "200")]).data(b"", end=True)
        self.assertEqual((served.body_len, asked.wait_end().body_len), (0, 0))

    def test_headers_pass_before_any_body_and_body_before_the_end(self):
        asked, served = self.begin(POST)
        self.assertFalse(served.is_ended)
        asked.data(b"1")
        self.assertFalse(served.wait_data(1).is_ended)
        served.headers([(":status", "200")])
        self.assertFalse(asked.wait_headers().is_end)
        served.data(b"2")
        self.assertFalse(asked.wait_data(1).is_ended)
        asked.data(b"", end=True)
        served.wait_end().data(b"", end=True)
        asked.wait_end()

    def test_a_client_that_has_finished_is_still_answered_at_length(self):
        asked, served = self.begin(POST)
        asked.data(b"question", end=True)
        served.wait_end().headers([(":status", "200")])
        for size in (1, 70_000, 1):
            served.body(bytes(size), end=False)
        served.data(b"", end=True)
        self.assertEqual(asked.wait_end().body_len, 70_002)

    def test_a_server_that_has_finished_still_gets_the_rest_of_the_request(self):
        asked, served = self.begin(POST)
        served.headers([(":status", "200")]).data(b"answer", end=True)
        self.assertEqual(asked.wait_end().body_bytes, b"answer")
        asked.body(MUCH, end=False).headers([("x-checksum", "1")], end=True)
        served.wait_end()
        self.assertEqual((served.body_bytes, served.trailers), (MUCH, [(b"x-checksum", b"1")]))
        asked.connection.ping()
        self.assertIsNone(asked.reset_code)
        self.check_alive(asked, served)

    def test_an_early_answer_with_a_reset_ends_the_request_and_nothing_else(self):
        """RFC 9113 §8.1: what the client had under way is thrown away, and its credit comes back."""
        asked, served = self.begin(POST)
        other, seen = self.again(asked, served, POST)
        asked.body(bytes(100_000), end=False)
        served.headers([(":status", "413")]).data(b"too large", end=True).reset(NO_ERROR)
        asked.wait_end()
        self.assertEqual((asked.status, asked.body_bytes, asked.wait_reset()), (413, b"too large", NO_ERROR))
        asked.data(b"late").data(b"later", end=True)
        for _ in range(3):  # more than the connection's window in all
            other.body(MUCH, end=False)
        other.data(b"", end=True)
        self.assertEqual(seen.wait_end().body_len, 3 * len(MUCH))
        seen.headers([(":status", "200")], end=True)
        self.assertEqual(other.wait_end().status, 200)
        self.check_alive(asked, served)

    def test_a_client_that_leaves_after_an_early_answer_tells_the_server(self):
        asked, served = self.begin(POST)
        served.headers([(":status", "200")]).data(b"answer", end=True)
        asked.wait_end().reset(NO_ERROR)
        self.assertEqual(served.wait_reset(), NO_ERROR)
        self.check_alive(asked, served)

    def test_responses_without_bodies_keep_their_content_length(self):
        asked, served = self.begin(get_fields(method="HEAD"), end=True)
        served.headers([(":status", "200"), ("content-length", "12345")], end=True)
        self.assertEqual((asked.wait_end().value("content-length"), asked.blocks[0].is_end), (b"12345", True))
        for status in ("204", "304"):
            asked, served = self.again(asked, served, get_fields(), end=True)
            answer = [(":status", status), ("etag", "x")] + ([("content-length", "12345")] if status == "304" else [])
            served.headers(answer, end=True)
            self.assertEqual((asked.wait_end().fields, asked.blocks[0].is_end), (as_bytes(answer), True))
        self.check_alive(asked, served)

    def test_content_length_stays_with_a_body_in_many_frames(self):
        asked, served = self.begin(get_fields(method="PUT", extra=[("content-length", "300000")]))
        asked.body(bytes(300_000))
        self.assertEqual((served.wait_end().body_len, served.value("content-length")), (300_000, b"300000"))
        served.headers([(":status", "200"), ("content-length", "300000")]).body(bytes(300_000))
        self.assertEqual((asked.wait_end().body_len, asked.value("content-length")), (300_000, b"300000"))


@on_both_sides
class Resets:
    def test_every_code_of_a_client_reaches_the_server(self):
        asked, served = self.begin(POST)
        for code in CODES:
            asked.reset(code)
            self.assertEqual(served.wait_reset(), code)
            asked, served = self.again(asked, served, POST)
        asked.reset(CANCEL)
        self.check_alive(asked, served)

    def test_every_code_of_a_server_that_has_begun_to_answer_reaches_the_client(self):
        """But REFUSED_STREAM, which says that nothing was done and may be done again: that is not so any more."""
        asked, served = self.begin(POST)
        for code in CODES:
            served.headers([(":status", "200")]).data(b"part")
            asked.wait_data(4)
            served.reset(code)
            expected = INTERNAL_ERROR if code == REFUSED_STREAM else code
            self.assertEqual((asked.wait_reset(), asked.is_ended, asked.body_bytes), (expected, False, b"part"))
            asked, served = self.again(asked, served, POST)
        served.reset(CANCEL)
        self.check_alive(asked, served)

    def test_every_code_of_a_server_that_has_not_answered_reaches_the_client(self):
        """REFUSED_STREAM is tried elsewhere first; here there is no other endpoint, and the client may repeat the request."""
        asked, served = self.begin(POST)
        for code in CODES:
            served.reset(code)
            self.assertEqual((asked.wait_reset(), asked.blocks), (code, []))
            asked, served = self.again(asked, served, POST)
        served.reset(CANCEL)
        self.check_alive(asked, served)

    def test_a_reset_crosses_with_a_body_under_way_and_its_credit_comes_back(self):
        """Ten streams, each with more bytes under way than a connection's first window holds, are reset by either end."""
        asked, served = self.begin(POST)
        first, first_seen = asked, served
        for i in range(10):
            asked.body(bytes(60_000), end=False)
            served.headers([(":status", "200")]).body(bytes(60_000), end=False)
            if i % 2:
                asked.reset(CANCEL)
                self.assertEqual(served.wait_reset(), CANCEL)
            else:
                served.reset(CANCEL)
                self.assertEqual(asked.wait_reset(), CANCEL)
            asked, served = self.again(asked, served, POST)
        asked.body(MUCH)
        self.assertEqual(served.wait_end().body_len, len(MUCH))
        served.headers([(":status", "200")]).body(MUCH)
        self.assertEqual(asked.wait_end().body_len, len(MUCH))
        self.check_alive(first, first_seen)

    def test_a_refused_stream_was_not_seen_by_the_client_as_anything_else(self):
        asked, served = self.begin(POST)
        asked.data(b"", end=True)
        served.wait_end().reset(REFUSED_STREAM)
        self.assertEqual((asked.wait_reset(), asked.blocks), (REFUSED_STREAM, []))


if __name__ == "__main__":
    unittest.main()
