# SPDX-License-Identifier: Apache-2.0
"""A reset crosses as a reset, both ways and in every state of a raw connection, and behind the bytes that came before it."""
import errno
import select
import socket
import threading
import unittest

import tcp
from mesh import wait_until
from test_tcp import World


def fill(s):
    """Sends until nothing more is taken; how much went in."""
    sent, block = 0, bytes(1 << 16)
    s.settimeout(1)
    try:
        while True:
            sent += s.send(block)
    except TimeoutError:
        s.settimeout(60)
        return sent


def read_to_the_end(s):
    """(bytes read, "end" or "reset")"""
    count = 0
    try:
        while data := s.recv(1 << 20):
            count += len(data)
        return count, "end"
    except ConnectionResetError:
        return count, "reset"


def wait_error(s):
    """The error a socket is told of while nobody reads or writes it."""
    poll = select.poll()
    poll.register(s, 0)
    assert poll.poll(60000), "nothing is told"
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


class Resets(World):
    """Each test runs with the client resetting and with the server resetting, captured on one side, the other and both."""

    def ways(self):
        """(the socket that resets, the one that must learn of it, and which they are)"""
        for pod, server in ((self.client, self.server), (self.client, self.plain), (self.plain, self.server)):
            for who in ("client", "server"):
                with self.subTest(client=pod.pod_name, server=server.pod_name, resets=who):
                    accepted = []
                    done = threading.Event()

                    def handle(s, accepted=accepted, done=done):
                        accepted.append(s)
                        done.wait(120)

                    listener = self.serve(handle, pod=server)
                    near = self.connect(listener, pod)
                    wait_until(lambda accepted=accepted: accepted, "the server has the connection")
                    far = accepted[0]
                    near.settimeout(60)
                    yield (near, far) if who == "client" else (far, near)
                    done.set()
                    near.close()

    def wait_relays_gone(self):
        for proxy in (self.client_proxy, self.server_proxy):
            proxy.wait_idle()

    def tearDown(self):
        self.doCleanups()
        self.wait_relays_gone()

    def test_idle(self):
        for a, b in self.ways():
            a.sendall(b"x")
            tcp.read_exactly(b, 1)
            tcp.reset(a)
            self.assertEqual(wait_error(b), errno.ECONNRESET)

    def test_behind_bytes(self):
        for a, b in self.ways():
            a.sendall(b"w" * 100000)
            wait_until(lambda a=a: tcp.unacknowledged(a) == 0, "the bytes are on their way")
            tcp.reset(a)
            self.assertEqual(read_to_the_end(b), (100000, "reset"))

    def test_after_its_own_half_close(self):
        for a, b in self.ways():
            a.sendall(b"bye")
            a.shutdown(socket.SHUT_WR)
            self.assertEqual(tcp.read_all(b), b"bye")
            tcp.reset(a)
            self.assertEqual(wait_error(b), errno.EPIPE)

    def test_after_the_others_half_close(self):
        for a, b in self.ways():
            b.shutdown(socket.SHUT_WR)
            self.assertEqual(tcp.read_all(a), b"")
            tcp.reset(a)
            self.assertEqual(wait_error(b), errno.ECONNRESET)

    def test_closed_with_bytes_unread(self):
        """What a program's plain close becomes when it has not read everything."""
        for a, b in self.ways():
            b.sendall(b"unread")
            wait_until(lambda a=a: a.recv(6, socket.MSG_PEEK) == b"unread", "the bytes are there")
            a.close()
            self.assertEqual(wait_error(b), errno.ECONNRESET)

    def test_of_the_sender_under_back_pressure(self):
        for a, b in self.ways():
            sent = fill(a)
            passed = sent - tcp.unacknowledged(a)
            tcp.reset(a)
            count, how = read_to_the_end(b)
            self.assertEqual(how, "reset")
            self.assertGreaterEqual(count, passed)

    def test_of_the_receiver_under_back_pressure(self):
        for a, b in self.ways():
            fill(b)
            tcp.reset(a)
            self.assertEqual(wait_error(b), errno.ECONNRESET)

    def test_of_the_sender_while_the_receiver_reads_nothing(self):
        """It learns of the reset without reading, a few seconds later: bytes wait for it until then."""
        for a, b in self.ways():
            fill(a)
            tcp.reset(a)
            self.assertEqual(wait_error(b), errno.ECONNRESET)

    def test_closes_are_counted_by_reason(self):
        before = self.client_proxy.metric("closes_total", direction="outbound", reason="peer_reset")
        s = self.connect(self.serve(tcp.sink))
        s.sendall(b"x")
        tcp.reset(s)
        wait_until(lambda: self.client_proxy.metric("closes_total", direction="outbound", reason="peer_reset") == before + 1,
                   "the reset is counted")


if __name__ == "__main__":
    unittest.main()
