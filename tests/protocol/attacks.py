# SPDX-License-Identifier: Apache-2.0
"""What the attack tests share: a bystander on the same proxy whose stream lives through the attack, memory, and who is counted.

An attack is pieces of bytes sent until the proxy has had enough:

    self.attack(client, pieces, ENHANCE_YOUR_CALM, "ping_flood")     # GOAWAY with that code; closes_total{reason="ping_flood"} went up

At the end of each test the bystander's stream must still be open and finish, its connection must serve another request, and the proxy's
peak of resident memory must have grown by less than GROWTH.
"""
import itertools
import os
import re
import struct
import threading

from sides import FLAGS, world  # noqa: F401 (world is read through the module)
import sides
from h2raw import LIMIT, get_fields, grpc_fields, grpc_message

# The limits that attackers must reach within a second or two even where sanitizers make the proxy slow.
RESET_RATE, STALL_SECONDS = 2000, 2
for words in FLAGS:
    FLAGS[words] = ("--discovery-timeout", "0s", "--reset-rate", str(RESET_RATE), "--stall-timeout", f"{STALL_SECONDS}s")
# Resident memory; a sanitizer keeps what was freed for a while.
GROWTH = (512 if "san" in os.environ.get("OUTRIGGER_TEST_BIN", "") else 32) * 1024 * 1024
PIECES_MAX = 20000


class Attacked:
    """A mixin, before sides.Side. The servers of the test answer by themselves: /hold never, everything else with 200 or gRPC's 0."""

    @property
    def SERVER(self):
        return {"serve": self.answer}

    def setUp(self):
        self.requests = []
        self.changed = threading.Condition()
        super().setUp()
        self.bystander = self.client()
        self.held = self.bystander.request(get_fields("/hold/bystander"))
        self.held_served = self.wait_request("/hold/bystander")
        self.peak = self.peak_memory()
        self.counts = self.proxy.metrics()

    def tearDown(self):
        self.check_bystander()
        self.assertLess(self.peak_memory() - self.peak, GROWTH)
        super().tearDown()

    def check_bystander(self):
        self.assertFalse(self.held.is_over, self.held.how())
        self.assertEqual(self.bystander.request(get_fields("/alive"), end=True).wait_end().status, 200)
        self.held_served.headers([(":status", "200")], end=True)
        self.held.wait_end()

    # ---- the server ----

    def answer(self, stream):
        with self.changed:
            self.requests.append(stream)
            self.changed.notify_all()
        if stream.value(":path").startswith(b"/hold"):
            return
        if stream.value("content-type") == b"application/grpc":
            stream.headers([(":status", "200"), ("content-type", "application/grpc")]).data(grpc_message(b"fine"))
            stream.headers([("grpc-status", "0")], end=True)
        else:
            stream.headers([(":status", "200")], end=True)

    def wait_request(self, path, count=1):
        """The server's view of the `count`th request for that path."""
        def found():
            return [r for r in self.requests if r.value(":path") == path.encode()]
        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, LIMIT), f"{path} does not reach the server"
            return found()[count - 1]

    # ---- what the proxy says ----

    def peak_memory(self):
        with open(f"/proc/{self.proxy.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1]) * 1024

    def counted(self, name, **labels):
        """How much that metric has grown since the test began."""
        labels = {(k, str(v)) for k, v in labels.items()}

        def total(series):
            return sum(v for (n, have), v in series.items() if n == self.proxy.prefix + name and labels <= set(have))
        return total(self.proxy.metrics()) - total(self.counts)

    def wait_counted(self, name, **labels):
        from mesh import wait_until
        wait_until(lambda: self.counted(name, **labels) >= 1, f"{name} {labels} counted")

    def assert_refused(self, client, code, reason):
        """GOAWAY with that code, the end, and one more connection closed for that reason."""
        self.assertEqual(client.wait_goaway()[1], code, client.goaway)
        client.wait_closed()
        client.close()
        self.wait_counted("closes_total", direction=self.SIDE, reason=reason)

    def attack(self, client, pieces, code, reason):
        """Sends pieces until the proxy refuses the client, which must be long before they end. Returns how many were sent."""
        for number, piece in enumerate(itertools.islice(pieces, PIECES_MAX)):
            client.send(piece)
            if client.goaway or client.closed:
                break
        else:
            self.fail(f"not refused after {PIECES_MAX} pieces")
        self.assert_refused(client, code, reason)
        return number + 1

    def open_stream(self, client, path="/hold/attacker"):
        """A stream that stays open."""
        asked = client.request(grpc_fields(path))
        self.wait_request(path)
        return asked


def u32(value):
    return struct.pack(">I", value)


__all__ = ["Attacked", "GROWTH", "RESET_RATE", "STALL_SECONDS", "sides", "u32"]
