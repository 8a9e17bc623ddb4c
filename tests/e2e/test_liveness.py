# SPDX-License-Identifier: Apache-2.0
"""Streams on which nothing is said for long: the endpoint is asked whether it lives, and a real gRPC server must not mind."""
import os
import signal
import time
import unittest

from mesh import PORT, VIP, Mesh, is_v6, join
from programs import GrpcClient, GrpcServer
from test_cpp import PROGRAMS, CppServer

FROZEN_LIMIT = 60  # seconds; the promise is 20 with the settings as they come
ASKED_OFTEN = ("--keepalive-after", "100ms", "--keepalive-timeout", "5s")


class SilentStreams(unittest.TestCase):
    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)

    def start(self, server_type):
        """One server and a client whose sidecar asks the server whenever it has said nothing for 100 ms."""
        self.mesh.start_api()
        pod = self.mesh.node.add_pod("server")
        address = next(a for a in pod.addresses if not is_v6(a))
        self.server = self.mesh.keep(server_type(pod, {join(address, PORT): "silent"}))
        self.mesh.publish([("silent", address)], vips=(VIP,))
        client_pod = self.mesh.node.add_pod("client")
        self.proxy = self.mesh.add_sidecar(client_pod, *ASKED_OFTEN)
        return self.mesh.keep(GrpcClient(client_pod, join(VIP, PORT)))

    def silent_streams_survive(self, server_type):
        with self.mesh:
            client = self.start(server_type)
            self.assertEqual(client.ask("streams_open", channel="a", count=3)["echoed"], 3)
            for _ in range(3):
                time.sleep(2)  # asked some twenty times; at three too many a gRPC server sends too_many_pings
                self.assertEqual(client.ask("streams_echo")["echoed"], 3)
            self.assertEqual(client.ask("streams_close")["codes"], {"OK": 3})
            self.assertEqual(self.proxy.metric("endpoint_connects_total", result="ok"), 1, "one connection all the time")

    def test_a_python_server_does_not_mind_being_asked(self):
        self.silent_streams_survive(GrpcServer)

    @unittest.skipUnless(os.path.exists(f"{PROGRAMS}/grpc_server"), "libgrpc++-dev is not here")
    def test_a_cpp_server_does_not_mind_being_asked(self):
        self.silent_streams_survive(CppServer)

    def test_an_endpoint_that_freezes_long_after_it_was_last_asked_is_noticed(self):
        with self.mesh:
            client = self.start(GrpcServer)
            self.assertEqual(client.ask("streams_open", channel="a", count=3)["echoed"], 3)
            time.sleep(2)
            os.kill(self.server.pid, signal.SIGSTOP)
            reply = client.ask("streams_wait", limit=FROZEN_LIMIT)
            os.kill(self.server.pid, signal.SIGCONT)
            self.assertEqual(reply["codes"], {"UNAVAILABLE": 3}, reply)


if __name__ == "__main__":
    unittest.main()
