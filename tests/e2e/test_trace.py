# SPDX-License-Identifier: Apache-2.0
"""Frames in the log: for one Service, peer or connection, switched on and off at run time, secrets masked."""
import re
import unittest

from mesh import ADMIN_PORT, API_PORT, PORT, VIP, Mesh, join, wait_until
from netns import sh
from programs import GrpcClient

OTHER_VIP = "10.96.0.30"
FRAME = re.compile(r"debug h2 (\S+) (\S*): (read|wrote) ([A-Z_]+)(?: stream=(\d+))?(.*)")


def frames(proxy):
    """[(connection, peer, direction, type, stream, the rest)] of every frame logged so far."""
    return [m.groups() for m in map(FRAME.search, proxy.log().splitlines()) if m]


class Trace(unittest.TestCase):
    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)
        self.mesh.start_api()
        self.servers, self.endpoints = self.mesh.add_servers("servers", 1)
        _, other_endpoints = self.mesh.add_servers("others", 1)
        self.mesh.publish(self.endpoints)
        self.mesh.publish(other_endpoints, name="other", vips=(OTHER_VIP,))
        self.pod = self.mesh.node.add_pod("client")
        self.proxy = self.mesh.add_sidecar(self.pod)
        self.client = self.mesh.keep(GrpcClient(self.pod))
        self.client.ask("open", channel="echo", target=join(VIP, PORT))
        self.client.ask("open", channel="other", target=join(OTHER_VIP, PORT))
        self.call("echo")
        self.call("other")

    def call(self, channel):
        reply = self.client.calls(1, channel=channel, metadata={"authorization": "Bearer s3cr3t", "x-shown": "plain"})
        self.assertEqual(reply["codes"], {"OK": 1})

    def admin(self, method, path):
        out = sh(*self.pod.enter_words(), "curl", "-sg", "-X", method, "-w", "\n%{http_code}",
                 f"http://127.0.0.1:{ADMIN_PORT}{path}")
        body, _, status = out.rpartition("\n")
        return int(status), body

    def end(self):
        self.client.close()
        self.mesh.check_end()

    def test_a_service_is_followed_on_both_sides_and_alone_until_told_to_stop(self):
        self.assertEqual(frames(self.proxy), [])
        status, rules = self.admin("POST", "/trace?service=shop/echo:50051&seconds=600")
        self.assertEqual(status, 200)
        self.assertRegex(rules, r"^service=shop/echo:50051 for another \d+ s\n$")
        self.call("other")
        self.call("echo")
        # The request came in on the client's connection and went out on the endpoint's; then the same with the response.
        wait_until(lambda: sum(f[3] == "HEADERS" for f in frames(self.proxy)) >= 6, "request, response and trailers logged")
        seen = frames(self.proxy)
        kinds = {(kind.split("-")[0], direction) for kind, _, direction, frame, _, _ in seen if frame == "HEADERS"}
        self.assertEqual(kinds, {("out", "read"), ("out", "wrote"), ("endpoint", "read"), ("endpoint", "wrote")})
        self.assertEqual({peer for kind, peer, *_ in seen if kind.startswith("endpoint")}, {join(self.endpoints[0][1], PORT)})
        requests = [rest for kind, _, _, frame, _, rest in seen if frame == "HEADERS" and ":path=" in rest]
        self.assertEqual(len(requests), 2)
        for rest in requests:
            self.assertIn('x-shown="plain"', rest)
            self.assertIn("authorization=*** (13 bytes)", rest)
        self.assertNotIn("s3cr3t", self.proxy.log())

        self.assertEqual(self.admin("POST", "/trace/stop"), (200, "1 ended\n"))
        before = len(frames(self.proxy))
        self.call("echo")
        self.assertEqual(self.admin("GET", "/trace"), (200, ""))
        self.assertEqual(len(frames(self.proxy)), before)
        self.end()

    def test_one_connection_is_followed_by_the_id_that_a_peers_rule_showed(self):
        self.assertEqual(self.admin("POST", f"/trace?peer={self.pod.ip}")[0], 200)
        self.call("echo")
        self.call("other")
        wait_until(lambda: len({f[0] for f in frames(self.proxy)}) == 2, "both of the client's connections logged")
        first = frames(self.proxy)[0][0]
        self.admin("POST", "/trace/stop")
        self.call("echo")  # whatever was on its way is through
        before = len(frames(self.proxy))
        self.assertEqual(self.admin("POST", f"/trace?connection={first}")[0], 200)
        self.call("other")
        self.call("echo")
        wait_until(lambda: len(frames(self.proxy)) > before, "frames of that connection")
        self.assertEqual({f[0] for f in frames(self.proxy)[before:]}, {first})
        self.end()

    def test_the_proxys_own_stream_to_the_api_is_followed_by_its_id(self):
        self.assertEqual(self.admin("POST", "/trace?connection=api-1")[0], 200)
        _, more = self.mesh.add_servers("more", 1)
        self.mesh.publish(self.endpoints + more)
        wait_until(lambda: {f[2] for f in frames(self.proxy) if f[3] == "DATA"} == {"read", "wrote"}, "the endpoints and their ACK logged")
        self.assertEqual({f[:2] for f in frames(self.proxy)}, {("api-1", join(self.mesh.control.ip, API_PORT))})
        self.end()

    def test_the_log_level_shows_every_session(self):
        self.assertEqual(self.admin("POST", "/log-level?level=h2=debug")[0], 200)
        self.call("echo")
        self.call("other")
        wait_until(lambda: len({f[1] for f in frames(self.proxy) if f[0].startswith("endpoint")}) == 2, "both endpoints")
        self.assertEqual(self.admin("POST", "/log-level?level=h2=info")[0], 200)
        self.call("echo")
        before = len(frames(self.proxy))
        self.call("echo")
        self.assertEqual(self.admin("GET", "/log-level")[0], 200)
        self.assertEqual(len(frames(self.proxy)), before)
        self.end()

    def test_what_is_not_a_rule_is_refused(self):
        for query in ("", "?peer=echo", "?peer=10.0.0.1&service=a/b:1", "?service=a/b:1&seconds=0", "?service=a/b:1&seconds=3601",
                      "?service=a/b:1&seconds=soon", "?service="):
            self.assertEqual(self.admin("POST", "/trace" + query)[0], 400, query)
        self.assertEqual(self.admin("GET", "/trace"), (200, ""))
        for n in range(8):
            self.assertEqual(self.admin("POST", f"/trace?service=shop/s{n}:1")[0], 200)
        self.assertEqual(self.admin("POST", "/trace?service=shop/s9:1")[0], 400)
        self.end()


if __name__ == "__main__":
    unittest.main()
