#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bodies: framing that changes nothing, and any number of bytes in bounded memory.

OUTRIGGER_TEST_BODY_BYTES says how large the largest are (tests/run asks for more than 2 GiB, except with --quick).
"""
import os
import re
import struct
import sys
import threading
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sides import on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from mesh import BUILD  # noqa: E402
from h2raw import (DATA, END_STREAM, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PADDED, PING, encode, frame, get_fields, grpc_fields,  # noqa: E402
                   header_frames, settings_frame)

POST = get_fields(method="POST")
OK = [(":status", "200")]
LARGE = int(os.environ.get("OUTRIGGER_TEST_BODY_BYTES", 300_000_000))
CHUNK = os.urandom(1 << 20)
MUCH = bytes(range(256)) * 8192


def send_chunks(stream, total):
    """A body of repeated CHUNKs; returns its crc32."""
    left, crc = total, 0
    while left:
        piece = CHUNK[:left]
        stream.body(piece, end=left == len(piece))
        crc = zlib.crc32(piece, crc)
        left -= len(piece)
    return crc


def at_once(*actions):
    """Runs them side by side; returns their results in order."""
    results, errors = [None] * len(actions), []

    def run(i):
        try:
            results[i] = actions[i]()
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(actions))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


def resident_kib(proxy):
    with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s*(\d+)", f.read())[1])


@on_both_sides
class Framing:
    def send_padded(self, stream, byte, count):
        for _ in range(count):
            stream.connection.spend(stream, 257, least=257)
            stream.connection.send(frame(DATA, PADDED, stream.id, b"\xff" + byte + bytes(255)))

    def test_padding_is_taken_off_and_its_credit_comes_back(self):
        """Of HEADERS and DATA, both ways; more padding in all than any window holds."""
        asked, served = self.begin(POST, pad=255)
        self.send_padded(asked, b"x", 20_000)
        asked.data(b"", end=True, pad=0)
        self.assertEqual(served.wait_end().body_bytes, b"x" * 20_000)
        served.headers(OK, pad=0)
        self.send_padded(served, b"y", 20_000)
        served.headers([("a", "b")], end=True, pad=100)
        self.assertEqual((asked.wait_end().body_bytes, asked.trailers), (b"y" * 20_000, [(b"a", b"b")]))
        self.check_alive(asked, served)

    def test_empty_data_frames_between_others_change_nothing(self):
        asked, served = self.begin(POST)
        asked.data(b"a").data(b"").data(b"b").data(b"").data(b"c").data(b"", end=True)
        self.assertEqual(served.wait_end().body_bytes, b"abc")
        served.headers(OK).data(b"").data(b"d").data(b"").data(b"e", end=True)
        self.assertEqual(asked.wait_end().body_bytes, b"de")

    def test_unknown_frames_settings_and_flags_are_ignored(self):
        asked, served = self.begin(POST)
        for end in (asked, served):
            end.connection.send(frame(0x0A, 0xFF, 0, b"ALTSVC"), frame(0xBE, 0xFF, end.id, b"?" * 100), frame(0xFF, 0, 77, b""),
                                settings_frame({0x99: 1, 0xFFFF: 0xFFFFFFFF, 0x0A0A: 5}))
        asked.connection.send(frame(DATA, END_STREAM | 0xF6, asked.id, b"body"))
        self.assertEqual(served.wait_end().body_bytes, b"body")
        served.connection.send(header_frames(served.id, encode(OK)), frame(DATA, END_STREAM | 0xF6, served.id, b"answer"))
        self.assertEqual(asked.wait_end().body_bytes, b"answer")
        self.check_alive(asked, served)
        self.assertGreaterEqual(min(asked.connection.settings_acks, served.connection.settings_acks), 2)

    def test_reserved_bits_are_ignored(self):
        client = self.client()
        connection = self.accept() if self.SIDE == "inbound" else None
        client.open()
        client.send(frame(1, 0x05, 0x80000001, encode(get_fields())), frame(PING, 0, 0x80000000, b"reserved"))
        served = (connection or self.accept()).next_request()
        served.headers(OK)
        served.connection.send(frame(DATA, END_STREAM, 0x80000000 | served.id, b"x"))
        self.assertEqual(client.streams[1].wait_end().body_bytes, b"x")

    def test_peers_that_take_large_frames_get_the_same_bytes(self):
        large = {"settings": {MAX_FRAME_SIZE: 16777215, INITIAL_WINDOW_SIZE: 2**31 - 1}}
        asked, served = self.begin(grpc_fields(extra=[("big", "v" * 50_000)]), client=large, server=large)
        asked.body(MUCH)
        self.assertEqual((served.wait_end().body_bytes, len(served.value("big"))), (MUCH, 50_000))
        served.headers(OK).body(MUCH)
        self.assertEqual(asked.wait_end().body_bytes, MUCH)

    def test_a_window_of_one_byte_passes_a_body_byte_by_byte(self):
        tiny = {"settings": {INITIAL_WINDOW_SIZE: 1}}
        asked, served = self.begin(POST, client=tiny, server=tiny)
        asked.data(b"0123456789", end=True)
        self.assertEqual((served.wait_end().body_bytes, served.data_sizes[:10]), (b"0123456789", [1] * 10))
        served.headers(OK).data(b"9876543210", end=True)
        self.assertEqual((asked.wait_end().body_bytes, asked.data_sizes[:10]), (b"9876543210", [1] * 10))

    def test_a_window_that_shrinks_below_zero_is_heeded(self):
        asked, served = self.begin(POST, server={"credit": False})
        asked.body(bytes(50_000), end=False)
        served.wait_data(50_000)
        served.connection.settings({INITIAL_WINDOW_SIZE: 10_000})
        served.connection.wait(lambda: served.connection.settings_acks == 2, "the ACK of smaller windows")
        asked.body(bytes(5_000))
        served.credit(40_000)  # back at zero
        served.connection.ping()
        self.assertEqual(served.body_len, 50_000)
        served.credit(5_000)
        self.assertEqual(served.wait_end().body_len, 55_000)


@on_both_sides
@unittest.skipIf(BUILD.endswith("san"), "a sanitizer keeps what was freed")
class Bounded:
    KEEP_NOTHING = {"keep": False}

    def begin_large(self):
        asked, served = self.begin(POST, client=self.KEEP_NOTHING, server=self.KEEP_NOTHING)
        served.headers(OK)
        asked.wait_headers()
        return asked, served

    def check_flat(self, before, windows):
        """No more than what `windows` streams may hold, and slack for the allocator."""
        grown = resident_kib(self.proxy) - before
        self.assertLess(grown, windows * 1024 + 16 * 1024, f"KiB more resident memory than before {LARGE} bytes")

    def test_large_bodies_both_ways_at_once_leave_memory_flat(self):
        asked, served = self.begin_large()
        before = resident_kib(self.proxy)
        up, down = at_once(lambda: send_chunks(asked, LARGE), lambda: send_chunks(served, LARGE))
        self.check_flat(before, 2)
        self.assertEqual((served.wait_end().body_len, served.body_sum), (LARGE, up))
        self.assertEqual((asked.wait_end().body_len, asked.body_sum), (LARGE, down))
        self.check_flat(before, 2)

    def test_slow_readers_at_both_ends_hold_their_windows_and_no_more(self):
        """A transfer in both directions, pushed as fast as credit allows; the readers give 64 KiB of it at a time."""
        slow = {"credit": False, "keep": False}
        asked, served = self.begin(POST, client=slow, server=slow)
        served.headers(OK)
        asked.wait_headers()
        before = resident_kib(self.proxy)
        total = min(LARGE, 30_000_000)
        peak = [0]

        def read(stream):
            given = 65_535
            while stream.body_len < total:
                stream.wait_data(min(given, total))
                peak[0] = max(peak[0], resident_kib(self.proxy))
                stream.connection.send(frame(8, 0, 0, struct.pack(">I", 65_536)), frame(8, 0, stream.id, struct.pack(">I", 65_536)))
                given += 65_536
            return stream.wait_end().body_sum

        up, down, at_server, at_client = at_once(lambda: send_chunks(asked, total), lambda: send_chunks(served, total),
                                                 lambda: read(served), lambda: read(asked))
        self.assertEqual((at_server, at_client), (up, down))
        self.assertLess(peak[0] - before, 2 * 1024 + 16 * 1024)

    def test_readers_that_stop_hold_no_more_than_their_window_however_much_is_sent(self):
        asked, served = self.begin(POST, client={"credit": False, "keep": False}, server={"credit": False, "keep": False})
        served.headers(OK)
        asked.wait_headers()
        sent = [0, 0]

        def fill(i, stream):
            try:
                while True:
                    stream.body(bytes(16384), end=False)
                    sent[i] += 16384
            except AssertionError:
                return
        threads = [threading.Thread(target=fill, args=(i, s), daemon=True) for i, s in enumerate((asked, served))]
        for t in threads:
            t.start()
        for stream in (asked, served):
            stream.wait_data(65_535)
            sender = served if stream is asked else asked
            sender.connection.wait(lambda s=sender: s.send_window <= 0 or s.connection.send_window <= 0, "the sender's window used up")
        self.assertLess(max(sent), 4 * 1024 * 1024)
        asked.reset()
        served.wait_reset()
        for t in threads:
            t.join(60)
            self.assertFalse(t.is_alive())
        asked.connection.ping()


if __name__ == "__main__":
    unittest.main()
