#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CONNECT (RFC 9113 §8.5) and extended CONNECT (RFC 8441): streams that carry bytes both ways for as long as both ends like."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sides import as_bytes, on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import CANCEL, CONNECT_ERROR, ENABLE_CONNECT_PROTOCOL, get_fields, grpc_fields  # noqa: E402

TUNNEL = [(":method", "CONNECT"), (":authority", "db.shop:5432"), ("x", "y")]
WEBSOCKET = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat?room=1"),
             (":authority", "echo.shop:80"), ("sec-websocket-version", "13"), ("origin", "http://echo.shop")]
MUCH = bytes(range(256)) * 8192
WITH_CONNECT = {"settings": {ENABLE_CONNECT_PROTOCOL: 1}}


@on_both_sides
class Tunnels:
    def open(self, fields, **options):
        asked, served = self.begin(fields, **options)
        self.assertEqual((served.fields, served.blocks[0].is_end), (as_bytes(fields), False))
        served.headers([(":status", "200"), ("x", "z")])
        self.assertEqual((asked.wait_headers().fields, asked.blocks[0].is_end), ([(b":status", b"200"), (b"x", b"z")], False))
        return asked, served

    def check_carries(self, asked, served):
        """Small pieces in turn, then much at once, then the ends one after the other."""
        for i in range(1, 4):
            asked.data(b"ping%d" % i)
            served.wait_data(5 * i).data(b"pong%d" % i)
            asked.wait_data(5 * i)
        served.body(MUCH, end=True)
        self.assertEqual(asked.wait_end().body_bytes, b"pong1pong2pong3" + MUCH)
        asked.body(MUCH, end=False)
        self.assertFalse(served.wait_data(15 + len(MUCH)).is_ended)
        asked.data(b"", end=True)
        self.assertEqual(served.wait_end().body_bytes, b"ping1ping2ping3" + MUCH)
        self.assertIsNone(asked.reset_code)

    def test_connect_carries_bytes_both_ways(self):
        asked, served = self.open(TUNNEL)
        self.check_carries(asked, served)
        self.check_alive(asked, served)

    def test_the_client_may_end_its_half_first(self):
        asked, served = self.open(TUNNEL)
        asked.data(b"all", end=True)
        served.wait_end().body(MUCH)
        self.assertEqual(asked.wait_end().body_len, len(MUCH))

    def test_a_connect_that_is_refused_is_an_ordinary_response(self):
        asked, served = self.begin(TUNNEL)
        served.headers([(":status", "403"), ("content-length", "2")]).data(b"no", end=True)
        self.assertEqual((asked.wait_end().status, asked.body_bytes), (403, b"no"))
        asked.reset(CANCEL)
        self.assertEqual(served.wait_reset(), CANCEL)
        self.check_alive(asked, served)

    def test_a_broken_tunnel_is_a_reset(self):
        asked, served = self.open(TUNNEL)
        served.data(b"half").reset(CONNECT_ERROR)
        self.assertEqual(asked.wait_reset(), CONNECT_ERROR)
        asked, served = self.again(asked, served, TUNNEL)
        served.headers([(":status", "200")])
        asked.wait_headers()
        asked.reset(CONNECT_ERROR)
        self.assertEqual(served.wait_reset(), CONNECT_ERROR)
        self.check_alive(asked, served)

    def test_extended_connect_carries_its_protocol_and_bytes_both_ways(self):
        asked, served = self.open(WEBSOCKET, server=WITH_CONNECT)
        self.assertEqual(asked.connection.peer_settings[ENABLE_CONNECT_PROTOCOL], 1)
        self.check_carries(asked, served)
        self.check_alive(asked, served)

    def test_extended_connect_is_not_sent_to_a_server_that_did_not_announce_it(self):
        """Outbound it cannot be known beforehand which endpoint a request will go to: 501 (RFC 8441 §3: a server's refusal). Inbound there
        is one app, what it does not announce is not announced, and a client that sends it all the same has made a mistake."""
        asked, served = self.begin(get_fields(), end=True)
        bold = asked.connection.request(WEBSOCKET)
        if self.SIDE == "outbound":
            self.assertEqual(bold.wait_end().status, 501)
            self.assertIn(b"CONNECT", bold.body_bytes)
        else:
            self.assertNotIn(ENABLE_CONNECT_PROTOCOL, asked.connection.peer_settings)
            self.assertEqual(bold.wait_reset(), 1)
        self.check_alive(asked, served)
        self.assertEqual(len(served.connection.streams), 2)

    def test_the_protocol_field_without_connect_is_malformed(self):
        asked, served = self.begin(grpc_fields(), end=True, server=WITH_CONNECT)
        bad = asked.connection.request([*get_fields()[:2], (":protocol", "websocket"), *get_fields()[2:]])
        self.assertEqual(bad.wait_reset(), 1)
        self.check_alive(asked, served)


if __name__ == "__main__":
    unittest.main()
