# SPDX-License-Identifier: Apache-2.0
"""Clients that do not read: what they make the proxy hold is bounded, others on the same connections go on, and who holds too much goes."""
import struct
import threading
import time
import unittest

import tcp  # noqa: F401 (tests/lib becomes importable)
from h2raw import (DATA, END_STREAM, ENHANCE_YOUR_CALM, INITIAL_WINDOW_SIZE, PREFACE, REFUSED_STREAM, WINDOW_UPDATE, Client, frame,
                   grpc_fields, grpc_request, read_frame, settings_frame)
from mesh import wait_until
from raw_service import PORT, RawMesh

MIB = 1 << 20
SMALL_BUDGETS = ("--stream-window-bytes", "64KiB", "--connection-buffer-bytes", "1MiB", "--buffer-bytes", "8MiB")


def large_answer(size):
    """As much as asked for, from a thread of its own: it waits for windows."""
    def serve(stream):
        def send():
            try:
                stream.headers([(":status", "200"), ("content-type", "application/grpc")]).body(bytes(size), end=False)
                stream.headers([("grpc-status", "0")], end=True)
            except AssertionError:
                pass  # reset, or the test is over: the client's side tells

        threading.Thread(target=send, daemon=True).start()

    return serve


class SlowReaders(RawMesh):
    FLAGS = SMALL_BUDGETS

    def setUp(self):
        """The gauge is set once a second: it may still show what the test before this one had left waiting."""
        super().setUp()
        wait_until(lambda: self.proxy.metric("buffered_bytes") == 0, "nothing waits")

    def stall(self, client, count):
        """So many requests whose answers are not read beyond their first byte's worth of window."""
        asked = [client.request(grpc_fields(), end=True) for _ in range(count)]
        for stream in asked:
            stream.wait_headers()
        return asked

    def stalled_client(self, service):
        """Its own window is all that it takes: it never gives credit."""
        client = self.client(service, credit=False)
        client.wait_settings()
        return client

    def client(self, service, **options):
        client = Client(self.client_pod.connect(service.vip, PORT), **options)
        self.addCleanup(client.close)
        return client

    def is_served(self, client):
        """A whole answer; False if it was refused, which may be repeated."""
        asked = client.request(grpc_fields(), end=True)
        client.wait(lambda: asked.is_over, "the end of the answer")
        self.assertIn(asked.reset_code, (None, REFUSED_STREAM))
        self.assertIsNone(client.closed)
        return asked.is_ended and asked.body_len == 3 * MIB

    def test_stalled_readers_do_not_hold_up_others_on_the_same_connection(self):
        service = self.service(1, then=large_answer(3 * MIB))
        slow = self.stalled_client(service)
        stalled = self.stall(slow, 12)
        quick = self.client(service)
        for _ in range(3):
            asked = quick.request(grpc_fields(), end=True).wait_end()
            self.assertEqual(asked.body_len, 3 * MIB)
        self.assertEqual(len(service.connections), 1, "all of them shared one connection to the endpoint")
        self.assertEqual([s.is_over for s in stalled], [False] * 12)

    def test_what_stalled_readers_hold_is_flat(self):
        service = self.service(1, then=large_answer(3 * MIB))
        slow = self.stalled_client(service)
        stalled = self.stall(slow, 12)
        held = 12 * 64 * 1024 - 65535  # the windows they started with, less what the client's own has taken
        wait_until(lambda: self.proxy.metric("buffered_bytes") >= held, "the windows are full")
        quick = self.client(service)
        for _ in range(5):
            quick.request(grpc_fields(), end=True).wait_end()
        self.assertLessEqual(self.proxy.metric("buffered_bytes"), 12 * 64 * 1024 + 65536)
        for stream in stalled:
            stream.reset()
        slow.ping()
        wait_until(lambda: self.proxy.metric("buffered_bytes") == 0, "all of it is gone")

    def test_over_its_share_a_client_gets_no_new_streams(self):
        service = self.service(1, then=large_answer(3 * MIB))
        slow = self.stalled_client(service)
        self.stall(slow, 20)
        wait_until(lambda: self.proxy.metric("buffered_bytes") > MIB, "more than one connection's share waits")
        refused = self.proxy.metric("buffer_refusals_total")
        self.assertEqual(slow.request(grpc_fields(), end=True).wait_reset(), REFUSED_STREAM)
        wait_until(lambda: self.proxy.metric("buffer_refusals_total") > refused, "it is counted")
        self.assertEqual(self.client(service).request(grpc_fields(), end=True).wait_end().body_len, 3 * MIB)
        self.assert_connection_lives(slow)

    def test_past_twice_its_share_a_client_is_sent_away(self):
        service = self.service(1, then=large_answer(3 * MIB))
        before = self.proxy.metric("resident_memory_bytes")
        evicted = self.proxy.metric("buffer_evictions_total")
        slow = self.stalled_client(service)
        for _ in range(200):
            slow.request(grpc_fields(), end=True)
        self.assertEqual(slow.wait_goaway()[1], ENHANCE_YOUR_CALM)
        slow.wait_closed()
        self.assertEqual(self.client(service).request(grpc_fields(), end=True).wait_end().body_len, 3 * MIB)
        wait_until(lambda: self.proxy.metric("buffer_evictions_total") == evicted + 1, "it is counted")
        wait_until(lambda: self.proxy.metric("closes_total", reason="buffer_limit") == evicted + 1, "and its connection's end, too")
        self.assertLess(self.proxy.metric("resident_memory_bytes") - before, 64 * MIB)

    def test_all_together_stay_within_the_processs_budget(self):
        """Each within its own share; together they would hold more than there is."""
        service = self.service(1, then=large_answer(3 * MIB))
        evicted = self.proxy.metric("buffer_evictions_total")
        slow = [self.stalled_client(service) for _ in range(16)]
        for client in slow:
            for _ in range(14):
                client.request(grpc_fields(), end=True)
        wait_until(lambda: self.proxy.metric("buffer_evictions_total") > evicted, "somebody was sent away")
        quick = self.client(service)
        wait_until(lambda: self.is_served(quick), "and others are served again")
        self.assertGreater(sum(c.closed is None for c in slow), 0, "not everybody")


class SleepingReaders(RawMesh):
    FLAGS = ("--tcp-keepalive", "1s")

    def test_a_client_that_sleeps_with_bytes_under_way_to_it_is_not_taken_for_gone(self):
        """Its kernel answers the probes of its closed window, for several times as long as a host that is gone has."""
        size = 16 * MIB
        service = self.service(1, then=large_answer(size))
        s = self.client_pod.connect(service.vip, PORT, timeout=120)
        self.addCleanup(s.close)
        window = (1 << 31) - 1 - 65535
        s.sendall(PREFACE + settings_frame({INITIAL_WINDOW_SIZE: window}) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", window)) +
                  grpc_request(1))
        time.sleep(8)
        got, is_ended = 0, False
        while not is_ended:
            kind, flags, stream, payload = read_frame(s)
            got += len(payload) if kind == DATA else 0
            is_ended = stream == 1 and flags & END_STREAM
        self.assertEqual(got, size)


if __name__ == "__main__":
    unittest.main()
