# SPDX-License-Identifier: Apache-2.0
"""One raw client, one raw server, and outrigger-proxy between them: on the client's side (outbound) or on the server's (inbound).

    @on_both_sides                  # the facts become two classes of tests, one for each side
    class Trailers:
        def test_trailers_pass(self):
            asked, served = self.begin(grpc_fields())
            ...

Both proxies run for the whole file (setUpModule, tearDownModule = start, stop) in namespaces with real redirection, and end the file by
having no connection, stream or exchange left. There is no api: HTTP/2 is then served from its original destination, by the
same path as a Service with that one endpoint. Each test has a server, and so an endpoint, of its own.
"""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "e2e"))
sys.path.append(os.path.join(HERE, "..", "lib"))
from h2raw import Client, Server  # noqa: E402
from mesh import Mesh, Proxy, inject  # noqa: E402

FLAGS = {"outbound": (), "inbound": ()}  # more words for the proxies' command lines; set before start()


class World:
    """Three pods: `user` calls through its sidecar, `app` serves behind its own, `bare` has none and plays the other end."""

    def __init__(self):
        self.mesh = Mesh()
        node = self.mesh.node
        self.bare, self.user, self.app = (node.add_pod(name) for name in ("bare", "user", "app"))
        for pod in (self.user, self.app):
            inject(pod)
        self.outbound = Proxy(self.user, None, *FLAGS["outbound"])
        self.inbound = Proxy(self.app, None, *FLAGS["inbound"])
        self.mesh.programs += [self.outbound, self.inbound]
        for proxy in self.mesh.programs:
            proxy.wait_ready()


world = None


def start():
    global world
    world = World()


def stop():
    try:
        world.mesh.check_end()
    except BaseException:
        world.mesh.show_logs()
        raise
    finally:
        world.mesh.close()


class Side:
    """What a test of either side has: self.proxy, self.server, self.client(), self.begin()."""

    SERVER = {}  # options of the server's connections

    def setUp(self):
        self.proxy = getattr(world, self.SIDE)
        self.server = Server(self.server_pod.listen(self.server_pod.ip, backlog=64), **self.SERVER)
        self.addCleanup(self.server.close)
        self.clients = []
        self.addCleanup(lambda: [c.close() for c in self.clients])

    def tearDown(self):
        self.proxy.check_alive()
        for client in self.clients:
            client.close()
        self.server.close()
        self.proxy.wait_idle()

    def client(self, **options):
        self.clients.append(Client(self.client_pod.connect(*self.server.address), **options))
        return self.clients[-1]

    def begin(self, fields, end=False, client=None, server=None, **options):
        """A request on a connection of its own that has reached the server: both ends' view of its stream."""
        caller = self.client(**(client or {}))
        connection = self.accept(**(server or {})) if self.SIDE == "inbound" else None  # its SETTINGS are what the client waits for
        asked = caller.request(fields, end, **options)
        return asked, (connection or self.accept(**(server or {}))).next_request()

    def accept(self, **options):
        """The connection that the proxy uses. One that it had opened in case the server speaks first, and closes, is passed over."""
        while True:
            connection = self.server.accept(**options)
            connection.wait(lambda: connection.preface or connection.closed, "the preface")
            if connection.preface:
                return connection

    def again(self, asked, served, fields, end=False):
        """One more request on the same connections."""
        more = asked.connection.request(fields, end)
        return more, served.connection.next_request()

    def check_alive(self, asked, served):
        """The connections still serve a whole exchange."""
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/alive")]
        more, seen = self.again(asked, served, fields, end=True)
        self.assertEqual(seen.value(":path"), b"/alive")
        seen.headers([(":status", "204")], end=True)
        self.assertEqual(more.wait_end().status, 204)


class Outbound(Side):
    SIDE = "outbound"

    @property
    def client_pod(self):
        return world.user

    @property
    def server_pod(self):
        return world.bare


class Inbound(Side):
    SIDE = "inbound"

    @property
    def client_pod(self):
        return world.bare

    @property
    def server_pod(self):
        return world.app


def on_both_sides(facts):
    module = sys.modules[facts.__module__]
    for side in (Outbound, Inbound):
        name = facts.__name__ + side.__name__
        setattr(module, name, type(name, (facts, side, unittest.TestCase), {"__module__": facts.__module__}))
    return facts


def as_bytes(fields):
    """What the other end must see of fields that were sent."""
    return [tuple(part.encode("latin-1") if isinstance(part, str) else part for part in field[:2]) for field in fields]
