#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same semantics as foreign HTTP/2 programs see them: python-h2 at both ends (which refuses what RFC 9113 does), nghttp, h2load, curl."""
import os
import shutil
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sides import on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import Server  # noqa: E402

try:
    import h2.config
    import h2.connection
    import h2.events
except ImportError:
    h2 = None

BODY = bytes(range(256)) * 1000


class Peer:
    """A connection of python-h2 over a blocking socket."""

    def __init__(self, sock, client_side):
        self.socket = sock
        self.socket.settimeout(60)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client_side, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.events = []
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def read(self, kind):
        """The next event of that class; credit goes back at once."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    self.events.remove(event)
                    return event
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"the end instead of {kind.__name__}")
            for event in self.h2.receive_data(data):
                self.events.append(event)
                if isinstance(event, h2.events.DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()

    def send_body(self, stream, body):
        while body:
            n = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if n == 0:
                self.read(h2.events.WindowUpdated)
                continue
            self.h2.send_data(stream, body[:n])
            self.flush()
            body = body[n:]

    def body_of(self, stream):
        """What has come, after the end of the stream."""
        self.read(h2.events.StreamEnded)
        return b"".join(e.data for e in self.events if isinstance(e, h2.events.DataReceived) and e.stream_id == stream)


@on_both_sides
@unittest.skipIf(h2 is None, "python3-h2 is not here")
class PythonH2:
    def serve(self, listener):
        try:
            while True:
                s, _ = listener.accept()
                peer = Peer(s, client_side=False)
                try:
                    asked = peer.read(h2.events.RequestReceived)
                except EOFError:
                    continue  # opened in case the server speaks first
                break
            stream = asked.stream_id
            self.seen = {"fields": asked.headers, "body": peer.body_of(stream),
                         "trailers": [e.headers for e in peer.events if isinstance(e, h2.events.TrailersReceived)]}
            peer.h2.send_headers(stream, [(":status", "103"), ("link", "</x>")])
            peer.h2.send_headers(stream, [(":status", "200"), ("content-length", str(len(BODY)))])
            peer.flush()
            peer.send_body(stream, BODY)
            peer.h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
            peer.flush()
            self.done.wait(60)
            peer.socket.close()
        except (OSError, EOFError):
            pass

    def test_a_whole_exchange_is_sound_to_a_strict_library_at_both_ends(self):
        self.server.close()
        self.done = threading.Event()
        listener = self.server_pod.listen(self.server_pod.ip)
        thread = threading.Thread(target=self.serve, args=(listener,), daemon=True)
        thread.start()
        peer = Peer(self.client_pod.connect(*listener.getsockname()[:2]), client_side=True)
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/x"), ("te", "trailers"), ("cookie", "a=b")]
        peer.h2.send_headers(1, fields)
        peer.flush()
        peer.send_body(1, BODY)
        peer.h2.send_headers(1, [("x-checksum", "1")], end_stream=True)
        peer.flush()
        body = peer.body_of(1)
        early = peer.read(h2.events.InformationalResponseReceived)
        final = peer.read(h2.events.ResponseReceived)
        trailers = peer.read(h2.events.TrailersReceived)
        self.assertEqual((early.headers, final.headers[0], body, trailers.headers),
                         ([(":status", "103"), ("link", "</x>")], (":status", "200"), BODY, [("grpc-status", "0")]))
        self.assertEqual(self.seen, {"fields": fields, "body": BODY, "trailers": [[("x-checksum", "1")]]})
        self.done.set()
        peer.h2.close_connection()
        peer.flush()
        peer.socket.close()
        listener.close()
        thread.join(60)
        self.assertFalse(thread.is_alive())


def answer(stream):
    stream.wait_end()
    body = stream.body_bytes or b"hello " + stream.value(":path")
    stream.headers([(":status", "200"), ("content-length", str(len(body))), ("x-method", stream.value(":method"))]).body(body, end=False)
    stream.headers([("x-trailer", "last")], end=True)


@on_both_sides
class Programs:
    def program(self, name, *words):
        if not shutil.which(name):
            self.skipTest(f"{name} is not here")
        self.server.close()
        self.server = Server(self.server_pod.listen(self.server_pod.ip, backlog=64), serve=answer)
        self.addCleanup(self.server.close)
        url = "http://%s:%d/path?q" % self.server.address
        out = self.client_pod.run(name, *[w.replace("URL", url) for w in words])
        self.assertEqual(self.server.errors, [])
        return out

    def test_curl_gets_status_headers_and_body(self):
        out = self.program("curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", "-i", "URL")
        self.assertIn("HTTP/2 200", out)
        self.assertIn("hello /path?q", out)

    def test_curl_posts_and_gets_its_bytes_back(self):
        out = self.program("curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", "-d", "x" * 100_000, "URL")
        self.assertEqual(out, "x" * 100_000)

    def test_nghttp_sees_headers_data_and_trailers(self):
        out = self.program("nghttp", "-v", "--no-dep", "--timeout=60", "URL")
        self.assertIn(":status: 200", out)
        self.assertIn("hello /path?q", out)
        self.assertIn("x-trailer: last", out)
        self.assertNotIn("INVALID", out)

    def test_h2load_sees_every_request_succeed(self):
        out = self.program("h2load", "-n", "2000", "-c", "4", "-m", "20", "URL")
        self.assertIn("2000 succeeded, 0 failed, 0 errored", out)


if __name__ == "__main__":
    unittest.main()
