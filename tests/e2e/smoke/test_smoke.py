# SPDX-License-Identifier: Apache-2.0
"""The shortest way through everything, for runs under a tool that makes programs very slow."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import tcp  # noqa: E402
from mesh import PORT, VIP, Mesh, is_v6, join, wait_until  # noqa: E402
from programs import GrpcClient, GrpcServer  # noqa: E402


class Smoke(unittest.TestCase):
    def test_calls_streams_raw_bytes_and_changes(self):
        mesh = Mesh()
        self.addCleanup(mesh.close)
        with mesh:
            mesh.start_api()
            _, endpoints = mesh.add_servers("servers", 3)
            rows = [e for e in endpoints if not is_v6(e[1])]
            backend = mesh.node.add_pod("backend")
            mesh.keep(GrpcServer(backend, {join(backend.ip, PORT): "backend"}))
            mesh.add_sidecar(backend)
            rows.append(("backend", backend.ip))
            mesh.publish(rows, vips=(VIP,))
            pod = mesh.node.add_pod("client")
            mesh.add_sidecar(pod)
            client = mesh.keep(GrpcClient(pod, join(VIP, PORT)))
            wait_until(lambda: len(client.calls(40, at_once=4)["by_server"]) == 4, "all four serve")
            self.assertEqual(client.calls(2, size=1 << 20)["codes"], {"OK": 2})
            self.assertEqual(client.ask("streams_open", channel="a", count=20)["echoed"], 20)
            self.assertEqual(client.ask("streams_close")["codes"], {"OK": 20})
            self.assertEqual(client.calls(3, at_once=3, timeout=1, metadata={"delay-ms": 60000})["codes"], {"DEADLINE_EXCEEDED": 3})
            mesh.publish(rows[:1], vips=(VIP,))
            wait_until(lambda: client.calls(10)["by_server"] == {"s1": 10}, "scaled down")
            plain = mesh.node.add_pod("plain")
            with tcp.Listener(plain, plain.ip, tcp.greet) as listener:
                s = pod.connect(plain.ip, listener.port)
                self.assertEqual(tcp.read_exactly(s, 24), b"220 mail.example ready\r\n")
                s.close()
            refused = pod.connect(plain.ip, 9)
            self.assertRaises(ConnectionResetError, refused.recv, 1)
            refused.close()


if __name__ == "__main__":
    unittest.main()
