# SPDX-License-Identifier: Apache-2.0
"""Requests without an ordinary path are routed to their Service like all others."""
import unittest

import tcp  # noqa: F401  (makes tests/lib known)
from h2raw import Client, Server
from mesh import PORT, VIP, Mesh


class Tunnels(unittest.TestCase):
    def accept(self, server):
        """Passing over a connection that was made in case the server speaks first."""
        while True:
            connection = server.accept()
            connection.wait(lambda: connection.preface or connection.closed, "the preface")
            if connection.preface:
                return connection

    def test_connect_and_options_star_reach_a_service(self):
        with Mesh() as mesh:
            mesh.start_api()
            pod = mesh.node.add_pod("server")
            mesh.publish([("s1", pod.ip)], vips=(VIP,))
            user = mesh.node.add_pod("client")
            proxy = mesh.add_sidecar(user)
            with Server(pod.listen(pod.ip, PORT)) as server, Client(user.connect(VIP, PORT)) as client:
                tunnel = client.request([(":method", "CONNECT"), (":authority", f"echo.shop:{PORT}")])
                connection = self.accept(server)
                seen = connection.next_request()
                seen.headers([(":status", "200")]).data(b"server")
                tunnel.wait_data(6).data(b"client", end=True)
                self.assertEqual((seen.wait_end().body_bytes, seen.value(":method")), (b"client", b"CONNECT"))
                seen.data(b"", end=True)
                tunnel.wait_end()
                options = client.request([(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "echo.shop")], end=True)
                seen = connection.next_request()
                self.assertEqual(seen.value(":path"), b"*")
                seen.headers([(":status", "204")], end=True)
                self.assertEqual(options.wait_end().status, 204)
                self.assertEqual(proxy.metric("requests_total", service="shop/echo:50051", direction="outbound"), 2)


if __name__ == "__main__":
    unittest.main()
