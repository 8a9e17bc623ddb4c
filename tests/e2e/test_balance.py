# SPDX-License-Identifier: Apache-2.0
"""Each request goes to the endpoint that serves it best: shares, scaling, slow endpoints. Servers sleep, they do not compute."""
import unittest

from mesh import INBOUND_PORT, NAMESPACE, PORT, VIP, VIP6, Mesh, is_v6, join
from netns import sh
from programs import GrpcClient, GrpcServer

AT_ONCE = 16
SLEEP_MS = 10


def only_v4(endpoints):
    return [e for e in endpoints if not is_v6(e[1])]


class Shares(unittest.TestCase):
    def start(self, count, published=None):
        """A captured client and `count` servers that sleep."""
        mesh = Mesh()
        self.addCleanup(mesh.close)
        mesh.start_api()
        self.servers, endpoints = mesh.add_servers("servers", count)
        self.endpoints = only_v4(endpoints)
        for i in range(count):
            self.servers.ask("delay", id=f"s{i + 1}", ms=SLEEP_MS)
        mesh.publish(self.endpoints[:published], vips=(VIP,))
        pod = mesh.node.add_pod("client")
        self.proxy = mesh.add_sidecar(pod)
        self.client = mesh.keep(GrpcClient(pod, join(VIP, PORT)))
        return mesh

    def assert_even(self, by_server, count, tolerance):
        even = sum(by_server.values()) / count
        self.assertEqual(len(by_server), count, by_server)
        for name, calls in by_server.items():
            self.assertLessEqual(abs(calls - even), tolerance * even, f"{name}: {calls}, even would be {even}: {by_server}")

    def test_thirty_equal_servers_share_evenly_on_one_connection(self):
        with self.start(30) as mesh:
            reply = self.client.calls(6000, at_once=AT_ONCE)
            self.assertEqual(reply["codes"], {"OK": 6000})
            self.assert_even(reply["by_server"], 30, 0.30)
            self.assertEqual(self.proxy.metric("connections_total", direction="outbound", protocol="http2"), 1)
            mesh.wait_endpoints(self.proxy, 30)

    def test_new_endpoints_take_their_share_at_once(self):
        with self.start(30, published=3) as mesh:
            reply = self.client.calls(600, at_once=AT_ONCE)
            self.assertEqual(set(reply["by_server"]), {"s1", "s2", "s3"})
            self.client.ask("load", channel="a", at_once=AT_ONCE)
            mesh.publish(self.endpoints, vips=(VIP,))
            mesh.wait_endpoints(self.proxy, 30)
            self.assertEqual(set(self.client.ask("unload")["codes"]), {"OK"})
            reply = self.client.calls(6000, at_once=AT_ONCE)
            self.assertEqual(reply["codes"], {"OK": 6000})
            self.assert_even(reply["by_server"], 30, 0.30)

    def test_scaling_down_under_load_fails_no_call(self):
        with self.start(30) as mesh:
            self.client.ask("load", channel="a", at_once=AT_ONCE)
            mesh.wait_endpoints(self.proxy, 30)
            mesh.publish(self.endpoints[:1], vips=(VIP,))
            mesh.wait_endpoints(self.proxy, 1)
            counts = self.client.ask("unload")
            self.assertEqual(set(counts["codes"]), {"OK"}, counts)
            self.assertEqual(set(self.client.calls(100, at_once=4)["by_server"]), {"s1"})

    def test_an_endpoint_ten_times_slower_falls_under_a_third_of_an_even_share(self):
        with self.start(30):
            self.client.calls(1500, at_once=AT_ONCE)
            self.servers.ask("delay", id="s7", ms=10 * SLEEP_MS)
            self.client.calls(600, at_once=AT_ONCE)
            reply = self.client.calls(6000, at_once=AT_ONCE)
            self.assertEqual(reply["codes"], {"OK": 6000})
            self.assertLess(reply["by_server"].get("s7", 0), 6000 / 30 / 3, reply["by_server"])

    def test_a_slow_endpoint_that_recovers_gets_its_share_back(self):
        with self.start(5):
            self.servers.ask("delay", id="s2", ms=10 * SLEEP_MS)
            self.client.calls(1000, at_once=AT_ONCE)
            self.servers.ask("delay", id="s2", ms=SLEEP_MS)
            self.client.calls(6000, at_once=AT_ONCE)
            reply = self.client.calls(1000, at_once=AT_ONCE)
            self.assertGreater(reply["by_server"].get("s2", 0), 100, reply["by_server"])

    def test_an_unready_endpoint_gets_no_call(self):
        with self.start(3) as mesh:
            rows = [e + (("unready",) if e[0] == "s2" else ("ready",)) for e in self.endpoints]
            mesh.publish(rows, vips=(VIP,))
            mesh.wait_endpoints(self.proxy, 2) if self.client.calls(1) else None
            self.assertEqual(set(self.client.calls(100, at_once=4)["by_server"]), {"s1", "s3"})

    def test_two_connections_of_one_client_are_balanced_alike(self):
        with self.start(3):
            self.client.ask("open", channel="b", target=join(VIP, PORT))
            for channel in ("a", "b"):
                self.assertEqual(len(self.client.calls(60, channel=channel, at_once=6)["by_server"]), 3)


class Services(unittest.TestCase):
    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)
        self.mesh.start_api()

    def client_with_sidecar(self):
        pod = self.mesh.node.add_pod("client")
        self.proxy = self.mesh.add_sidecar(pod)
        return self.mesh.keep(GrpcClient(pod))

    def test_a_pod_that_calls_its_own_service_is_one_of_its_endpoints(self):
        with self.mesh as mesh:
            pod = mesh.node.add_pod("self")
            mesh.keep(GrpcServer(pod, {join(pod.ip, PORT): "myself"}))
            _, endpoints = mesh.add_servers("others", 2)
            mesh.publish([("self", pod.ip)] + only_v4(endpoints), vips=(VIP,))
            mesh.add_sidecar(pod)
            client = mesh.keep(GrpcClient(pod, join(VIP, PORT)))
            reply = client.calls(300, at_once=10)
            self.assertEqual(reply["codes"], {"OK": 300}, reply)
            self.assertEqual(set(reply["by_server"]), {"myself", "s1", "s2"})

    def test_a_pod_alone_in_its_own_service_calls_itself(self):
        with self.mesh as mesh:
            pod = mesh.node.add_pod("self")
            mesh.keep(GrpcServer(pod, {join(pod.ip, PORT): "myself"}))
            mesh.publish([("self", pod.ip)], vips=(VIP,))
            proxy = mesh.add_sidecar(pod)
            client = mesh.keep(GrpcClient(pod, join(VIP, PORT)))
            self.assertEqual(client.calls(50, at_once=5)["by_server"], {"myself": 50})
            self.assertLess(proxy.metric("connections_total"), 10, "a loop")

    def test_a_service_without_endpoints_is_unavailable_at_once(self):
        with self.mesh as mesh:
            mesh.publish([], vips=(VIP,))
            client = self.client_with_sidecar()
            client.ask("open", channel="a", target=join(VIP, PORT))
            reply = client.calls(3)
            self.assertEqual(reply["codes"], {"UNAVAILABLE": 3}, reply)
            self.assertIn("echo", reply["messages"][0])

    def test_session_affinity_pins_a_connection(self):
        with self.mesh as mesh:
            _, endpoints = mesh.add_servers("servers", 3)
            mesh.publish(only_v4(endpoints), vips=(VIP,), extra="  sessionAffinity: ClientIP\n")
            client = self.client_with_sidecar()
            client.ask("open", channel="a", target=join(VIP, PORT))
            self.assertEqual(len(client.calls(60, at_once=6)["by_server"]), 1)

    def test_a_headless_service_is_balanced_by_its_authority(self):
        with self.mesh as mesh:
            _, endpoints = mesh.add_servers("servers", 3)
            endpoints = only_v4(endpoints)
            mesh.publish(endpoints, vips=("None",), kube_proxy=False)
            client = self.client_with_sidecar()
            client.ask("open", channel="a", target=join(endpoints[0][1], PORT), authority=f"echo.{NAMESPACE}.svc.cluster.local:{PORT}")
            self.assertEqual(set(client.calls(60, at_once=6)["by_server"]), {"s1", "s2", "s3"})

    def test_a_pod_dialled_by_its_address_is_kept(self):
        with self.mesh as mesh:
            _, endpoints = mesh.add_servers("servers", 3)
            endpoints = only_v4(endpoints)
            mesh.publish(endpoints, vips=(VIP,))
            client = self.client_with_sidecar()
            client.ask("open", channel="a", target=join(endpoints[1][1], PORT))
            self.assertEqual(client.calls(30, at_once=6)["by_server"], {"s2": 30})

    def test_ipv6_calls_are_balanced_over_ipv6_endpoints(self):
        with self.mesh as mesh:
            _, endpoints = mesh.add_servers("servers", 3)
            mesh.publish(endpoints)
            client = self.client_with_sidecar()
            client.ask("open", channel="a", target=join(VIP6, PORT))
            self.assertEqual(set(client.calls(60, at_once=6)["by_server"]), {"s1-v6", "s2-v6", "s3-v6"})

    def test_endpoints_behind_sidecars_are_reached_through_them(self):
        with self.mesh as mesh:
            proxies = {}
            rows = []
            for name in ("b1", "b2"):
                pod = mesh.node.add_pod(name)
                mesh.keep(GrpcServer(pod, {join(pod.ip, PORT): name}))
                proxies[name] = mesh.add_sidecar(pod)
                rows.append((name, pod.ip))
            mesh.publish(rows, vips=(VIP,))
            client = self.client_with_sidecar()
            client.ask("open", channel="a", target=join(VIP, PORT))
            reply = client.calls(200, at_once=8)
            self.assertEqual(reply["codes"], {"OK": 200})
            for name, proxy in proxies.items():
                self.assertEqual(proxy.metric("requests_total", direction="inbound"), reply["by_server"][name])
                self.assertEqual(proxy.metric("connections_total", direction="inbound", protocol="http2"), 1)

    def test_rules_can_be_checked_and_removed(self):
        """outrigger-init --check proves it by a connection; after --remove the client is as it was."""
        with self.mesh as mesh:
            _, endpoints = mesh.add_servers("servers", 3)
            mesh.publish(only_v4(endpoints), vips=(VIP,))
            client = self.client_with_sidecar()
            from mesh import inject
            inject(self.proxy.netns, "--check")
            inject(self.proxy.netns, "--remove")
            client.ask("open", channel="a", target=join(VIP, PORT))
            self.assertEqual(len(client.calls(60, at_once=6)["by_server"]), 1)
            self.assertEqual(self.proxy.metric("connections_total", protocol="http2"), 0)
            self.assertNotIn(str(INBOUND_PORT), sh(*self.proxy.netns.enter_words(), "iptables-save"))


if __name__ == "__main__":
    unittest.main()
