#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The raw HTTP/2 peers of the other tests, against each other: what they say of a proxy must be true of a wire without one."""
import os
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from h2raw import (CANCEL, CONTINUATION, DATA, INDEX, INITIAL_WINDOW_SIZE, NEVER, PREFACE, Client, Server, frame,  # noqa: E402
                   get_fields, grpc_fields)


class Wire(unittest.TestCase):
    def setUp(self):
        self.server = Server(socket.create_server(("127.0.0.1", 0)))
        self.addCleanup(self.server.close)

    def pair(self, client=None, server=None):
        c = Client(socket.create_connection(self.server.address), **(client or {}))
        self.addCleanup(c.close)
        return c, self.server.accept(**(server or {}))

    def test_a_request_and_its_answer(self):
        client, server = self.pair()
        asked = client.request(grpc_fields("/a.B/C")).data(b"one", pad=7).data(b"two", end=True)
        served = server.next_request().wait_end()
        self.assertEqual(server.preface, PREFACE)
        self.assertEqual(served.fields[2], (b":path", b"/a.B/C"))
        self.assertEqual((served.body_bytes, served.data_sizes), (b"onetwo", [3, 3]))
        served.headers([(":status", "103")]).headers([(":status", "200")]).data(b"x").headers([("grpc-status", "0")], end=True)
        asked.wait_end()
        self.assertEqual((asked.status, asked.body_bytes, asked.trailers), (200, b"x", [(b"grpc-status", b"0")]))

    def test_indexing_is_seen_as_it_was_sent(self):
        client, server = self.pair()
        client.request(get_fields(extra=[("a", "1", NEVER), ("b", "2", INDEX), ("c", "")]), end=True)
        block = server.next_request().wait_headers()
        self.assertEqual(block.never, {b"a"})
        self.assertEqual(block.fields[-3:], [(b"a", b"1"), (b"b", b"2"), (b"c", b"")])

    def test_a_large_block_comes_in_continuations(self):
        client, server = self.pair()
        client.request(get_fields(extra=[("big", "v" * 100_000)]), end=True)
        self.assertEqual(len(server.next_request().value("big")), 100_000)
        self.assertEqual([f.kind for f in server.frames].count(CONTINUATION), 6)

    def test_a_body_waits_for_the_windows(self):
        client, server = self.pair(server={"settings": {INITIAL_WINDOW_SIZE: 10}, "credit": False})
        client.wait_settings()
        asked = client.request(get_fields(method="POST"))
        served = server.next_request()
        client.ping()
        asked.body(b"0123456789", end=False)
        self.assertEqual(client.spend(asked, 5, wait=False), 5)
        served.credit(5)
        served.wait_data(10)
        self.assertEqual(served.body_len, 10)

    def test_bodies_larger_than_all_windows_pass_both_ways(self):
        client, server = self.pair({"keep": False}, {"keep": False})
        asked = client.request(get_fields(method="POST")).body(bytes(1_000_000))
        served = server.next_request().wait_end()
        served.headers([(":status", "200")]).body(bytes(1_000_000))
        self.assertEqual((served.body_len, asked.wait_end().body_len), (1_000_000, 1_000_000))
        self.assertEqual(served.body_sum, asked.body_sum)

    def test_credit_is_given_for_all_that_came_however_the_stream_ends(self):
        ends = {"trailers": lambda asked, served: served.headers([("grpc-status", "0")], end=True),
                "reset by the peer": lambda asked, served: served.reset(),
                "reset by ourselves": lambda asked, served: asked.reset()}
        for name, end in ends.items():
            with self.subTest(name):
                client, server = self.pair({"keep": False})
                asked = client.request(get_fields(), end=True)
                served = server.next_request().headers([(":status", "200")]).body(bytes(10_000), end=False)
                asked.wait_data(10_000)
                self.assertEqual(server.send_window, 65535 - 10_000)
                end(asked, served)
                server.wait(lambda: server.send_window == 65535, "credit for the last bytes")

    def test_resets_goaway_and_ends_are_told(self):
        client, server = self.pair()
        asked = client.request(get_fields())
        served = server.next_request()
        asked.reset(CANCEL)
        self.assertEqual(served.wait_reset(), CANCEL)
        server.send_goaway(1, 0, b"why")
        self.assertEqual(client.wait_goaway(), (1, 0, b"why"))
        server.abort()
        self.assertEqual(client.wait_closed(), "reset")

    def test_bytes_pass_as_they_are(self):
        client, server = self.pair()
        client.send(frame(0xbe, 3, 5, b"unknown"), frame(DATA, 0, 0, b"wrong"))
        server.wait(lambda: any(f[:3] == (0xbe, 3, 5) for f in server.frames), "the unknown frame")


if __name__ == "__main__":
    unittest.main()
