# SPDX-License-Identifier: Apache-2.0
"""Everything that is not HTTP/2 must pass as if the sidecars were not there. No api runs here: raw TCP needs none."""
import hashlib
import http.client
import http.server
import os
import socket
import ssl
import threading
import time
import unittest

import tcp
from h2raw import PREFACE, SETTINGS, frame, grpc_request, read_frame, read_response
from mesh import INBOUND_PORT, OUTBOUND_PORT, PORT, VIP, Mesh, wait_until, work_dir
from netns import sh
from programs import GrpcServer


class World(unittest.TestCase):
    """A client and a server pod, each with a sidecar, and a plain one."""

    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh = Mesh()
        cls.client, cls.server, cls.plain = (mesh.node.add_pod(n) for n in ("client", "server", "plain"))
        cls.client_proxy = mesh.add_sidecar(cls.client, wait=False)
        cls.server_proxy = mesh.add_sidecar(cls.server, wait=False)
        for proxy in (cls.client_proxy, cls.server_proxy):
            proxy.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.__exit__(None, None, None)

    def serve(self, handler, ip=None, pod=None, port=0):
        listener = tcp.Listener(pod or self.server, ip or (pod or self.server).ip, handler, port)
        self.addCleanup(listener.close)
        return listener

    def connect(self, listener, pod=None):
        s = (pod or self.client).connect(listener.ip, listener.port)
        self.addCleanup(s.close)
        return s

    def pairs(self):
        """Each client with each server's address: captured on both sides and on one, both families."""
        for pod in (self.client, self.plain):
            for ip in (self.server.ip, self.server.ip6):
                yield pod, ip
        yield self.client, self.plain.ip

    def assert_reset(self, s):
        """RST, and no byte before it."""
        with self.assertRaises(ConnectionResetError):
            data = s.recv(100)
            self.fail(f"no reset, but {data!r}")


class Relay(World):
    def test_bytes_come_back_from_an_echo(self):
        for pod, ip in self.pairs():
            with self.subTest(pod=pod.pod_name, ip=ip):
                s = self.connect(self.serve(tcp.echo, ip, self.plain if ip == self.plain.ip else None), pod)
                s.sendall(b"hello")
                self.assertEqual(tcp.read_exactly(s, 5), b"hello")

    def test_a_server_that_speaks_first_is_heard_without_a_client_byte(self):
        for pod, ip in self.pairs():
            with self.subTest(pod=pod.pod_name, ip=ip):
                listener = self.serve(tcp.greet, ip, self.plain if ip == self.plain.ip else None)
                for _ in range(3):
                    s = self.connect(listener, pod)
                    self.assertEqual(tcp.read_exactly(s, 24), b"220 mail.example ready\r\n")
                    s.sendall(b"QUIT\r\n")
                    s.shutdown(socket.SHUT_WR)
                    self.assertEqual(s.recv(10), b"")
                    self.assertEqual(listener.result(), b"QUIT\r\n")

    def test_the_answer_comes_after_the_clients_half_close(self):
        for pod, ip in self.pairs():
            with self.subTest(pod=pod.pod_name, ip=ip):
                s = self.connect(self.serve(tcp.answer_after_end, ip, self.plain if ip == self.plain.ip else None), pod)
                s.sendall(b"x" * 100000)
                s.shutdown(socket.SHUT_WR)
                self.assertEqual(tcp.read_all(s), b"got 100000")

    def test_a_client_that_half_closes_without_a_byte_is_answered(self):
        s = self.connect(self.serve(tcp.answer_after_end))
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(tcp.read_all(s), b"got 0")

    def test_the_servers_half_close_lets_the_client_go_on(self):
        def close_first(s):
            s.sendall(b"done talking")
            s.shutdown(socket.SHUT_WR)
            return tcp.read_all(s)

        listener = self.serve(close_first)
        s = self.connect(listener)
        self.assertEqual(tcp.read_all(s), b"done talking")
        s.sendall(b"still here")
        s.close()
        self.assertEqual(listener.result(), b"still here")

    def test_a_clients_reset_reaches_the_server_as_a_reset(self):
        for ip in (self.server.ip, self.server.ip6):
            listener = self.serve(tcp.sink, ip)
            s = self.connect(listener)
            s.sendall(b"half a request")
            wait_until(lambda: listener.accepted, "the server has the connection")
            tcp.reset(s)
            self.assertIsInstance(listener.result(), ConnectionResetError)

    def test_a_servers_reset_reaches_the_client_as_a_reset(self):
        def reset_after_a_byte(s):
            tcp.read_exactly(s, 1)
            tcp.reset(s)

        for ip in (self.server.ip, self.server.ip6):
            s = self.connect(self.serve(reset_after_a_byte, ip))
            s.sendall(b"x")
            self.assert_reset(s)

    def test_bulk_arrives_whole_both_ways(self):
        data = os.urandom(1 << 20) * 48
        for pod in (self.client, self.plain):
            listener = self.serve(tcp.echo)
            s = self.connect(listener, pod)
            digest = hashlib.sha256()

            def read(s=s, digest=digest):
                while more := s.recv(1 << 20):
                    digest.update(more)

            reader = threading.Thread(target=read)
            reader.start()
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            reader.join(60)
            self.assertEqual(digest.hexdigest(), hashlib.sha256(data).hexdigest())

    def test_a_slow_reader_holds_the_sender_back(self):
        """The sidecars together buffer far less than is sent, and lose nothing."""
        gate = threading.Event()

        def late(s):
            gate.wait(60)
            return tcp.sink(s)

        listener = self.serve(late)
        s = self.connect(listener)
        s.settimeout(2)
        sent = 0
        block = bytes(1 << 16)
        with self.assertRaises(TimeoutError):
            while sent < 256 << 20:
                sent += s.send(block)
        gate.set()
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(listener.result(), sent)

    def test_http1_requests_on_a_kept_connection(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.path.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        def handle(s):
            Handler(s, s.getpeername(), None)

        for pod, ip in self.pairs():
            with self.subTest(pod=pod.pod_name, ip=ip):
                listener = self.serve(handle, ip, self.plain if ip == self.plain.ip else None)
                connection = http.client.HTTPConnection(ip, listener.port)
                connection.sock = self.connect(listener, pod)
                for path in ("/a", "/b"):
                    connection.request("GET", path)
                    self.assertEqual(connection.getresponse().read(), path.encode())

    def test_tls_passes_through_unbroken(self):
        key, cert = f"{work_dir}/tls.key", f"{work_dir}/tls.crt"
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
           "-subj", "/CN=shop", "-addext", "subjectAltName=DNS:shop", "-keyout", key, "-out", cert, check=False)
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(cert, key)
        client_side = ssl.create_default_context(cafile=cert)

        def handle(s):
            with server_side.wrap_socket(s, server_side=True) as t:
                t.sendall(t.recv(100))

        for pod, ip in self.pairs():
            with self.subTest(pod=pod.pod_name, ip=ip):
                s = self.connect(self.serve(handle, ip, self.plain if ip == self.plain.ip else None), pod)
                with client_side.wrap_socket(s, server_hostname="shop") as t:
                    t.sendall(b"secret")
                    self.assertEqual(t.recv(100), b"secret")


class NoDestination(World):
    def test_a_refused_destination_is_an_immediate_reset(self):
        for ip in (self.plain.ip, self.plain.ip6, self.server.ip, self.server.ip6):
            with self.subTest(ip=ip):
                s = self.client.connect(ip, 9)
                self.addCleanup(s.close)
                self.assert_reset(s)

    def test_an_app_that_refuses_resets_a_plain_client(self):
        s = self.plain.connect(self.server.ip, 9)
        self.addCleanup(s.close)
        self.assert_reset(s)

    def test_an_unreachable_destination_is_a_reset(self):
        for ip in ("10.250.0.1", "fd00:250::1"):
            with self.subTest(ip=ip):
                s = self.client.connect(ip, 80)
                self.addCleanup(s.close)
                self.assert_reset(s)

    def test_a_destination_that_never_answers_is_a_reset(self):
        self.mesh.node.run("iptables", "-w", "-A", "FORWARD", "-d", "10.251.0.1", "-j", "DROP")
        self.mesh.node.ip_command("route", "add", "10.251.0.1", "dev", self.plain.veth)
        s = self.client.connect("10.251.0.1", 80)
        self.addCleanup(s.close)
        self.assert_reset(s)

    def test_a_client_that_speaks_to_a_refused_destination_is_reset(self):
        s = self.client.connect(self.plain.ip, 9)
        self.addCleanup(s.close)
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            if s.recv(100) == b"":
                self.fail("an orderly close")
            self.fail("an answer from nowhere")


class Loops(World):
    """The sidecar's own ports are nobody's destination."""

    def assert_refused(self, pod, ip, port):
        before = self.client_proxy.metric("connections_total")
        try:
            s = pod.connect(ip, port)
        except (ConnectionRefusedError, ConnectionResetError):
            return
        with s:
            s.settimeout(30)
            with self.assertRaises((ConnectionResetError, BrokenPipeError)):
                s.sendall(b"hello")
                data = s.recv(100)
                self.fail(f"accepted: {data!r}")
        self.assertLessEqual(self.client_proxy.metric("connections_total"), before + 2, "a loop")

    def test_the_outbound_port_is_refused_from_inside(self):
        self.assert_refused(self.client, "127.0.0.1", OUTBOUND_PORT)
        self.assert_refused(self.client, "::1", OUTBOUND_PORT)

    def test_the_inbound_port_is_refused_from_inside(self):
        self.assert_refused(self.client, "127.0.0.1", INBOUND_PORT)
        self.assert_refused(self.client, self.client.ip, INBOUND_PORT)
        self.assert_refused(self.client, self.client.ip6, INBOUND_PORT)

    def test_the_outbound_port_is_refused_from_outside(self):
        self.assert_refused(self.plain, self.client.ip, OUTBOUND_PORT)
        self.assert_refused(self.plain, self.client.ip6, OUTBOUND_PORT)

    def test_the_inbound_port_is_refused_from_outside(self):
        self.assert_refused(self.plain, self.client.ip, INBOUND_PORT)
        self.assert_refused(self.plain, self.client.ip6, INBOUND_PORT)

    def test_a_sidecar_may_not_be_reached_through_another(self):
        self.assert_refused(self.server, self.client.ip, INBOUND_PORT)

    def test_the_admin_port_answers_from_outside_and_is_not_captured(self):
        before = self.client_proxy.metric("connections_total")
        with self.plain.connect(self.client.ip, 15191) as s:
            s.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertIn(b" 200 ", tcp.read_all(s).split(b"\r\n")[0])
        self.assertEqual(self.client_proxy.metric("connections_total"), before)


class Detection(World):
    """Which protocol a connection speaks is seen from its bytes, whoever speaks first and however late."""

    def outcome_of(self, act):
        before = self.client_proxy.detections()
        act()
        after = self.client_proxy.detections()
        return {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0)}

    def test_outcomes_are_counted_by_what_the_bytes_were(self):
        def speak(data, handler=tcp.echo):
            s = self.connect(self.serve(handler))
            if data:
                s.sendall(data)
            s.recv(1)
            s.close()

        self.assertEqual(self.outcome_of(lambda: speak(b"GET / HTTP/1.1\r\n\r\n")), {"http1": 1})
        self.assertEqual(self.outcome_of(lambda: speak(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")), {"tls": 1})
        self.assertEqual(self.outcome_of(lambda: speak(b"\x00\x01binary")), {"other": 1})
        self.assertEqual(self.outcome_of(lambda: speak(b"", tcp.greet)), {"server_first": 1})

    def test_a_silent_client_and_a_silent_server_stay_connected(self):
        listener = self.serve(tcp.silent)
        s = self.connect(listener)
        wait_until(lambda: listener.accepted, "the destination is dialled although nobody speaks")
        s.settimeout(3)
        with self.assertRaises(TimeoutError):
            s.recv(1)
        s.settimeout(30)
        s.sendall(b"at last")
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(listener.result(), b"at last")

    def test_a_strict_prefix_of_the_preface_reaches_a_server_that_says_nothing(self):
        """PRI * HTTP/2 is what a shy client of another protocol might send, too: it must not wait for ever."""
        listener = self.serve(lambda s: tcp.read_exactly(s, 10))
        s = self.connect(listener)
        s.sendall(PREFACE[:10])
        self.assertEqual(listener.result(), PREFACE[:10])

    def test_a_preface_that_turns_out_different_is_relayed_whole(self):
        listener = self.serve(tcp.silent)
        s = self.connect(listener)
        text = PREFACE[:12] + b"1.9 something else"
        for byte in text:
            s.sendall(bytes([byte]))
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(listener.result(), text)

    def test_a_preface_in_pieces_is_http2(self):
        self.grpc_server()

        def speak():
            s = self.client.connect(self.server.ip, PORT)
            self.addCleanup(s.close)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in PREFACE:
                s.sendall(bytes([byte]))
                time.sleep(0.01)
            s.sendall(frame(SETTINGS) + grpc_request(1, message=b"piece by piece"))
            self.assertEqual(read_response(s, 1)["data"], b"piece by piece")

        self.assertEqual(self.outcome_of(speak), {"http2": 1})

    def test_a_late_preface_to_a_grpc_server_is_still_http2(self):
        """The server's SETTINGS came first, seconds before the client (stopped, starved) got to speak."""
        self.grpc_server()

        def speak():
            s = self.client.connect(self.server.ip, PORT)
            self.addCleanup(s.close)
            time.sleep(3)
            s.sendall(PREFACE + frame(SETTINGS) + grpc_request(1, message=b"late"))
            self.assertEqual(read_response(s, 1)["data"], b"late")

        self.assertEqual(self.outcome_of(speak), {"http2": 1})

    def test_a_late_preface_after_others_came_late_is_still_http2(self):
        """Silence followed by SETTINGS must not make the address remembered as server-first."""
        self.grpc_server()
        for _ in range(3):
            s = self.client.connect(self.server.ip, PORT)
            time.sleep(0.3)
            s.close()
        s = self.client.connect(self.server.ip, PORT)
        self.addCleanup(s.close)
        time.sleep(0.3)
        self.assertEqual(self.outcome_of(lambda: self.speak_h2(s)), {"http2": 1})

    def speak_h2(self, s):
        s.sendall(PREFACE + frame(SETTINGS) + grpc_request(1))
        self.assertEqual(read_response(s, 1)["data"], b"raw")

    def test_the_proxys_settings_come_before_the_response(self):
        self.grpc_server()
        s = self.client.connect(self.server.ip, PORT)
        self.addCleanup(s.close)
        s.sendall(PREFACE + frame(SETTINGS))
        self.assertEqual(read_frame(s)[:1], (SETTINGS,))

    def test_endpoints_page_says_why_a_destination_is_not_balanced(self):
        listener = self.serve(tcp.greet)
        s = self.connect(listener)
        tcp.read_exactly(s, 24)
        status, page = self.client_proxy.get("/endpoints")
        self.assertEqual(status, 200)
        line = [row for row in page.splitlines() if f"{listener.ip}:{listener.port}" in row]
        self.assertTrue(line, page)
        self.assertRegex(page, "server.first")

    def grpc_server(self):
        if not hasattr(Detection, "grpc"):
            Detection.grpc = self.mesh.keep(GrpcServer(self.server, {f"{self.server.ip}:{PORT}": "app"}))


class Unmeshed(World):
    def test_an_address_of_kube_proxy_that_the_api_does_not_know_goes_where_the_kernel_sends_it(self):
        listener = self.serve(tcp.echo, pod=self.plain)
        self.mesh.node.publish(VIP, 7, [(listener.ip, listener.port)])
        s = self.client.connect(VIP, 7)
        self.addCleanup(s.close)
        s.sendall(b"via DNAT")
        self.assertEqual(tcp.read_exactly(s, 8), b"via DNAT")

    def test_udp_is_not_touched(self):
        with self.plain.entered():
            far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with self.client.entered():
            near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with far, near:
            far.bind((self.plain.ip, 5353))
            far.settimeout(30)
            near.sendto(b"query", (self.plain.ip, 5353))
            self.assertEqual(far.recvfrom(100)[0], b"query")


if __name__ == "__main__":
    unittest.main()
