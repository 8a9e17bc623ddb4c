# SPDX-License-Identifier: Apache-2.0
"""gRPC programs in C++ (another HTTP/2 implementation's habits than Python's asyncio use of the same core: threads, other
batching, other windows), built by tests/run where libgrpc++ is."""
import json
import os
import subprocess
import unittest

from mesh import HANG_LIMIT, PORT, ROOT, VIP, Mesh, is_v6, join
from programs import Driven, GrpcClient

PROGRAMS = os.path.join(ROOT, "build", "tests-e2e")


class CppServer(Driven):
    def __init__(self, netns, addresses):
        super().__init__(netns, [f"{PROGRAMS}/grpc_server"] + [f"{a}={name}" for a, name in addresses.items()])


def run_client(pod, target, count=100, at_once=10, size=100, messages=20):
    words = [f"{PROGRAMS}/grpc_client", target, count, at_once, size, messages]
    with pod.start([str(w) for w in words], stdout=subprocess.PIPE, text=True) as process:
        return json.loads(process.communicate(timeout=HANG_LIMIT)[0])


@unittest.skipUnless(os.path.exists(f"{PROGRAMS}/grpc_client"), "libgrpc++-dev is not here")
class Cpp(unittest.TestCase):
    def setUp(self):
        self.mesh = mesh = Mesh()
        self.addCleanup(mesh.close)
        mesh.start_api()
        servers = mesh.node.add_pod("servers", 3)
        self.rows = [(f"c{i}", ip) for i, ip in enumerate(a for a in servers.addresses if not is_v6(a))]
        mesh.keep(CppServer(servers, {join(ip, PORT): name for name, ip in self.rows}))
        mesh.publish(self.rows, vips=(VIP,))
        self.client = mesh.node.add_pod("client")

    def test_cpp_calls_are_balanced_and_whole(self):
        with self.mesh as mesh:
            mesh.add_sidecar(self.client)
            reply = run_client(self.client, join(VIP, PORT), count=600)
            self.assertEqual((reply["codes"], reply["bad_replies"], reply["echoed"]), ({"0": 601}, 0, 20), reply)
            self.assertEqual(set(reply["by_server"]), {"c0", "c1", "c2"})

    def test_cpp_large_messages_arrive_whole(self):
        with self.mesh as mesh:
            mesh.add_sidecar(self.client)
            reply = run_client(self.client, join(VIP, PORT), count=20, at_once=4, size=4 << 20)
            self.assertEqual((reply["codes"], reply["bad_replies"]), ({"0": 21}, 0), reply)

    def test_cpp_through_two_sidecars(self):
        with self.mesh as mesh:
            backend = mesh.node.add_pod("backend")
            mesh.keep(CppServer(backend, {join(backend.ip, PORT): "behind"}))
            mesh.add_sidecar(backend)
            mesh.publish([("behind", backend.ip)], name="inner", vips=("10.96.0.20",))
            mesh.add_sidecar(self.client)
            reply = run_client(self.client, join("10.96.0.20", PORT), count=300, size=10000)
            self.assertEqual((reply["codes"], reply["by_server"], reply["echoed"]), ({"0": 301}, {"behind": 300}, 20), reply)

    def test_a_python_client_with_cpp_servers(self):
        with self.mesh as mesh:
            mesh.add_sidecar(self.client)
            client = mesh.keep(GrpcClient(self.client, join(VIP, PORT)))
            reply = client.calls(100, at_once=10)
            self.assertEqual((reply["codes"], reply["bad_replies"], len(reply["by_server"])), ({"OK": 100}, 0, 3), reply)
            self.assertEqual(client.ask("streams_open", channel="a", count=50)["echoed"], 50)
            self.assertEqual(client.ask("streams_close")["codes"], {"OK": 50})

    def test_without_the_mesh_one_server_gets_everything(self):
        """The control."""
        with self.mesh:
            self.assertEqual(len(run_client(self.client, join(VIP, PORT))["by_server"]), 1)


if __name__ == "__main__":
    unittest.main()
