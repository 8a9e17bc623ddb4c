# SPDX-License-Identifier: Apache-2.0
"""gRPC's own interop cases through two sidecars: the client's (outbound) and the server's (inbound), every client with every server.

Go's programs are those that come with gRPC; Python's, JavaScript's and C++'s are in tests/interop. tests/interop/build makes what
the machine can make; a peer that it could not make is one skipped test, with the reason. The tests' names are
case_client_to_server.
"""
import functools
import json
import os
import subprocess
import unittest

from mesh import HANG_LIMIT, ROOT, Mesh, join, wait_until
from programs import PYTHON, running

BUILT = os.path.join(ROOT, "build", "tests-interop")
SOURCES = os.path.join(ROOT, "tests", "interop")
PORT = 8080
CASES = ("empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "cancel_after_begin",
         "cancel_after_first_response", "timeout_on_sleeping_server", "status_code_and_message", "special_status_message",
         "unimplemented_method", "unimplemented_service", "custom_metadata", "rpc_soak", "channel_soak")
SOAK_FLAGS = ("--soak_iterations=20", "--soak_min_time_ms_between_rpcs=0", "--soak_overall_timeout_seconds=120",
              "--soak_per_iteration_max_acceptable_latency_ms=60000")


class Peer:
    """Programs of one language; `server` and `client` are the words before the port and before the target."""

    def __init__(self, name, server, client, **environment):
        self.name = name
        self.server_words = server
        self.client_words = client
        self.environment = {**os.environ, **environment}

    def missing(self):
        """Why this peer is not here, or None."""
        reason = os.path.join(BUILT, f"{self.name}.missing")
        if os.path.exists(reason):
            with open(reason, encoding="utf-8") as f:
                return f.read().strip()
        programs = [w for w in (*self.server_words, *self.client_words) if w.startswith(BUILT)]
        return None if all(map(os.path.exists, programs)) else "tests/interop/build has not made it"

    def start_server(self, pod, port):
        process = pod.start([*self.server_words, str(port)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.environment)
        running.append(process)

        def listens():
            try:
                pod.connect(pod.ip, port).close()
            except ConnectionRefusedError:
                return False
            return True

        wait_until(listens, f"the {self.name} server listens")
        return process

    def run(self, pod, words):
        process = pod.start(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env=self.environment)
        running.append(process)
        return process.communicate(timeout=3 * HANG_LIMIT)[0], process.returncode

    def run_cases(self, pod, vip):
        """{case: why it failed, or an empty text}"""
        text, _ = self.run(pod, [*self.client_words, join(vip, PORT), *CASES])
        rows = [json.loads(line) for line in text.splitlines() if line.startswith('{"case"')]
        return {row["case"]: "" if row["ok"] else row["why"] or "failed" for row in rows} or {None: text}


class GoPeer(Peer):
    """Its client takes one case and answers with its exit status."""

    def run_cases(self, pod, vip):
        outcomes = {}
        for case in CASES:
            text, status = self.run(pod, [*self.client_words, f"--server_host={vip}", f"--server_port={PORT}", "--use_tls=false",
                                          f"--test_case={case}", *(SOAK_FLAGS if "soak" in case else ())])
            outcomes[case] = "" if status == 0 else f"status {status}: {text}"
        return outcomes

    def start_server(self, pod, port):
        self.server_words = [self.server_words[0], "--use_tls=false", "--port"]
        return super().start_server(pod, port)


PYTHON_WORDS = (PYTHON, f"{SOURCES}/interop_python.py")
NODE_WORDS = ("node", f"{SOURCES}/node/interop_node.js")
PEERS = [
    GoPeer("go", (f"{BUILT}/go_server",), (f"{BUILT}/go_client",)),
    Peer("python", (*PYTHON_WORDS, "server"), (*PYTHON_WORDS, "client"), INTEROP_GENERATED=f"{BUILT}/generated"),
    Peer("node", (*NODE_WORDS, "server"), (*NODE_WORDS, "client"), NODE_PATH=f"{BUILT}/node_modules"),
    Peer("cpp", (f"{BUILT}/interop_server",), (f"{BUILT}/interop_client",)),
]
HERE = [peer for peer in PEERS if not peer.missing()]


class World:
    """All servers in one pod with a sidecar, each a Service of its own; all clients in another pod with a sidecar."""

    def __init__(self):
        self.mesh = mesh = Mesh()
        mesh.start_api()
        self.clients = mesh.node.add_pod("clients")
        backend = mesh.node.add_pod("backend")
        self.processes, self.vips = [], {}
        for number, peer in enumerate(HERE, 1):
            self.vips[peer.name] = f"10.96.1.{number}"
            self.processes.append(peer.start_server(backend, PORT + number))
            mesh.publish([("backend", backend.ip)], name=f"interop-{peer.name}", vips=(self.vips[peer.name],), port=PORT,
                         target_port=PORT + number)
        self.server_proxy = mesh.add_sidecar(backend)
        self.client_proxy = mesh.add_sidecar(self.clients)

    @functools.cache
    def outcomes(self, client, server):
        return client.run_cases(self.clients, self.vips[server.name])

    def end(self, kind=None):
        """The clients are gone; then every object must be, in both sidecars."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.mesh.__exit__(kind, None, None)


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()

    @classmethod
    def tearDownClass(cls):
        cls.world.end()


def add_tests():
    for client in HERE:
        for server in HERE:
            for case in CASES:
                def test(self, case=case, client=client, server=server):
                    outcomes = self.world.outcomes(client, server)
                    self.assertEqual(outcomes.get(case, f"it did not come to this case: {outcomes}"), "")
                setattr(Interop, f"test_{case}_{client.name}_to_{server.name}", test)


add_tests()


class Missing(unittest.TestCase):
    """The languages that could not be had: one skip each, with the reason, instead of all their cases."""


def add_skips():
    for peer in PEERS:
        if peer.missing():
            setattr(Missing, f"test_{peer.name}", unittest.skip(f"all cases of {peer.name}: {peer.missing()}")(lambda self: None))


add_skips()


@unittest.skipUnless(HERE, "no language could be had")
class Capture(unittest.TestCase):
    def test_every_call_went_through_both_sidecars(self):
        """The matrix above is worth something only if the sidecars really carried the calls."""
        world = World()
        try:
            self.assertEqual(set(world.outcomes(HERE[0], HERE[-1]).values()), {""})
            proxies = ((world.client_proxy, "outbound"), (world.server_proxy, "inbound"))
            for status, at_least in (("0", 2 * 20 + 7), ("2", 3), ("12", 2)):  # OK (the soaks are most), UNKNOWN, UNIMPLEMENTED
                carried = [proxy.metric("requests_total", direction=direction, grpc_status=status) for proxy, direction in proxies]
                self.assertEqual(carried[0], carried[1], f"grpc-status {status}")
                self.assertGreaterEqual(carried[0], at_least, f"grpc-status {status}")
            self.assertEqual(set(world.client_proxy.detections()), {"http2"})
            # A client that is slow to speak has its destination dialled in advance: a connection that ends without a byte.
            self.assertEqual(set(world.server_proxy.detections("inbound")) - {"other"}, {"http2"})
        except BaseException:
            world.end(AssertionError)
            raise
        world.end()


if __name__ == "__main__":
    unittest.main()
