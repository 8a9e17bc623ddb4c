# SPDX-License-Identifier: Apache-2.0
"""The admin port, and a foreign HTTP/2 client and server (nghttp, nghttpd) behind an inbound sidecar."""
import contextlib
import re
import shutil
import subprocess
import time
import unittest

import tcp
from mesh import ADMIN_PORT, HANG_LIMIT, Mesh, wait_until
from netns import sh
from programs import GrpcClient


def curl(pod, method, path, ip="127.0.0.1", headers=()):
    """(status, body)"""
    options = [word for header in headers for word in ("-H", header)]
    out = sh(*pod.enter_words(), "curl", "-sg", "-X", method, *options, "-w", "\n%{http_code}", f"http://{ip}:{ADMIN_PORT}{path}")
    body, _, status = out.rpartition("\n")
    return int(status), body


class World(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh()
        cls.pod = cls.mesh.node.add_pod("client")
        cls.other = cls.mesh.node.add_pod("other")
        cls.proxy = cls.mesh.add_sidecar(cls.pod)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.__exit__(None, None, None)


class Admin(World):
    def test_metrics_satisfy_promtool(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not here")
        text = curl(self.pod, "GET", "/metrics")[1]
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_probes_and_metrics_answer_from_outside(self):
        for path in ("/live", "/ready", "/metrics"):
            self.assertEqual(curl(self.other, "GET", path, self.pod.ip)[0], 200)

    def test_other_pages_answer_to_loopback_only(self):
        for path in ("/config", "/endpoints", "/log-level", "/trace"):
            self.assertEqual(curl(self.pod, "GET", path)[0], 200)
            self.assertEqual(curl(self.other, "GET", path, self.pod.ip)[0], 403)

    def test_log_levels_change_at_run_time_from_loopback_only(self):
        self.assertEqual(curl(self.other, "POST", "/log-level?level=trace", self.pod.ip)[0], 403)
        self.assertEqual(curl(self.pod, "POST", "/log-level?level=warn,h2=debug"), (200, curl(self.pod, "GET", "/log-level")[1]))
        self.assertIn("h2=debug", curl(self.pod, "GET", "/log-level")[1])

    def test_a_wrong_log_level_is_refused_and_changes_nothing(self):
        before = curl(self.pod, "GET", "/log-level")[1]
        self.assertEqual(curl(self.pod, "POST", "/log-level?level=loud")[0], 400)
        self.assertEqual(curl(self.pod, "GET", "/log-level")[1], before)

    def test_a_wrong_path_and_a_wrong_method_are_told_apart(self):
        self.assertEqual(curl(self.pod, "GET", "/nothing")[0], 404)
        self.assertEqual(curl(self.pod, "POST", "/metrics")[0], 405)

    def test_config_shows_the_settings_in_force(self):
        self.assertIn("outbound-address=127.0.0.1:15140", curl(self.pod, "GET", "/config")[1])


    def test_web_pages_that_a_person_at_loopback_has_open_get_nothing(self):
        """A name made to point at loopback (DNS rebinding), and a page of another site that posts here."""
        before = curl(self.pod, "GET", "/log-level")[1]
        for path in ("/config", "/endpoints", "/log-level"):
            self.assertEqual(curl(self.pod, "GET", path, headers=["Host: evil.example"])[0], 403)
        self.assertEqual(curl(self.pod, "POST", "/log-level?level=trace", headers=["Host: evil.example"])[0], 403)
        self.assertEqual(curl(self.pod, "POST", "/log-level?level=trace", headers=["Origin: http://evil.example"])[0], 403)
        self.assertEqual(curl(self.pod, "GET", "/log-level")[1], before)

    def test_no_get_changes_state(self):
        before = curl(self.pod, "GET", "/log-level")[1]
        self.assertEqual(curl(self.pod, "GET", "/log-level?level=trace"), (200, before))
        self.assertEqual(curl(self.pod, "PUT", "/log-level?level=trace")[0], 405)
        self.assertEqual(curl(self.pod, "GET", "/log-level")[1], before)

    def test_the_apis_pages_answer_to_loopback_only_too(self):
        with Mesh() as mesh:
            other = mesh.node.add_pod("other")
            mesh.start_api()
            for path, status in (("/live", 200), ("/ready", 200), ("/metrics", 200), ("/config", 403), ("/log-level", 403)):
                self.assertEqual(curl(mesh.control, "GET", path)[0], 200)
                self.assertEqual(curl(other, "GET", path, mesh.control.ip)[0], status)
            self.assertEqual(curl(other, "POST", "/log-level?level=trace", mesh.control.ip)[0], 403)
            self.assertEqual(curl(mesh.control, "POST", "/log-level?level=info", headers=["Origin: null"])[0], 403)


class UnderAttack(World):
    """What another pod may try; probes and scrapes are answered meanwhile, and nothing is left of it."""

    def dial(self):
        s = self.other.connect(self.pod.ip, ADMIN_PORT)
        self.addCleanup(s.close)
        return s

    def assert_answers(self):
        for path in ("/live", "/ready", "/metrics"):
            self.assertEqual(curl(self.other, "GET", path, self.pod.ip)[0], 200)
        self.assertEqual(curl(self.pod, "GET", "/endpoints")[0], 200)

    def wait_descriptors(self, before):
        wait_until(lambda: self.proxy.metric("open_fds") <= before, "the connections' descriptors are closed")

    def test_connections_that_say_nothing(self):
        before = self.proxy.metric("open_fds")
        sockets = [self.dial() for _ in range(500)]
        self.assert_answers()
        self.assertLess(self.proxy.metric("open_fds"), before + 200)
        self.wait_descriptors(before)
        for s in sockets:
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(s.recv(1), b"")

    def test_requests_that_come_a_byte_at_a_time(self):
        """Their time is counted from the start, not from the last byte."""
        sockets = [self.dial() for _ in range(20)]
        for s in sockets:
            s.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\nX: ")
        left, end = list(sockets), time.monotonic() + HANG_LIMIT
        while left:
            self.assertLess(time.monotonic(), end, "slow requests are never given up")
            self.assertEqual(curl(self.other, "GET", "/live", self.pod.ip)[0], 200)
            for s in list(left):
                try:
                    s.sendall(b"x")
                except OSError:
                    left.remove(s)
            time.sleep(0.2)

    def test_answers_that_are_not_taken(self):
        before = self.proxy.metric("open_fds")
        for _ in range(40):
            self.dial().sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        self.assert_answers()
        self.wait_descriptors(before)

    def test_heads_without_end(self):
        for start, piece in ((b"GET /live HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"), (b"GET /", b"x"), (b"", b"\r\n")):
            s = self.dial()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(start + piece * 20000)
            with contextlib.suppress(ConnectionResetError):
                self.assertIn(b" 400 ", tcp.read_all(s).split(b"\r\n")[0])
        self.assert_answers()

    def test_bodies_that_never_come(self):
        before = self.proxy.metric("open_fds")
        for _ in range(60):
            self.dial().sendall(b"POST /log-level HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(500000))
        self.assert_answers()
        self.wait_descriptors(before)


class ForeignHttp2(unittest.TestCase):
    """nghttpd prints each header it receives."""

    def setUp(self):
        if shutil.which("nghttpd") is None or shutil.which("nghttp") is None:
            self.skipTest("nghttp2's programs are not here")
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)
        self.server = self.mesh.node.add_pod("server")
        self.client = self.mesh.node.add_pod("client")

    def headers_seen(self, *flags):
        proxy = self.mesh.add_sidecar(self.server, *flags)
        app = self.server.start(["nghttpd", "--no-tls", "-v", "-d", "/usr/share/common-licenses", "-a", self.server.ip, "8080"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            url = f"http://{self.server.ip}:8080/Apache-2.0"
            wait_until(lambda: "licenses" in sh(*self.client.enter_words(), "nghttp", url, check=False), "an answer", HANG_LIMIT)
            got = sh(*self.client.enter_words(), "nghttp", "-H", "x-forwarded-for: 192.0.2.7", url)
            self.assertIn("Licensed under the Apache License", got)
            self.assertGreaterEqual(proxy.metric("requests_total", direction="inbound", http_status="200"), 2)
        finally:
            app.terminate()
            output = app.communicate()[0]
        return re.findall(r"x-forwarded-for: ([^\n\x1b]*)", output)

    def test_the_client_is_named_to_the_app_if_the_setting_says_so(self):
        self.assertEqual(self.headers_seen("--forwarded-for=true")[-1], f"192.0.2.7, {self.client.ip}")

    def test_forwarded_for_passes_as_it_is_without_the_setting(self):
        self.assertEqual(self.headers_seen(), ["192.0.2.7"])


class Start(unittest.TestCase):
    def test_without_an_api_it_is_ready_and_serves_the_original_destination(self):
        with Mesh() as mesh:
            servers, endpoints = mesh.add_servers("servers", 1)
            pod = mesh.node.add_pod("client")
            proxy = mesh.add_sidecar(pod)  # its api address answers nothing: ready all the same
            client = mesh.keep(GrpcClient(pod, f"{endpoints[0][1]}:50051"))
            self.assertEqual(client.calls(5)["codes"], {"OK": 5})
            self.assertEqual(proxy.metric("requests_total", direction="outbound", grpc_status="0"), 5)
            self.assertEqual(servers.ask("counts")["counts"]["s1"], 5)


if __name__ == "__main__":
    unittest.main()
