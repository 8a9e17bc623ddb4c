# SPDX-License-Identifier: Apache-2.0
"""A captured client and Services whose endpoints are raw HTTP/2 servers of the test, which answer each request as they are told.

One mesh serves a whole class of tests; each test makes a Service of its own, so that no endpoint has a history.
"""
import threading
import unittest

import tcp  # noqa: F401 (tests/lib becomes importable)
from h2raw import Client, Server, grpc_message
from mesh import Mesh, is_v6

PORT = 50051


def succeed(stream):
    """A unary gRPC answer."""
    stream.headers([(":status", "200"), ("content-type", "application/grpc")])
    stream.data(grpc_message(b"fine")).headers([("grpc-status", "0")], end=True)


def stay_silent(_stream):
    pass


class RawService:
    """`count` endpoints. Requests take the behaviours of `faults` in the order they come, whichever endpoint they come to, then `then`."""

    def __init__(self, test, count, faults=(), then=succeed, **options):
        number = test.next_number()
        self.vip = f"10.96.1.{number}"
        self.port = 20000 + number
        self.name = f"raw{number}"
        self.faults = list(faults)
        self.then = then
        self.lock = threading.Lock()
        self.requests = []     # streams, in the order they came
        ips = [a for a in test.server_pod.addresses if not is_v6(a)][:count]
        self.servers = {ip: Server(test.server_pod.listen(ip, self.port, backlog=1024), serve=self.serve, **options) for ip in ips}
        self.rows = [(f"{self.name}-{i}", ip) for i, ip in enumerate(ips)]
        test.addCleanup(self.close)
        test.mesh.publish(self.rows, name=self.name, vips=(self.vip,), port=PORT, target_port=self.port)

    def serve(self, stream):
        with self.lock:
            self.requests.append(stream)
            behaviour = self.faults.pop(0) if self.faults else self.then
        behaviour(stream)

    @property
    def connections(self):
        return [c for server in self.servers.values() for c in server.connections]

    def close(self):
        for server in self.servers.values():
            server.close()


class RawMesh(unittest.TestCase):
    FLAGS = ()

    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.addClassCleanup(cls.mesh.close)
        cls.mesh.start_api()
        cls.server_pod = cls.mesh.node.add_pod("servers", 4)
        cls.client_pod = cls.mesh.node.add_pod("client")
        cls.proxy = cls.mesh.add_sidecar(cls.client_pod, *cls.FLAGS)
        cls.number = 0

    @classmethod
    def tearDownClass(cls):
        try:
            cls.mesh.check_end()
        except AssertionError:
            cls.mesh.show_logs()
            raise

    @classmethod
    def next_number(cls):
        cls.number += 1
        return cls.number

    def service(self, count=2, faults=(), **options):
        return RawService(self, count, faults, **options)

    def client(self, service):
        client = Client(self.client_pod.connect(service.vip, PORT))
        self.addCleanup(client.close)
        return client

    # ---- what a client must have got ----

    def assert_fine(self, asked):
        asked.wait_end()
        self.assertEqual((asked.status, asked.body_bytes, dict(asked.trailers)[b"grpc-status"]), (200, grpc_message(b"fine"), b"0"))

    def assert_status(self, asked, status, *words):
        """Trailers-only, with these words in its message."""
        asked.wait_end()
        fields = dict(asked.fields)
        self.assertEqual((len(asked.blocks), fields.get(b"grpc-status")), (1, str(status).encode()), asked.blocks)
        for word in words:
            self.assertIn(word, fields[b"grpc-message"].decode())

    def assert_connection_lives(self, client):
        client.ping()
        self.assertEqual((client.closed, client.goaway), (None, None))
