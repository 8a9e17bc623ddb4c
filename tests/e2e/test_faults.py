# SPDX-License-Identifier: Apache-2.0
"""Endpoints that freeze, die and refuse; a control plane that is away, late or wrong; proxies that go."""
import os
import signal
import unittest

from mesh import API_PORT, PORT, VIP, Mesh, http_get, is_v6, join, wait_until
from programs import GrpcClient, GrpcServer

FROZEN_LIMIT = 60  # seconds; the promise is 20, which the demo and the benchmark measure


def v4_of(pod):
    return [a for a in pod.addresses if not is_v6(a)]


class Faults(unittest.TestCase):
    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)

    def servers(self, *names):
        """Each a process of its own, in one pod, all published as Service echo."""
        pod = self.mesh.node.add_pod("servers", len(names))
        self.rows = list(zip(names, v4_of(pod)))
        self.processes = {name: self.mesh.keep(GrpcServer(pod, {join(ip, PORT): name})) for name, ip in self.rows}
        self.mesh.publish(self.rows, vips=(VIP,))

    def client(self, *flags):
        pod = self.mesh.node.add_pod("client")
        self.proxy = self.mesh.add_sidecar(pod, *flags)
        return self.mesh.keep(GrpcClient(pod, join(VIP, PORT)))


class Endpoints(Faults):
    def test_a_frozen_endpoint_ends_its_streams_unavailable(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("frozen")
            client = self.client("--keepalive-after", "2s", "--keepalive-timeout", "2s")
            self.assertEqual(client.ask("streams_open", channel="a", count=10)["echoed"], 10)
            os.kill(self.processes["frozen"].pid, signal.SIGSTOP)
            reply = client.ask("streams_wait", limit=FROZEN_LIMIT)
            os.kill(self.processes["frozen"].pid, signal.SIGCONT)
            self.assertEqual(reply["codes"], {"UNAVAILABLE": 10}, reply)

    def test_a_frozen_endpoint_ends_its_streams_with_settings_as_they_come(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("frozen")
            client = self.client()
            self.assertEqual(client.ask("streams_open", channel="a", count=3)["echoed"], 3)
            os.kill(self.processes["frozen"].pid, signal.SIGSTOP)
            reply = client.ask("streams_wait", limit=FROZEN_LIMIT)
            os.kill(self.processes["frozen"].pid, signal.SIGCONT)
            self.assertEqual(reply["codes"], {"UNAVAILABLE": 3}, reply)
            self.assertIn(self.rows[0][1], reply["messages"][0], "the message names the endpoint")

    def test_an_endpoint_killed_under_load_fails_only_calls_in_flight(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            for name in ("s1", "s2", "s3"):
                self.processes[name].ask("delay", id=name, ms=20)
            client.ask("load", channel="a", at_once=12)
            self.assertEqual(set(client.load_until("s2")), {"OK"})
            self.processes["s2"].kill()
            done = self.proxy.metric("requests_total")
            wait_until(lambda: self.proxy.metric("requests_total") > done + 500, "calls go on")
            counts = client.ask("load_counts")
            after = client.calls(200, at_once=8)
            mesh.publish([r for r in self.rows if r[0] != "s2"], vips=(VIP,))
            end = client.ask("unload")
            failed = self.proxy.metric("requests_total") - self.proxy.metric("requests_total", grpc_status="0")
            self.assertLessEqual(failed, 12, (counts, end))
            self.assertEqual(after["codes"], {"OK": 200}, after)
            self.assertNotIn("s2", after["by_server"])

    def test_an_endpoint_that_refuses_connections_costs_no_call(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "gone")
            self.processes["gone"].kill()
            client = self.client()
            reply = client.calls(300, at_once=8)
            self.assertEqual(reply["codes"], {"OK": 300}, reply)
            self.assertEqual(set(reply["by_server"]), {"s1", "s2"})

    def test_no_endpoint_that_answers_is_unavailable_with_its_address(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("gone")
            self.processes["gone"].kill()
            reply = self.client().calls(3)
            self.assertEqual(reply["codes"], {"UNAVAILABLE": 3}, reply)
            self.assertIn(self.rows[0][1], reply["messages"][0])

    def test_an_endpoint_that_comes_back_is_used_again(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2")
            client = self.client()
            self.assertEqual(len(client.calls(40, at_once=4)["by_server"]), 2)
            self.processes["s2"].ask("stop", id="s2", grace=5)
            client.calls(40, at_once=4)
            self.processes["s2"].ask("start", id="s2")
            wait_until(lambda: "s2" in client.calls(40, at_once=4)["by_server"], "s2 gets calls again")

    def test_a_terminating_endpoint_is_left_before_it_stops(self):
        """As Kubernetes does it: out of the slice, a moment later SIGTERM. No call fails."""
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            for name in ("s1", "s2", "s3"):
                self.processes[name].ask("delay", id=name, ms=10)
            client.ask("load", channel="a", at_once=10)
            client.load_until("s3")
            mesh.publish([r + (("terminating",) if r[0] == "s3" else ("ready",)) for r in self.rows], vips=(VIP,))
            mesh.wait_endpoints(self.proxy, 2)
            self.processes["s3"].ask("stop", id="s3", grace=30)
            client.ask("load_counts")
            counts = client.ask("unload")
            self.assertEqual(set(counts["codes"]), {"OK"}, counts)
            self.assertEqual(self.proxy.metric("requests_total"), self.proxy.metric("requests_total", grpc_status="0"))


class Control(Faults):
    def stop_api(self):
        self.mesh.api.stop()
        wait_until(lambda: self.proxy.metric("discovery_connected") == 0, "the proxy sees that the api is gone")

    def test_calls_go_on_while_the_api_is_away(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            self.assertEqual(len(client.calls(60, at_once=6)["by_server"]), 3)
            self.stop_api()
            reply = client.calls(60, at_once=6)
            self.assertEqual((reply["codes"], len(reply["by_server"])), ({"OK": 60}, 3))

    def test_a_new_connection_while_the_api_is_away_is_balanced_over_what_is_known(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            client.calls(10)
            self.stop_api()
            client.ask("open", channel="b", target=join(VIP, PORT))
            reply = client.calls(60, channel="b", at_once=6)
            self.assertEqual((reply["codes"], len(reply["by_server"])), ({"OK": 60}, 3))

    def test_changes_made_while_the_api_was_away_arrive_when_it_is_back(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            client.calls(10)
            self.stop_api()
            mesh.publish(self.rows[:1], vips=(VIP,))
            mesh.start_api()
            mesh.wait_endpoints(self.proxy, 1)
            self.assertEqual(client.calls(50, at_once=5)["by_server"], {"s1": 50})

    def test_an_api_killed_and_restarted_costs_no_call(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            client.ask("load", channel="a", at_once=6)
            mesh.api.kill()
            wait_until(lambda: self.proxy.metric("discovery_connected") == 0, "the proxy sees that the api is gone")
            mesh.start_api()
            wait_until(lambda: self.proxy.metric("discovery_connected") == 1, "connected again")
            counts = client.ask("unload")
            self.assertEqual(set(counts["codes"]), {"OK"}, counts)
            self.assertEqual(set(counts["by_server"]), {"s1", "s2", "s3"})

    def test_a_connection_made_without_an_api_becomes_balanced_when_it_appears(self):
        with self.mesh as mesh:
            self.servers("s1", "s2", "s3")
            client = self.client()
            reply = client.calls(30, at_once=3)
            self.assertEqual((reply["codes"], len(reply["by_server"])), ({"OK": 30}, 1), "served where the kernel sends it")
            mesh.start_api()
            wait_until(lambda: len(client.calls(30, at_once=6)["by_server"]) == 3, "balanced")
            self.assertEqual(self.proxy.metric("connections_total", direction="outbound", protocol="http2"), 1, "the same connection")

    def test_streams_opened_without_an_api_live_on_when_it_appears(self):
        with self.mesh as mesh:
            self.servers("s1", "s2", "s3")
            client = self.client()
            self.assertEqual(client.ask("streams_open", channel="a", count=5)["echoed"], 5)
            mesh.start_api()
            wait_until(lambda: len(client.calls(30, at_once=6)["by_server"]) == 3, "balanced")
            self.assertEqual(client.ask("streams_echo")["echoed"], 5)
            self.assertEqual(client.ask("streams_close")["codes"], {"OK": 5})

    def test_a_service_that_disappears_ends_the_connection_gracefully(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            self.assertEqual(len(client.calls(30, at_once=6)["by_server"]), 3)
            mesh.manifests.remove("echo.yaml")
            # kube-proxy's rule is still there: the address is raw TCP now.
            wait_until(lambda: len(client.calls(20, at_once=4)["by_server"]) == 1, "one server by one connection")
            self.assertEqual(set(client.calls(20, at_once=4)["codes"]), {"OK"})

    def test_a_wrong_manifest_changes_nothing(self):
        with self.mesh as mesh:
            api = mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            client.calls(10)
            mesh.manifests.write("echo.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: [half written\n")
            wait_until(lambda: "echo.yaml" in api.log(), "the api names the file")
            reply = client.calls(60, at_once=6)
            self.assertEqual((reply["codes"], len(reply["by_server"])), ({"OK": 60}, 3))

    def test_the_proxy_is_ready_without_an_api(self):
        with self.mesh:
            self.client()
            self.assertEqual(self.proxy.get("/ready")[0], 200)
            self.assertEqual(self.proxy.get("/live")[0], 200)

    def test_a_silent_api_does_not_stop_calls(self):
        """Something listens on the api's port and never says a word."""
        with self.mesh as mesh:
            listener = mesh.control.listen("0.0.0.0", API_PORT)
            self.addCleanup(listener.close)
            self.servers("s1", "s2", "s3")
            self.assertEqual(self.client().calls(30, at_once=3)["codes"], {"OK": 30})


class Proxies(Faults):
    def test_calls_go_on_after_the_proxy_was_killed_and_restarted(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            client.calls(10)
            self.proxy.kill()
            self.proxy.start().wait_ready()
            reply = client.calls(60, at_once=6, wait_for_ready=True)
            self.assertEqual((reply["codes"], len(reply["by_server"])), ({"OK": 60}, 3))

    def test_a_proxy_restarted_while_the_api_is_away_serves(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1", "s2", "s3")
            client = self.client()
            client.calls(10)
            mesh.api.stop()
            self.proxy.stop()
            self.proxy.start().wait_ready()
            self.assertEqual(client.calls(30, at_once=3, wait_for_ready=True)["codes"], {"OK": 30})

    def test_the_server_sidecars_death_is_seen_by_the_clients_sidecar(self):
        with self.mesh as mesh:
            mesh.start_api()
            rows, proxies = [], []
            for name in ("b1", "b2"):
                pod = mesh.node.add_pod(name)
                mesh.keep(GrpcServer(pod, {join(pod.ip, PORT): name}))
                proxies.append(mesh.add_sidecar(pod))
                rows.append((name, pod.ip))
            mesh.publish(rows, vips=(VIP,))
            client = self.client()
            self.assertEqual(len(client.calls(40, at_once=4)["by_server"]), 2)
            proxies[0].kill()
            reply = client.calls(40, at_once=4)
            self.assertGreaterEqual(reply["codes"].get("OK", 0), 36, reply)
            self.assertEqual(client.calls(40, at_once=4)["by_server"], {"b2": 40})

    def test_the_admin_port_tells_a_state(self):
        with self.mesh as mesh:
            mesh.start_api()
            self.servers("s1")
            client = self.client()
            client.calls(1)
            for path, words in (("/endpoints", "echo"), ("/config", "api"), ("/metrics", "outrigger_proxy_requests_total")):
                status, body = self.proxy.get(path)
                self.assertEqual(status, 200)
                self.assertIn(words, body)
            self.assertEqual(http_get(self.proxy.netns, 15191, "/nothing")[0], 404)


if __name__ == "__main__":
    unittest.main()
