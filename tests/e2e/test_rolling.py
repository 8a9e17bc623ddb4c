# SPDX-License-Identifier: Apache-2.0
"""Rolling replacement of all endpoints under load: no call is lost, none is executed twice.

The client records what became of each call, the servers record which calls they executed; the two are compared.
"""
import signal
import unittest

import load
from load import Fleet, LoadClient
from mesh import Mesh

RATE, STREAMS = 2000, 50
ENDPOINTS, ROUNDS = 4, 5


@unittest.skipUnless(load.HERE, load.MISSING)
class Rolling(unittest.TestCase):
    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)

    def start(self, endpoints=ENDPOINTS, **server):
        self.mesh.start_api()
        self.fleet = Fleet(self.mesh, ENDPOINTS * (ROUNDS + 1), **server)
        self.now = self.fleet.add(endpoints)
        pod = self.mesh.node.add_pod("client")
        self.proxy = self.mesh.add_sidecar(pod)
        load.wait_known(self.mesh, self.proxy, pod, endpoints)
        self.client = self.mesh.keep(LoadClient(pod, RATE, STREAMS))

    def replace_all(self, end):
        """Each endpoint by a new one, as a Deployment does it: the new one is ready before the old one goes. end(server) ends it."""
        for old in list(self.now):
            new, = self.fleet.add()
            self.client.go_on_with(new.name)
            end(old)
            self.now = [s for s in self.now if s is not old] + [new]

    def finish(self, what):
        self.client.go_on(RATE)
        account = self.client.stop().add_servers(self.fleet.all).say(what)
        self.client.close()
        return account

    def test_no_call_is_lost_when_servers_drain(self):
        """The pod is marked terminating and gets SIGTERM at the same moment; it serves on for three seconds, then sends GOAWAY."""
        def end(old):
            self.fleet.mark(old, "terminating")
            old.drain()

        with self.mesh:
            self.start(delay_ms=5, lame_ms=3000)
            for _ in range(ROUNDS):
                self.replace_all(end)
            for server in self.fleet.all[:-ENDPOINTS]:
                self.assertEqual(server.wait_exit(), 0)
                self.fleet.mark(server, None)
            account = self.finish("drained").check_nothing_failed(self)
            self.assertEqual(set(account.counts["stream_codes"]), {"0"}, account.counts)
            self.assertGreaterEqual(account.counts["streams_opened"], STREAMS * 2, "streams moved as servers drained")

    def test_only_calls_already_sent_fail_when_servers_drain_without_notice(self):
        """GOAWAY at once with SIGTERM, while the api has yet to tell. (gRPC's C++ server cancels calls that come after its first
        GOAWAY without having executed them; that answer is passed on, as a call that is not known to be unprocessed must be.)"""
        def end(old):
            self.fleet.mark(old, "terminating")
            old.drain()

        with self.mesh:
            self.start(delay_ms=5)
            for _ in range(ROUNDS):
                self.replace_all(end)
            account = self.finish("drained without notice").check(self)
            self.assertEqual(account.failed & set(account.executions), set(), "what a draining server has begun it finishes")
            self.assertLessEqual(set(account.counts["codes"]), {"0", "1"}, account.counts)
            self.assertEqual(set(account.counts["stream_codes"]), {"0"}, account.counts)

    def test_no_call_is_lost_when_servers_and_their_sidecars_drain(self):
        """As Kubernetes ends a pod: SIGTERM to the app and to the sidecar at the moment in which the pod is marked terminating."""
        def end(old):
            self.fleet.mark(old, "terminating")
            old.drain()
            old.sidecar.signal(signal.SIGTERM)

        with self.mesh:
            self.start(endpoints=2, delay_ms=5, lame_ms=3000, with_sidecars=True)
            for _ in range(2):
                self.replace_all(end)
            for server in self.fleet.all[:-2]:
                self.assertEqual((server.wait_exit(), server.sidecar.wait_exit()), (0, 0))
            account = self.finish("drained with sidecars").check_nothing_failed(self)
            self.assertEqual(set(account.counts["stream_codes"]), {"0"}, account.counts)

    def test_only_calls_already_sent_fail_when_servers_are_killed(self):
        def end(old):
            old.kill()
            self.fleet.mark(old, None)

        with self.mesh:
            self.start(delay_ms=5)
            for _ in range(ROUNDS):
                self.replace_all(end)
            account = self.finish("killed").check(self)
            self.assertLessEqual(set(account.counts["codes"]), {"0", "14"}, account.counts)
            self.assertGreater(account.counts["stream_codes"].get("14", 0), 0, "the streams of a killed server end")
            for message in account.counts["messages"]:
                self.assertIn("request was sent", message)


if __name__ == "__main__":
    unittest.main()
