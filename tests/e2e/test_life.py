# SPDX-License-Identifier: Apache-2.0
"""Many connections, many streams, and the end: draining, stopping, and nothing left over."""
import signal
import threading
import unittest

import tcp
from h2raw import PREFACE, SETTINGS, frame, grpc_request, read_response
from mesh import PORT, VIP, Mesh, is_v6, join, wait_until
from programs import GrpcClient, GrpcServer


class Life(unittest.TestCase):
    def setUp(self):
        self.mesh = mesh = Mesh()
        self.addCleanup(mesh.close)
        mesh.start_api()
        self.servers, endpoints = mesh.add_servers("servers", 3)
        self.rows = [e for e in endpoints if not is_v6(e[1])]
        mesh.publish(self.rows, vips=(VIP,))
        self.pod = mesh.node.add_pod("client")

    def client(self, *flags):
        self.proxy = self.mesh.add_sidecar(self.pod, *flags)
        return self.mesh.keep(GrpcClient(self.pod, join(VIP, PORT)))


class Many(Life):
    def test_five_hundred_long_streams_on_one_connection(self):
        with self.mesh:
            client = self.client()
            opened = client.ask("streams_open", channel="a", count=500)
            self.assertEqual(opened["echoed"], 500)
            self.assertEqual(client.ask("streams_echo")["echoed"], 500)
            self.assertEqual(client.calls(50, at_once=5)["codes"], {"OK": 50}, "calls beside them")
            self.assertEqual(self.proxy.metric("connections_total", direction="outbound", protocol="http2"), 1)
            self.assertEqual(len(opened["by_server"]), 3)
            self.assertEqual(client.ask("streams_close")["codes"], {"OK": 500})

    def test_five_hundred_streams_through_two_sidecars(self):
        with self.mesh as mesh:
            backend = mesh.node.add_pod("backend")
            mesh.keep(GrpcServer(backend, {join(backend.ip, PORT): "backend"}))
            mesh.add_sidecar(backend)
            mesh.publish([("backend", backend.ip)], name="inner", vips=("10.96.0.20",))
            client = self.client()
            client.ask("open", channel="b", target=join("10.96.0.20", PORT))
            self.assertEqual(client.ask("streams_open", channel="b", count=500)["echoed"], 500)
            self.assertEqual(client.ask("streams_close")["codes"], {"OK": 500})

    def test_cancelled_streams_leave_nothing(self):
        with self.mesh:
            client = self.client()
            client.ask("streams_open", channel="a", count=200)
            client.ask("streams_cancel")
            self.assertEqual(client.ask("streams_wait")["codes"], {"CANCELLED": 200})
            wait_until(lambda: self.proxy.objects()["exchange"] == 0, "exchanges freed while the connection lives")

    def test_a_thousand_raw_connections(self):
        with self.mesh as mesh:
            plain = mesh.node.add_pod("plain")
            self.client()
            before = self.proxy.metric("open_fds")
            with tcp.Listener(plain, plain.ip, tcp.echo) as listener:
                sockets = [self.pod.connect(plain.ip, listener.port) for _ in range(1000)]
                for i, s in enumerate(sockets):
                    s.sendall(b"%06d" % i)
                for i, s in enumerate(sockets):
                    self.assertEqual(tcp.read_exactly(s, 6), b"%06d" % i)
                self.assertGreaterEqual(self.proxy.objects()["relay"], 1000)
                for s in sockets:
                    s.close()
            self.proxy.wait_idle()
            wait_until(lambda: self.proxy.metric("open_fds") <= before + 2, "descriptors closed")

    def test_a_thousand_http2_connections_share_the_endpoints_connections(self):
        with self.mesh:
            self.client()
            before = self.proxy.metric("open_fds")
            sockets = [self.pod.connect(VIP, PORT) for _ in range(1000)]
            for i, s in enumerate(sockets):
                s.sendall(PREFACE + frame(SETTINGS) + grpc_request(1, message=b"%06d" % i))
            for i, s in enumerate(sockets):
                self.assertEqual(read_response(s, 1)["data"], b"%06d" % i)
            self.assertEqual(self.proxy.metric("connections_active", direction="outbound"), 1000)
            self.assertLess(self.proxy.metric("open_fds"), before + 1000 + 60, "endpoints' connections are pooled")
            for s in sockets:
                s.close()
            self.proxy.wait_idle()
            wait_until(lambda: self.proxy.metric("open_fds") <= before + 60, "descriptors closed")

    def test_connections_that_come_and_go_leak_no_descriptor(self):
        with self.mesh as mesh:
            plain = mesh.node.add_pod("plain")
            client = self.client()
            client.calls(50, at_once=5)
            before = self.proxy.metric("open_fds")
            with tcp.Listener(plain, plain.ip, tcp.echo) as listener:
                for i in range(300):
                    s = self.pod.connect(plain.ip, listener.port) if i % 3 else self.pod.connect(plain.ip, 9)
                    tcp.reset(s) if i % 2 else s.close()
            for i in range(100):
                s = self.pod.connect(VIP, PORT)
                s.sendall(PREFACE[:i % 25] if i % 2 else PREFACE + frame(SETTINGS) + grpc_request(1))
                tcp.reset(s) if i % 3 else s.close()
            client.ask("close", channel="a")
            self.proxy.wait_idle()
            wait_until(lambda: self.proxy.metric("open_fds") <= before, "descriptors closed")


class Ends(Life):
    def test_calls_in_flight_at_sigterm_finish(self):
        with self.mesh:
            client = self.client()
            client.calls(5)
            client.ask_later("calls", channel="a", count=20, at_once=20, metadata={"delay-ms": 3000})
            wait_until(lambda: self.proxy.metric("requests_in_flight", direction="outbound") == 20, "20 calls in flight")
            self.proxy.signal(signal.SIGTERM)
            reply = client.answer()
            self.assertEqual(reply["codes"], {"OK": 20}, reply)
            client.close()
            self.assertEqual(self.proxy.wait_exit(), 0)

    def test_the_proxy_is_not_ready_but_accepts_during_the_drain_delay(self):
        with self.mesh:
            client = self.client("--drain-delay", "5s")
            client.calls(5)
            self.proxy.signal(signal.SIGTERM)
            wait_until(lambda: self.proxy.get("/ready")[0] == 503, "not ready")
            client.ask("open", channel="b", target=join(VIP, PORT))
            self.assertEqual(client.calls(20, channel="b", at_once=4)["codes"], {"OK": 20})
            self.assertEqual(self.proxy.get("/live")[0], 200)
            client.close()
            self.assertEqual(self.proxy.wait_exit(), 0)

    def test_draining_a_servers_sidecar_under_load_fails_no_call(self):
        with self.mesh as mesh:
            proxies, rows = [], []
            for name in ("b1", "b2"):
                pod = mesh.node.add_pod(name)
                mesh.keep(GrpcServer(pod, {join(pod.ip, PORT): name})).ask("delay", id=name, ms=10)
                proxies.append(mesh.add_sidecar(pod))
                rows.append((name, pod.ip))
            mesh.publish(rows, vips=(VIP,))
            client = self.client()
            client.ask("load", channel="a", at_once=10)
            client.load_until("b1")
            proxies[0].signal(signal.SIGTERM)
            self.assertEqual(proxies[0].wait_exit(), 0)
            client.load_until("b2")
            self.assertEqual(set(client.ask("unload")["codes"]), {"OK"})
            self.assertEqual(client.calls(50, at_once=5)["by_server"], {"b2": 50})
            self.assertEqual(self.proxy.metric("requests_total"), self.proxy.metric("requests_total", grpc_status="0"))

    def test_a_long_stream_is_cut_when_the_grace_ends(self):
        with self.mesh:
            client = self.client("--drain-grace", "1s")
            client.ask("streams_open", channel="a", count=3)
            self.proxy.signal(signal.SIGTERM)
            self.assertEqual(client.ask("streams_wait")["codes"], {"UNAVAILABLE": 3})
            self.assertEqual(self.proxy.wait_exit(), 0)

    def test_a_second_sigterm_stops_at_once(self):
        with self.mesh:
            client = self.client("--drain-grace", "3600s")
            client.ask("streams_open", channel="a", count=3)
            self.proxy.signal(signal.SIGTERM)
            wait_until(lambda: self.proxy.get("/ready")[0] != 200, "draining")
            self.proxy.signal(signal.SIGTERM)
            self.proxy.wait_exit()
            self.assertEqual(client.ask("streams_wait")["codes"], {"UNAVAILABLE": 3})

    def test_sigterm_with_raw_connections_open_waits_for_them(self):
        with self.mesh as mesh:
            plain = mesh.node.add_pod("plain")
            self.client().close()
            with tcp.Listener(plain, plain.ip, tcp.echo) as listener:
                s = self.pod.connect(plain.ip, listener.port)
                s.sendall(b"before")
                tcp.read_exactly(s, 6)
                self.proxy.signal(signal.SIGTERM)
                wait_until(lambda: self.proxy.get("/ready")[0] != 200, "draining")
                s.sendall(b"during")
                self.assertEqual(tcp.read_exactly(s, 6), b"during")
                s.close()
                self.assertEqual(self.proxy.wait_exit(), 0)

    def test_an_idle_proxy_stops_with_status_zero(self):
        with self.mesh:
            self.client().close()
            self.proxy.signal(signal.SIGTERM)
            self.assertEqual(self.proxy.wait_exit(), 0)

    def test_the_api_stops_with_status_zero_while_proxies_are_connected(self):
        with self.mesh as mesh:
            client = self.client()
            client.calls(3)
            mesh.api.signal(signal.SIGTERM)
            self.assertEqual(mesh.api.wait_exit(), 0)


class Workers(Life):
    def test_several_workers_share_what_is_in_flight(self):
        """Ten connections over four workers: balanced as if it were one."""
        with self.mesh:
            client = self.client("--workers", "4")
            totals = {}
            for i in range(10):
                client.ask("open", channel=f"c{i}", target=join(VIP, PORT))
                for name, n in client.calls(60, channel=f"c{i}", at_once=6)["by_server"].items():
                    totals[name] = totals.get(name, 0) + n
            self.assertEqual(sum(totals.values()), 600)
            self.assertGreater(min(totals.get(n, 0) for n in ("s1", "s2", "s3")), 100, totals)

    def test_load_through_several_workers_while_endpoints_change(self):
        with self.mesh as mesh:
            client = self.client("--workers", "4")
            done = threading.Event()

            def churn():
                while not done.wait(0.1):
                    for rows in (self.rows[:1], self.rows[1:], self.rows):
                        mesh.publish(rows, vips=(VIP,))
                        if done.wait(0.1):
                            break

            thread = threading.Thread(target=churn)
            thread.start()
            try:
                for i in range(6):
                    client.ask("open", channel=f"c{i}", target=join(VIP, PORT))
                    reply = client.calls(400, channel=f"c{i}", at_once=8)
                    self.assertEqual(reply["codes"], {"OK": 400}, reply)
            finally:
                done.set()
                thread.join()


if __name__ == "__main__":
    unittest.main()
