# SPDX-License-Identifier: Apache-2.0
"""What a gRPC call is must survive the mesh: every kind of call, with a sidecar on either side or both, over both families.

The tests' names are kind_sides_family. "neither" is the control: the same programs without a sidecar.
"""
import unittest

from mesh import PORT, VIP, VIP6, Mesh, join
from programs import GrpcClient, GrpcServer

INNER_VIP, INNER_VIP6 = "10.96.0.20", "fd00:96::20"
SIDES = {"client": ("captured", "echo"), "server": ("plain", "inner"), "both": ("captured", "inner"), "neither": ("plain", "echo")}
FAMILIES = ("ipv4", "ipv6")
TARGETS = {("echo", "ipv4"): VIP, ("echo", "ipv6"): VIP6, ("inner", "ipv4"): INNER_VIP, ("inner", "ipv6"): INNER_VIP6}


class World:
    """Two client pods (one captured), servers without sidecars (Service echo), one with (Service inner)."""

    def __init__(self):
        self.mesh = mesh = Mesh()
        mesh.start_api()
        _, endpoints = mesh.add_servers("servers", 3)
        mesh.publish(endpoints)
        backend = mesh.node.add_pod("backend")
        mesh.keep(GrpcServer(backend, {join(a, PORT): "inner" for a in backend.addresses}))
        mesh.publish([("inner", a) for a in backend.addresses], name="inner", vips=(INNER_VIP, INNER_VIP6))
        self.server_proxy = mesh.add_sidecar(backend)
        captured = mesh.node.add_pod("captured")
        self.client_proxy = mesh.add_sidecar(captured)
        self.clients = {"captured": self.client_in(captured), "plain": self.client_in(mesh.node.add_pod("plain"))}

    def client_in(self, pod):
        client = self.mesh.keep(GrpcClient(pod))
        for (service, family), vip in TARGETS.items():
            client.ask("open", channel=f"{service}-{family}", target=join(vip, PORT))
        return client


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()

    @classmethod
    def tearDownClass(cls):
        cls.world.mesh.__exit__(None, None, None)


# ---- what is checked of each kind of call: functions of (test, client, channel) ----

def check_unary(t, client, channel):
    reply = client.calls(20, channel=channel, at_once=4, size=1000)
    t.assertEqual(reply["codes"], {"OK": 20}, reply)
    t.assertEqual(reply["bad_replies"], 0)


def check_empty_message(t, client, channel):
    t.assertEqual(client.calls(3, channel=channel, size=0)["codes"], {"OK": 3})


def check_large_message(t, client, channel):
    reply = client.calls(4, channel=channel, at_once=2, size=4 << 20)
    t.assertEqual((reply["codes"], reply["bad_replies"]), ({"OK": 4}, 0), reply)


def check_client_stream(t, client, channel):
    reply = client.ask("client_stream", channel=channel, sizes=[27182, 8, 1828, 45904])
    t.assertEqual((reply["code"], reply.get("reply")), ("OK", "4 74922"), reply)


def check_server_stream(t, client, channel):
    reply = client.ask("server_stream", channel=channel, metadata={"reply-count": 200, "reply-bytes": 2000})
    t.assertEqual((reply["code"], reply["sizes"]), ("OK", [2000] * 200), reply)


def check_bidi_stream(t, client, channel):
    t.assertEqual(client.ask("streams_open", channel=channel, count=5)["echoed"], 5)
    t.assertEqual(client.ask("streams_echo")["echoed"], 5)
    t.assertEqual(client.ask("streams_close")["codes"], {"OK": 5})


def check_deadline(t, client, channel):
    reply = client.calls(2, channel=channel, at_once=2, timeout=0.5, metadata={"delay-ms": 60000})
    t.assertEqual(reply["codes"], {"DEADLINE_EXCEEDED": 2}, reply)


def check_cancellation(t, client, channel):
    reply = client.ask("server_stream", channel=channel, cancel_after=2, metadata={"reply-count": 100000, "reply-bytes": 10, "delay-ms": 1})
    t.assertEqual((reply["code"], reply["sizes"]), ("CANCELLED", [10, 10]), reply)


def check_status_and_message(t, client, channel):
    reply = client.ask("fail", channel=channel, code=5, message="no such order: größer, 100 %")
    t.assertEqual((reply["code"], reply["message"]), ("NOT_FOUND", "no such order: größer, 100 %"))


def check_metadata_and_trailers(t, client, channel):
    reply = client.ask("metadata", channel=channel, echo="a value", echo_bin="00ff107f")
    for where in ("initial", "trailing"):
        t.assertEqual((reply[where].get("echo"), reply[where].get("echo-bin")), ("a value", "00ff107f"), reply)


def add_tests():
    checks = {name[len("check_"):]: f for name, f in globals().items() if name.startswith("check_")}
    for kind, check in checks.items():
        for sides, (who, service) in SIDES.items():
            for family in FAMILIES:
                def test(self, check=check, who=who, channel=f"{service}-{family}"):
                    check(self, self.world.clients[who], channel)
                setattr(Calls, f"test_{kind}_{sides}_{family}", test)


add_tests()


class Capture(unittest.TestCase):
    """The matrix above is worth something only if the sidecars really carried the calls."""

    def test_captured_calls_pass_through_the_sidecars_that_are_there(self):
        world = World()
        with world.mesh:
            for channel in ("echo-ipv4", "echo-ipv6", "inner-ipv4", "inner-ipv6"):
                world.clients["captured"].calls(10, channel=channel)
                world.clients["plain"].calls(10, channel=channel)
            self.assertEqual(world.client_proxy.metric("requests_total", direction="outbound", grpc_status="0"), 40)
            self.assertEqual(world.server_proxy.metric("requests_total", direction="inbound", grpc_status="0"), 40)
            self.assertEqual(world.client_proxy.detections(), {"http2": 4})

    def test_a_call_by_a_plain_client_reaches_one_server_only(self):
        """The control: what kube-proxy alone does."""
        world = World()
        with world.mesh:
            self.assertEqual(len(world.clients["plain"].calls(60, channel="echo-ipv4")["by_server"]), 1)
            self.assertEqual(len(world.clients["captured"].calls(60, channel="echo-ipv4", at_once=6)["by_server"]), 3)


if __name__ == "__main__":
    unittest.main()
