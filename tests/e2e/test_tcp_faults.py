# SPDX-License-Identifier: Apache-2.0
"""What raw connections meet when hosts vanish, servers die or freeze, and descriptors or connections run out."""
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

import tcp
from h2raw import PREFACE, SETTINGS, Client, frame, grpc_fields, grpc_request, read_response
from mesh import PORT, PROXY_UID, WRAP, Mesh, wait_until
from netns import sh
from programs import PYTHON, GrpcServer, running


class Faults(unittest.TestCase):
    """A client and a server pod, a sidecar in the one, the other or both; no api."""
    flags = ()

    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.end)
        self.client, self.server = self.mesh.node.add_pod("client"), self.mesh.node.add_pod("server")
        self.sockets = []

    def end(self):
        for s in self.sockets:
            s.close()
        self.mesh.__exit__(None, None, None)

    def add_proxy(self, pod, *flags):
        return self.mesh.add_sidecar(pod, *self.flags, *flags)

    def serve(self, handler):
        listener = tcp.Listener(self.server, self.server.ip, handler)
        self.addCleanup(listener.close)
        return listener

    def connect(self, listener):
        return self.dial(listener.ip, listener.port)

    def dial(self, ip, port):
        s = self.client.connect(ip, port, timeout=120)
        self.sockets.append(s)
        return s

    def echoes(self, s, data=b"ping"):
        s.sendall(data)
        self.assertEqual(tcp.read_exactly(s, len(data)), data)

    def part(self, pod):
        """The pod's network is gone: nothing arrives, nobody is told."""
        for way in ("-s", "-d"):
            self.mesh.node.run("iptables", "-w", "-I", "FORWARD", way, pod.ip, "-j", "DROP")

    def rejoin(self, pod):
        for way in ("-s", "-d"):
            self.mesh.node.run("iptables", "-w", "-D", "FORWARD", way, pod.ip, "-j", "DROP")

    def assert_reset(self, s):
        with self.assertRaises(ConnectionResetError):
            while s.recv(1 << 16):
                pass
            self.fail("an orderly end")


class Vanished(Faults):
    flags = ("--tcp-keepalive", "1s")

    def test_an_idle_client_that_vanishes_leaves_nothing_and_resets_the_app(self):
        proxy = self.add_proxy(self.server)
        listener = self.serve(tcp.sink)
        self.connect(listener).sendall(b"x")
        wait_until(lambda: proxy.objects()["relay"] == 1, "the connection is relayed")
        self.part(self.client)
        self.assertIsInstance(listener.result(), ConnectionResetError)
        proxy.wait_idle()
        self.assertEqual(proxy.metric("closes_total", direction="inbound", reason="peer_timeout"), 1)

    def test_an_http2_client_that_vanishes_leaves_nothing(self):
        proxy = self.add_proxy(self.server)
        self.mesh.keep(GrpcServer(self.server, {f"{self.server.ip}:{PORT}": "app"}))
        s = self.dial(self.server.ip, PORT)
        s.sendall(PREFACE + frame(SETTINGS) + grpc_request(1))
        self.assertEqual(read_response(s, 1)["data"], b"raw")
        time.sleep(1)  # all is acknowledged
        self.part(self.client)
        proxy.wait_idle()

    def test_an_http2_client_that_vanishes_with_its_answer_under_way_leaves_nothing(self):
        """No stream is open any more; the kernel alone would retransmit for 15 minutes."""
        proxy = self.add_proxy(self.server)
        self.mesh.keep(GrpcServer(self.server, {f"{self.server.ip}:{PORT}": "app"}))
        s = self.dial(self.server.ip, PORT)
        s.sendall(PREFACE + frame(SETTINGS) + grpc_request(1))
        self.assertEqual(read_response(s, 1)["data"], b"raw")
        time.sleep(1)  # all is acknowledged
        self.mesh.node.run("iptables", "-w", "-I", "FORWARD", "-d", self.client.ip, "-j", "DROP")
        s.sendall(grpc_request(3))
        wait_until(lambda: proxy.metric("requests_total", direction="inbound") == 2, "the request is answered")
        self.part(self.client)
        proxy.wait_idle()
        self.assertEqual(proxy.metric("closes_total", direction="inbound", reason="peer_timeout"), 1)

    def test_an_idle_server_that_vanishes_resets_the_client(self):
        proxy = self.add_proxy(self.client)
        s = self.connect(self.serve(tcp.echo))
        self.echoes(s)
        self.part(self.server)
        self.assert_reset(s)
        proxy.wait_idle()

    def test_a_server_that_vanishes_in_an_upload_resets_the_client(self):
        """The kernel alone would retransmit for 15 minutes."""
        proxy = self.add_proxy(self.client)
        s = self.connect(self.serve(tcp.sink))
        s.sendall(bytes(1 << 20))
        self.part(self.server)
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            while True:
                s.sendall(bytes(1 << 20))
        proxy.wait_idle()

    def test_a_server_that_vanishes_in_a_download_resets_the_client(self):
        def send_for_ever(s):
            while True:
                s.sendall(bytes(1 << 16))

        proxy = self.add_proxy(self.client)
        s = self.connect(self.serve(send_for_ever))
        tcp.read_exactly(s, 1 << 20)
        self.part(self.server)
        self.assert_reset(s)
        proxy.wait_idle()

    def test_a_reader_that_is_only_slow_is_not_cut_off(self):
        """Silent for several times the keep-alive, with bytes waiting for it on both hops: alive all the same."""
        data = os.urandom(1 << 16) * 256

        def send(s):
            s.sendall(data)

        self.add_proxy(self.client)
        self.add_proxy(self.server)
        s = self.connect(self.serve(send))
        time.sleep(8)
        self.assertEqual(tcp.read_all(s), data)

    def test_a_half_open_connection_is_reset_when_it_is_used(self):
        """The server's host was away when its end died, and is back: its kernel knows nothing of the connection."""
        has_read, must_go = threading.Event(), threading.Event()

        def handle(s):
            tcp.read_exactly(s, 3)
            has_read.set()
            must_go.wait(60)
            tcp.reset(s)

        proxy = self.add_proxy(self.client, "--tcp-keepalive", "0")
        listener = self.serve(handle)
        s = self.connect(listener)
        s.sendall(b"hel")
        self.assertTrue(has_read.wait(60))
        self.part(self.server)
        must_go.set()
        listener.result()
        self.rejoin(self.server)
        with contextlib.suppress(BrokenPipeError):
            s.sendall(b"lo")
        self.assert_reset(s)
        proxy.wait_idle()


SERVER = """
import socket, sys
l = socket.create_server((sys.argv[1], 7))
print("listens", flush=True)
s, _ = l.accept()
if sys.argv[2] == "reads":
    while s.recv(1 << 16):
        pass
    s.sendall(b"all")
else:
    for _ in range(int(sys.argv[3])):
        s.sendall(bytes(1 << 16))
    s.recv(1)
"""


class Killed(Faults):
    """A server in a process of its own, with the signals that orchestrators and people send."""

    def setUp(self):
        super().setUp()
        self.proxies = [self.add_proxy(self.client), self.add_proxy(self.server)]

    def start(self, *words):
        process = self.server.start([PYTHON, "-c", SERVER, self.server.ip, *words], stdout=subprocess.PIPE, text=True)
        running.append(process)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), "listens\n")
        return process, self.dial(self.server.ip, 7)

    def wait_idle(self):
        for proxy in self.proxies:
            proxy.wait_idle()

    def test_a_server_killed_in_an_upload_resets_the_client(self):
        process, s = self.start("reads")
        s.sendall(bytes(1 << 20))
        process.kill()
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            while True:
                s.sendall(bytes(1 << 20))
        self.wait_idle()

    def test_a_server_killed_in_a_download_ends_it_behind_what_was_sent(self):
        """Its kernel closes in order: nothing had come that it had not read."""
        process, s = self.start("writes", "100000")
        tcp.read_exactly(s, 1 << 20)
        process.kill()
        self.assertGreater(len(tcp.read_all(s)), 0)
        s.close()
        self.wait_idle()

    def test_a_frozen_server_loses_no_byte(self):
        process, s = self.start("reads")
        os.kill(process.pid, signal.SIGSTOP)
        writer = threading.Thread(target=lambda: (s.sendall(bytes(64 << 20)), s.shutdown(socket.SHUT_WR)))
        writer.start()
        time.sleep(3)
        self.assertTrue(writer.is_alive(), "all of it was taken although nobody reads")
        os.kill(process.pid, signal.SIGCONT)
        self.assertEqual(tcp.read_all(s), b"all")
        writer.join()
        self.wait_idle()

    def test_a_server_killed_while_frozen_resets_the_client(self):
        process, s = self.start("reads")
        os.kill(process.pid, signal.SIGSTOP)
        s.sendall(bytes(1 << 20))
        process.kill()
        self.assert_reset(s)
        self.wait_idle()


class Exhausted(Faults):
    def test_at_the_connection_limit_clients_wait_and_are_served_in_turn(self):
        proxy = self.add_proxy(self.client, "--max-connections", "5")
        listener = self.serve(tcp.echo)
        served = [self.connect(listener) for _ in range(5)]
        for s in served:
            self.echoes(s)
        waiting = [self.connect(listener) for _ in range(3)]
        for s in waiting:
            s.sendall(b"ping")
        wait_until(lambda: proxy.metric("accept_pauses_total", direction="outbound", reason="limit") >= 3, "accepting pauses")
        self.assertEqual(proxy.metric("connections_active"), 5)
        self.assertEqual(listener.accepted, 5)
        for s in served:
            self.echoes(s)
        for old, new in zip(served, waiting):
            old.close()
            self.assertEqual(tcp.read_exactly(new, 4), b"ping")

    def test_the_limit_counts_the_connections_of_all_workers(self):
        proxy = self.add_proxy(self.client, "--max-connections", "5", "--workers", "3")
        listener = self.serve(tcp.echo)
        clients = [self.connect(listener) for _ in range(9)]
        for s in clients:
            s.sendall(b"ping")
        wait_until(lambda: proxy.metric("accept_pauses_total", reason="limit") >= 3, "accepting pauses")
        self.assertEqual(proxy.metric("connections_active"), 5)
        for s in clients[:5]:
            self.assertEqual(tcp.read_exactly(s, 4), b"ping")
            s.close()
        for s in clients[5:]:
            self.assertEqual(tcp.read_exactly(s, 4), b"ping")

    def set_descriptors(self, proxy, count):
        sh("setpriv", f"--reuid={PROXY_UID}", f"--regid={PROXY_UID}", "--clear-groups",
           "prlimit", f"--pid={proxy.process.pid}", f"--nofile={count}:")

    def first_free(self, proxy):
        """The number that the kernel gives to the next descriptor."""
        used = {int(fd) for fd in os.listdir(f"/proc/{proxy.process.pid}/fd")}
        return next(n for n in range(len(used) + 1) if n not in used)

    @unittest.skipIf(WRAP, "valgrind has descriptors of its own")
    def test_few_descriptors_make_a_small_connection_limit_and_leave_some_for_probes(self):
        proxy = self.add_proxy(self.client)
        proxy.stop()
        proxy.command = ["prlimit", "--nofile=128:128", *proxy.command]
        proxy.start().wait_ready()
        listener = self.serve(tcp.echo)
        clients = [self.connect(listener) for _ in range(50)]
        for s in clients:
            s.sendall(b"ping")
        wait_until(lambda: proxy.metric("accept_pauses_total", reason="limit") >= 3, "accepting pauses")
        self.assertEqual(proxy.metric("connections_active"), 36)
        self.assertEqual(proxy.get("/ready")[0], 200)
        for s in clients:
            self.assertEqual(tcp.read_exactly(s, 4), b"ping")
            s.close()
        self.assertEqual(proxy.metric("accept_pauses_total", reason="descriptors"), 0)

    @unittest.skipIf(WRAP, "valgrind has descriptors of its own")
    def test_without_a_descriptor_accepting_pauses_and_recovers(self):
        proxy = self.add_proxy(self.client)
        listener = self.serve(tcp.echo)
        old = self.connect(listener)
        self.echoes(old)
        wait_until(lambda: proxy.objects()["connection"] == 1, "only this connection is left")
        began = time.monotonic()
        self.set_descriptors(proxy, 3)
        new = self.connect(listener)
        new.sendall(b"ping")
        for _ in range(20):
            self.echoes(old)
            time.sleep(0.05)
        self.set_descriptors(proxy, 1024)
        self.assertEqual(tcp.read_exactly(new, 4), b"ping")
        self.echoes(old)
        pauses = proxy.metric("accept_pauses_total", direction="outbound", reason="descriptors")
        self.assertGreaterEqual(pauses, 1)
        self.assertLessEqual(pauses, (time.monotonic() - began) * 10 + 1, "it does not try again at once")

    @unittest.skipIf(WRAP, "valgrind has descriptors of its own")
    def test_a_dial_without_a_descriptor_resets_with_that_reason(self):
        proxy = self.add_proxy(self.client)
        listener = self.serve(tcp.echo)
        old = self.connect(listener)
        self.echoes(old)
        time.sleep(0.5)  # the admin port's connections are closed
        self.set_descriptors(proxy, self.first_free(proxy) + 1)
        new = self.connect(listener)
        new.sendall(b"ping")
        self.assert_reset(new)
        self.set_descriptors(proxy, 1024)
        self.assertGreaterEqual(proxy.metric("closes_total", direction="outbound", reason="no_descriptors"), 1)
        self.echoes(old)
        self.echoes(self.connect(listener))

    @unittest.skipIf(WRAP, "valgrind has descriptors of its own")
    def test_a_pooled_dial_without_a_descriptor_is_unavailable_and_says_why(self):
        proxy = self.add_proxy(self.client)
        self.mesh.keep(GrpcServer(self.server, {f"{self.server.ip}:{PORT}": "app"}))
        with Client(self.dial(self.server.ip, PORT)) as client:
            client.wait_settings()
            time.sleep(0.5)
            self.set_descriptors(proxy, 3)
            refused = client.request(grpc_fields(), end=True)
            refused.wait_end()
            self.set_descriptors(proxy, 1024)
            answer = dict(refused.fields)
            self.assertEqual(answer[b"grpc-status"], b"14")
            self.assertIn(b"descriptor", answer[b"grpc-message"])


class SlowPrefaces(Faults):
    COUNT = 100

    def setUp(self):
        super().setUp()
        self.proxy = self.add_proxy(self.client)
        self.mesh.keep(GrpcServer(self.server, {f"{self.server.ip}:{PORT}": "app"}))

    def speak(self, s, preface=PREFACE):
        s.sendall(preface + frame(SETTINGS) + grpc_request(1))
        self.assertEqual(read_response(s, 1)["data"], b"raw")

    def stuck(self):
        clients = [self.dial(self.server.ip, PORT) for _ in range(self.COUNT)]
        for i, s in enumerate(clients):
            s.sendall(PREFACE[:1 + i % 23])
        wait_until(lambda: self.proxy.objects()["connection"] == self.COUNT, "all are being detected")
        return clients

    def test_clients_stuck_in_their_preface_harm_nobody_and_are_served_when_they_go_on(self):
        clients = self.stuck()
        time.sleep(3)  # longer than a prefix is held for a server that says nothing
        self.speak(self.dial(self.server.ip, PORT))
        for i, s in enumerate(clients):
            self.speak(s, PREFACE[1 + i % 23:])

    def test_clients_that_give_up_in_their_preface_leave_nothing(self):
        for i, s in enumerate(self.stuck()):
            if i % 2:
                s.close()
            else:
                tcp.reset(s)
        self.proxy.wait_idle()
        self.speak(self.dial(self.server.ip, PORT))

    def test_clients_stuck_in_their_preface_count_towards_the_connection_limit(self):
        self.proxy.stop()
        self.proxy.command += ["--max-connections", str(self.COUNT)]
        self.proxy.start().wait_ready()
        clients = self.stuck()
        late = self.dial(self.server.ip, PORT)
        late.sendall(PREFACE + frame(SETTINGS) + grpc_request(1))
        wait_until(lambda: self.proxy.metric("accept_pauses_total", reason="limit") >= 1, "accepting pauses")
        clients.pop().close()
        self.assertEqual(read_response(late, 1)["data"], b"raw")


if __name__ == "__main__":
    unittest.main()
