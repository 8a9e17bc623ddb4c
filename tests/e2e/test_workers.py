# SPDX-License-Identifier: Apache-2.0
"""Four workers: connections are dealt out to them, they share nothing but load, and what they count adds up. Also run under TSan."""
import signal
import threading
import unittest

import tcp
from h2raw import Client
from mesh import PORT, VIP, Mesh, is_v6, join, wait_until
from programs import GrpcClient
from raw_service import RawMesh, succeed

WORKERS = 4
CLIENTS = 8


class Traffic(unittest.TestCase):
    def setUp(self):
        self.mesh = mesh = Mesh()
        self.addCleanup(mesh.close)
        mesh.start_api()
        self.servers, endpoints = mesh.add_servers("servers", 6)
        self.rows = [e for e in endpoints if not is_v6(e[1])]
        mesh.publish(self.rows, vips=(VIP,))
        self.pod = mesh.node.add_pod("client")
        self.proxy = mesh.add_sidecar(self.pod, "--workers", str(WORKERS))

    def clients(self, count):
        """One program, `count` channels: a connection each."""
        client = self.mesh.keep(GrpcClient(self.pod))
        for i in range(count):
            client.ask("open", channel=f"c{i}", target=join(VIP, PORT))
        return client

    def outbound(self, name, **labels):
        return self.proxy.metric(name, direction="outbound", service="shop/echo:50051", **labels)

    def test_every_request_is_counted_once_whichever_worker_served_it(self):
        with self.mesh as mesh:
            client = self.clients(CLIENTS)
            calls = 0
            for round_number in range(3):
                for i in range(CLIENTS):
                    reply = client.calls(50, channel=f"c{i}", at_once=8)
                    self.assertEqual(reply["codes"], {"OK": 50}, reply)
                    calls += 50
                if round_number == 0:
                    self.assertEqual(self.proxy.metric("endpoint_requests_total", result="ok"), calls)
                mesh.publish(self.rows[round_number:], vips=(VIP,))  # pushes reach all workers
            self.assertEqual(self.outbound("requests_total", grpc_status="0", http_status="200"), calls)
            self.assertEqual(self.outbound("requests_total"), calls)
            self.assertEqual(self.outbound("requests_in_flight"), 0)
            self.assertEqual(self.proxy.metric("connections_total", direction="outbound", protocol="http2"), CLIENTS)

    def test_all_workers_serve(self):
        with self.mesh:
            client = self.clients(CLIENTS)
            for i in range(CLIENTS):
                client.calls(4, channel=f"c{i}")
            page = self.proxy.get("/endpoints")[1]
            self.assertEqual(page.count("shop/echo:50051  endpoints 6"), WORKERS, page)

    def test_load_while_everything_changes(self):
        """Endpoints come and go, connections too, raw TCP runs beside it, pages are read, and the end comes with streams open."""
        with self.mesh as mesh:
            plain = mesh.node.add_pod("plain")
            client = self.clients(CLIENTS)
            done = threading.Event()
            failures = []

            def churn():
                try:
                    for turn in range(100000):
                        if done.is_set():
                            return
                        mesh.publish(self.rows[turn % 3:3 + turn % 4], vips=(VIP,))
                        self.proxy.get("/endpoints")
                        self.proxy.metrics()
                        with self.pod.connect(plain.ip, listener.port) as s:
                            s.sendall(b"hello")
                            tcp.read_exactly(s, 5)
                except Exception as error:  # the test must see what its thread saw
                    failures.append(error)

            with tcp.Listener(plain, plain.ip, tcp.echo) as listener:
                thread = threading.Thread(target=churn)
                thread.start()
                try:
                    for i in range(2 * CLIENTS):
                        reply = client.calls(100, channel=f"c{i % CLIENTS}", at_once=10)
                        self.assertEqual(reply["codes"], {"OK": 100}, reply)
                finally:
                    done.set()
                    thread.join()
            self.assertEqual(failures, [])
            self.assertEqual(client.ask("streams_open", channel="c0", count=20)["echoed"], 20)
            self.proxy.signal(signal.SIGTERM)
            self.assertEqual(client.ask("streams_close")["codes"], {"OK": 20})
            client.close()
            self.assertEqual(self.proxy.wait_exit(), 0)


class Load(RawMesh):
    FLAGS = ("--workers", str(WORKERS))

    def test_requests_in_flight_are_seen_by_all_workers(self):
        """With nothing answered, in-flight is all there is to choose by: 40 requests over 8 connections and 4 endpoints, 10 each."""
        held = []
        service = self.service(4, then=held.append)
        clients = [Client(self.client_pod.connect(service.vip, PORT)) for _ in range(CLIENTS)]
        asked = []
        for client in clients:
            self.addCleanup(client.close)
        for i in range(40):
            asked.append(clients[i % CLIENTS].unary())
            wait_until(lambda n=i + 1: len(held) == n, "the request at an endpoint")
        by_endpoint = [sum(len(c.streams) for c in server.connections) for server in service.servers.values()]
        self.assertEqual(by_endpoint, [10, 10, 10, 10])
        self.assertEqual(self.proxy.metric("requests_in_flight", service=f"shop/{service.name}:{PORT}"), 40)
        self.assertEqual(self.proxy.metric("endpoint_in_flight", service=f"shop/{service.name}:{PORT}"), 40)
        for stream in held:
            succeed(stream)
        for stream in asked:
            self.assert_fine(stream)
        wait_until(lambda: self.proxy.metric("requests_in_flight", service=f"shop/{service.name}:{PORT}") == 0, "nothing in flight")


if __name__ == "__main__":
    unittest.main()
