#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""h2spec's 146 cases of RFC 7540, 7541 and 8441 against the proxy: a client's sidecar and a server's, nghttpd behind either.

Skipped by name where h2spec cannot be had (no Go and none built before, no module proxy) or nghttpd is not here.
"""
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from mesh import PORT, VIP, WRAP, Mesh, wait_until  # noqa: E402
from programs import running  # noqa: E402

MODULE, VERSION = "github.com/summerwind/h2spec/cmd/h2spec", "v2.2.1+incompatible"
CASES = 146
TIMEOUT = "3"  # seconds h2spec waits for an answer; a case that waits for nothing to come takes that long
LIMIT = 280


def h2spec_path():
    done = subprocess.run([os.path.join(HERE, "..", "lib", "go_tool.sh"), "h2spec", MODULE, VERSION], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise unittest.SkipTest(done.stderr.strip())
    return done.stdout.strip()


class H2spec(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if WRAP:
            raise unittest.SkipTest("h2spec's own limits are too short for a wrapped proxy")
        if not shutil.which("nghttpd"):
            raise unittest.SkipTest("nghttpd is not here")
        cls.h2spec = h2spec_path()

    def setUp(self):
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)

    def server(self, pod):
        """nghttpd with a page of a few bytes; h2spec needs a response with a body."""
        folder = os.path.join(self.mesh.manifests.path, "..", f"{self.mesh.node.prefix}-www")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "index.html"), "w", encoding="utf-8") as f:
            f.write("<p>a page that needs more than a few bytes of window</p>\n" * 20)
        process = pod.start(["nghttpd", "--no-tls", "-d", folder, "-a", pod.ip, str(PORT)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.append(process)
        wait_until(lambda: pod.run("ss", "-Hltn", f"sport = :{PORT}"), "nghttpd listens")
        return process

    def run_h2spec(self, pod, ip):
        process = pod.start([self.h2spec, "--strict", "-o", TIMEOUT, "-h", ip, "-p", str(PORT)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        running.append(process)
        output, _ = process.communicate(timeout=LIMIT)
        counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", output)
        self.assertIsNotNone(counts, output)
        # Of the failures, h2spec repeats what it saw in a list at the end.
        self.assertEqual([int(n) for n in counts.groups()], [CASES, CASES, 0, 0], output[output.find("Failures:"):])

    def test_outbound_passes_all_146_cases(self):
        with self.mesh as mesh:
            mesh.start_api()
            server, client = mesh.node.add_pod("server"), mesh.node.add_pod("client")
            self.server(server)
            mesh.publish([("server", server.ip)], vips=(VIP,))
            proxy = mesh.add_sidecar(client)
            self.run_h2spec(client, VIP)
            self.assertGreater(proxy.metric("requests_total", service="shop/echo:50051"), 0, "it was proxied")

    def test_inbound_passes_all_146_cases(self):
        with self.mesh as mesh:
            server, client = mesh.node.add_pod("server"), mesh.node.add_pod("client")
            self.server(server)
            proxy = mesh.add_sidecar(server)
            self.run_h2spec(client, server.ip)
            self.assertGreater(proxy.metric("requests_total", direction="inbound"), 0, "it was proxied")


if __name__ == "__main__":
    unittest.main()
