# SPDX-License-Identifier: Apache-2.0
"""Faults under load, with the client's own account of every call and the servers' record of what they executed.

What holds in each: every call ends with one outcome, none is executed twice, what succeeded was executed; and what the test's name says.
"""
import signal
import unittest

import load
import tcp
from h2raw import ACK, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, read_exactly, read_frame
from load import Fleet, LoadClient
from mesh import PORT, VIP, Mesh, wait_until

RATE, STREAMS = 500, 10
KEEPALIVE = ("--keepalive-after", "1s", "--keepalive-timeout", "1s")


@unittest.skipUnless(load.HERE, load.MISSING)
class FaultsUnderLoad(unittest.TestCase):
    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)

    def start(self, endpoints=3, flags=(), streams=STREAMS, api=True, **server):
        if api:
            self.mesh.start_api()
        self.fleet = Fleet(self.mesh, 12, **{"delay_ms": 5, **server})
        self.servers = self.fleet.add(endpoints)
        self.pod = self.mesh.node.add_pod("client")
        self.proxy = self.mesh.add_sidecar(self.pod, *flags)
        if api:
            load.wait_known(self.mesh, self.proxy, self.pod, endpoints)
        self.client = self.mesh.keep(LoadClient(self.pod, RATE, streams))
        for server in self.servers:
            self.client.go_on_with(server.name)

    def finish(self, calls=RATE):
        self.client.go_on(calls)
        account = self.client.stop().add_servers(self.fleet.all).say(self.id().rsplit(".", 1)[1])
        self.client.close()
        return account.check(self)

    def assert_only_sent_calls_failed(self, account, is_drained=False):
        """is_drained: gRPC's C++ server has drained without notice, which cancels calls that it has not begun (test_rolling.py)."""
        self.assertLessEqual(set(account.counts["codes"]), {"0", "14", "1"} if is_drained else {"0", "14"}, account.counts)
        self.assertEqual({n for n, status in account.outcomes.items() if status == 1} & set(account.executions), set())
        for message in account.counts["messages"]:
            if not (is_drained and message == "1 CANCELLED"):
                self.assertIn("request was sent", message)

    # ---- endpoints that stop answering ----

    def test_a_frozen_endpoint_costs_only_the_calls_it_holds(self):
        with self.mesh:
            self.start(flags=KEEPALIVE)
            frozen = self.servers[0]
            frozen.freeze()
            wait_until(self.lost, "the freeze is noticed")
            self.client.go_on(3 * RATE)
            frozen.thaw()
            self.client.go_on_with(frozen.name)
            account = self.finish()
            self.assert_only_sent_calls_failed(account)
            self.assertGreater(account.counts["stream_codes"].get("14", 0), 0, "its streams end")

    def lost(self):
        return sum(n for code, n in self.client.counts()["codes"].items() if code != "0")

    def test_an_unreachable_endpoint_costs_only_the_calls_it_holds(self):
        """Its packets are dropped both ways: no reset, no end, for connections that are and that would be."""
        with self.mesh as mesh:
            self.start(flags=KEEPALIVE)
            gone = self.servers[0]
            for where in ("-s", "-d"):
                mesh.node.run("iptables", "-w", "-I", "FORWARD", where, gone.ip, "-j", "DROP")
            wait_until(self.lost, "the loss is noticed")
            self.client.go_on(3 * RATE)
            for where in ("-s", "-d"):
                mesh.node.run("iptables", "-w", "-D", "FORWARD", where, gone.ip, "-j", "DROP")
            self.client.go_on_with(gone.name)
            self.assert_only_sent_calls_failed(self.finish())

    def test_half_open_connections_cost_only_the_calls_they_hold(self):
        """The endpoint's host restarts without a word: the connections are unknown there when it is back, at the same address."""
        with self.mesh as mesh:
            self.start(flags=KEEPALIVE)
            old = self.servers[0]
            silence = ["-s", old.ip, "-j", "DROP"]
            farewell = ["-s", old.ip, "-p", "tcp", "--tcp-flags", "FIN", "FIN", "-j", "DROP"]
            mesh.node.run("iptables", "-w", "-I", "FORWARD", *silence)
            mesh.node.run("iptables", "-w", "-I", "FORWARD", *farewell)
            old.kill()
            mesh.node.run("iptables", "-w", "-D", "FORWARD", *silence)
            new = self.fleet.restart(old)
            self.client.go_on_with(new.name)
            mesh.node.run("iptables", "-w", "-D", "FORWARD", *farewell)
            account = self.finish()
            self.assert_only_sent_calls_failed(account)
            self.assertGreater(account.counts["stream_codes"].get("14", 0), 0, "its streams end")

    # ---- endpoints that send connections away ----

    def test_goaway_storms_cost_no_call(self):
        """Every connection of every endpoint is sent away after about 100 ms, again and again."""
        with self.mesh:
            self.start(max_age_ms=100)
            self.client.go_on(6 * RATE)
            account = self.finish()
            account.check_nothing_failed(self)
            connects = self.proxy.metric("endpoint_connects_total", result="ok")
            self.assertGreater(connects, 30, "the storm took place")

    def test_connection_resets_cost_only_the_calls_they_carry(self):
        """A firewall resets connections to one endpoint for a while, then those to another."""
        with self.mesh as mesh:
            self.start()
            for _ in range(3):
                for server in self.servers:
                    rule = ["-p", "tcp", "-d", server.ip, "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "REJECT", "--reject-with",
                            "tcp-reset"]
                    mesh.node.run("iptables", "-w", "-I", "FORWARD", *rule)
                    self.client.go_on(RATE // 5)
                    mesh.node.run("iptables", "-w", "-D", "FORWARD", *rule)
                    self.client.go_on(RATE // 5)
            self.assertGreater(self.proxy.metric("endpoint_connects_total", result="ok"), len(self.servers), "connections were reset")
            self.assert_only_sent_calls_failed(self.finish())

    def test_an_endpoint_that_resets_every_connection_costs_no_call_that_it_did_not_read(self):
        """It accepts, reads a request and resets: its calls may fail, and it is given ever fewer."""
        with self.mesh as mesh:
            def swallow(s):
                read_exactly(s, len(PREFACE))
                s.sendall(frame(SETTINGS))
                while read_frame(s)[0] != HEADERS:
                    pass
                tcp.reset(s)

            self.start()
            pod = mesh.node.add_pod("resetter")
            with tcp.Listener(pod, pod.ip, swallow, PORT):
                rows = [(s.name, s.ip) for s in self.servers]
                mesh.publish(rows + [("resetter", pod.ip)], vips=(VIP,))
                wait_until(self.lost, "it is used")
                mesh.wait_endpoints(self.proxy, 4)
                self.client.go_on(4 * RATE)
                mesh.publish(rows, vips=(VIP,))
                mesh.wait_endpoints(self.proxy, 3)
                account = self.finish()
            self.assert_only_sent_calls_failed(account)
            self.assertLess(len(account.failed), account.counts["sent"] / 10, account.counts)

    def test_an_endpoint_that_refuses_every_stream_costs_no_call(self):
        """It sends GOAWAY with last stream 0, or RST_STREAM with REFUSED_STREAM, for all it is given."""
        with self.mesh as mesh:
            turn = iter(range(1 << 30))

            def refuse(s):
                read_exactly(s, len(PREFACE))
                s.sendall(frame(SETTINGS))
                while True:
                    kind, flags, stream, _ = read_frame(s)
                    if kind == SETTINGS and not flags & ACK:
                        s.sendall(frame(SETTINGS, ACK))
                    elif kind == HEADERS and next(turn) % 2:
                        s.sendall(frame(GOAWAY, 0, 0, b"\0\0\0\0" + b"\0\0\0\0"))
                    elif kind == HEADERS:
                        s.sendall(frame(RST_STREAM, 0, stream, b"\0\0\0\7"))

            self.start()
            pod = mesh.node.add_pod("refuser")
            with tcp.Listener(pod, pod.ip, refuse, PORT):
                rows = [(s.name, s.ip) for s in self.servers]
                mesh.publish(rows + [("refuser", pod.ip)], vips=(VIP,))
                wait_until(lambda: self.proxy.metric("retries_total") > 3, "it is used, and what it refuses goes elsewhere")
                self.client.go_on(2 * RATE)
                mesh.publish(rows, vips=(VIP,))
                mesh.wait_endpoints(self.proxy, 3)
                self.finish().check_nothing_failed(self)

    # ---- endpoints that end ----

    def test_killed_endpoints_that_come_back_cost_only_the_calls_already_sent(self):
        with self.mesh:
            self.start()
            for server in self.servers:
                server.kill()
                self.client.go_on(RATE // 10)
                self.client.go_on_with(self.fleet.restart(server).name)
            self.assert_only_sent_calls_failed(self.finish())

    # ---- the control plane and the proxies ----

    def test_the_api_away_from_the_start_costs_no_call(self):
        """All goes where the kernel would have sent it; endpoints are replaced behind it all the same."""
        with self.mesh:
            self.start(endpoints=1, api=False)
            self.client.go_on(2 * RATE)
            self.assertEqual(self.proxy.metric("discovery_connected"), 0)
            self.finish().check_nothing_failed(self)

    def test_the_api_away_while_endpoints_are_killed_costs_only_the_calls_already_sent(self):
        with self.mesh as mesh:
            self.start(endpoints=4)
            mesh.api.kill()
            wait_until(lambda: self.proxy.metric("discovery_connected") == 0, "the proxy sees that the api is gone")
            self.servers[0].kill()
            self.servers[1].drain()
            self.client.go_on(3 * RATE)
            before = self.lost()
            self.client.go_on(2 * RATE)
            self.assertEqual(self.lost(), before, "what is gone is left alone")
            self.assertEqual(self.proxy.metric("discovery_connected"), 0)
            self.assert_only_sent_calls_failed(self.finish(), is_drained=True)

    def test_an_api_that_restarts_again_and_again_costs_no_call(self):
        with self.mesh as mesh:
            self.start()
            for _ in range(5):
                mesh.api.kill()
                wait_until(lambda: self.proxy.metric("discovery_connected") == 0, "the proxy sees that the api is gone")
                mesh.start_api()
                wait_until(lambda: self.proxy.metric("discovery_connected") == 1, "connected again")
                self.client.go_on(RATE // 5)
            self.finish().check_nothing_failed(self)

    def test_a_draining_proxy_finishes_what_its_clients_have_sent(self):
        """The client's own sidecar gets SIGTERM. What it took it finishes; calls made after it closed its listeners fail."""
        with self.mesh:
            self.start(flags=("--drain-delay", "1s"), streams=0)
            sent = self.client.counts()["sent"]
            self.proxy.signal(signal.SIGTERM)
            self.assertEqual(self.proxy.wait_exit(), 0)
            account = self.client.stop().add_servers(self.fleet.all).say("draining proxy").check(self)
            self.client.close()
            self.assertLessEqual(set(account.counts["codes"]), {"0", "14"}, account.counts)
            self.assertEqual(account.failed & set(account.executions), set(), "what was executed was answered")
            self.assertEqual({n for n in account.failed if n < sent}, set(), "what was sent before is answered")

    def test_the_servers_sidecars_drained_one_after_another_cost_no_call(self):
        with self.mesh:
            self.start(with_sidecars=True, streams=0)
            for server in self.servers:
                new, = self.fleet.add()
                self.client.go_on_with(new.name)
                server.sidecar.signal(signal.SIGTERM)
                self.assertEqual(server.sidecar.wait_exit(), 0)
                self.fleet.mark(server, None)
            self.finish().check_nothing_failed(self)


if __name__ == "__main__":
    unittest.main()
