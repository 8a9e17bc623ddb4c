# SPDX-License-Identifier: Apache-2.0
"""Raw TCP peers: servers as threads of the test with sockets of a namespace, and what clients of all sorts do."""
import contextlib
import fcntl
import os
import socket
import struct
import sys
import threading

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from h2raw import read_exactly  # noqa: E402


def read_all(s):
    return b"".join(iter(lambda: s.recv(1 << 16), b""))


def reset(s):
    """Closes so that the peer gets RST instead of FIN."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def unacknowledged(s):
    """Bytes sent that the peer's kernel has not acknowledged (SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(s, 0x5411, b"\0" * 4))[0]


class Listener:
    """A server in a pod: handler(socket) runs in a thread for each connection; what it raises is kept for the test."""

    def __init__(self, pod, ip, handler, port=0):
        self.socket = pod.listen(ip, port, backlog=2048)
        self.socket.settimeout(None)
        self.ip = ip
        self.port = self.socket.getsockname()[1]
        self.handler = handler
        self.accepted = 0
        self.results = []
        self.changed = threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.socket.accept()
                self.accepted += 1
                threading.Thread(target=self.handle, args=(s,), daemon=True).start()

    def handle(self, s):
        s.settimeout(60)
        try:
            result = self.handler(s)
        except (OSError, EOFError) as error:
            result = error
        s.close()
        with self.changed:
            self.results.append(result)
            self.changed.notify_all()

    def result(self, limit=60):
        """What the next handler to end came to."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.results, limit), "the server's side does not end"
            return self.results.pop(0)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- handlers ----

def echo(s):
    while data := s.recv(1 << 16):
        s.sendall(data)


def sink(s):
    return len(read_all(s))


def greet(s):
    s.sendall(b"220 mail.example ready\r\n")
    return read_all(s)


def answer_after_end(s):
    data = read_all(s)
    s.sendall(b"got %d" % len(data))


def silent(s):
    return read_all(s)


__all__ = ["Listener", "answer_after_end", "echo", "greet", "read_all", "read_exactly", "reset", "silent", "sink"]
