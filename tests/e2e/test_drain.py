# SPDX-License-Identifier: Apache-2.0
"""The end of a proxy as a client sees it, frame by frame: two GOAWAYs, what may still finish, what is cut off and how."""
import contextlib
import signal
import threading
import unittest

import tcp  # noqa: F401 (tests/lib becomes importable)
from h2raw import ACK, NO_ERROR, PING, Client, frame, grpc_fields
from mesh import wait_until
from raw_service import PORT, RawMesh, stay_silent, succeed

NOTICE = 2**31 - 1


class Drain(RawMesh):
    def start(self, *flags, **options):
        """A client whose sidecar is its own, a Service of one silent endpoint, and a connection."""
        number = self.next_number()
        pod = self.mesh.node.add_pod(f"leaving{number}")
        self.leaving = self.mesh.add_sidecar(pod, *flags)
        self.silent = self.service(1, then=stay_silent)
        client = Client(pod.connect(self.silent.vip, PORT), **options)
        self.addCleanup(client.close)
        return client

    def wait_requests(self, count):
        wait_until(lambda: len(self.silent.requests) == count, f"{count} requests at the endpoint")

    def assert_cut_off(self, asked):
        self.assert_status(asked, 14, "shutting down")

    def test_the_last_stream_is_named_one_round_trip_after_the_notice(self):
        client = self.start("--drain-grace", "2s", ack=False)
        first = client.request(grpc_fields(), end=True)
        unfinished = client.request(grpc_fields(), end=True)
        self.wait_requests(2)
        self.leaving.signal(signal.SIGTERM)
        self.assertEqual(client.wait_goaway()[:2], (NOTICE, NO_ERROR))
        client.wait(lambda: any(f.kind == PING and not f.flags & ACK for f in client.frames), "the PING behind it")
        on_its_way = client.request(grpc_fields(), end=True)
        ping = next(f for f in client.frames if f.kind == PING and not f.flags & ACK)
        client.send(frame(PING, ACK, 0, ping.payload))
        client.wait(lambda: client.goaway[0] != NOTICE, "the second GOAWAY")
        self.assertEqual(client.goaway[:2], (on_its_way.id, NO_ERROR))
        too_late = client.request(grpc_fields(), end=True)
        self.wait_requests(3)
        for stream in (self.silent.requests[0], self.silent.requests[2]):
            succeed(stream)
        self.assert_fine(first)
        self.assert_fine(on_its_way)
        self.assert_cut_off(unfinished)
        self.assertEqual(client.wait_closed(), "eof", "a reset would have destroyed what was said last")
        self.assertEqual((too_late.blocks, too_late.reset_code, len(self.silent.requests)), ([], None, 3))
        self.assertEqual(self.leaving.wait_exit(), 0)

    def test_what_is_cut_off_is_told_so_though_the_client_keeps_sending(self):
        client = self.start("--drain-grace", "1s")
        uploads = [client.request(grpc_fields()) for _ in range(4)]
        self.wait_requests(4)

        def upload(stream):
            with contextlib.suppress(AssertionError):  # the end of the connection ends it
                while not stream.is_over:
                    stream.body(bytes(16384), end=False)

        for stream in uploads:
            threading.Thread(target=upload, args=(stream,), daemon=True).start()
        wait_until(lambda: all(s.body_len > 100_000 for s in self.silent.requests), "bytes arrive")
        self.leaving.signal(signal.SIGTERM)
        for stream in uploads:
            self.assert_cut_off(stream)
        self.assertEqual(client.wait_closed(), "eof")
        self.assertEqual(self.leaving.wait_exit(), 0)


if __name__ == "__main__":
    unittest.main()
