# SPDX-License-Identifier: Apache-2.0
"""Outrigger's programs on a cluster of namespaces: starting, watching and stopping them, and what is read from them.

The binaries come from OUTRIGGER_TEST_BIN (default: build). They are copied once into a folder that the sidecar's user may read.
OUTRIGGER_TEST_WRAP puts words before the proxy's command line (valgrind).
"""
import atexit
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from manifests import Manifests, service_yaml, slice_yaml
from netns import Node, exit_on_signals, is_v6, join
from programs import GrpcServer, running

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("OUTRIGGER_TEST_BIN", "build"))
WRAP = shlex.split(os.environ.get("OUTRIGGER_TEST_WRAP", ""))
HANG_LIMIT = 60 if not WRAP else 240
PROXY_UID = 2140
ADMIN_PORT, OUTBOUND_PORT, INBOUND_PORT, API_PORT = 15191, 15140, 15143, 15150
VIP, VIP6, PORT = "10.96.0.10", "fd00:96::10", 50051
NAMESPACE = "shop"
COMPLAINTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|[Aa]ssertion|ABORT|definitely lost: [1-9]")
# Objects that belong to a connection: none may be left when no connection is.
CONNECTION_OBJECTS = ("connection", "h2_stream", "exchange", "relay", "pipe")

exit_on_signals()
work_dir = tempfile.mkdtemp(prefix="outrigger-e2e-")
os.chmod(work_dir, 0o755)
atexit.register(shutil.rmtree, work_dir, ignore_errors=True)


def binary(path):
    """A copy that any user can run, whatever the rights of the folders above the source."""
    copy = os.path.join(work_dir, os.path.basename(path))
    if not os.path.exists(copy):
        shutil.copy2(os.path.join(BUILD, path), copy)
        os.chmod(copy, 0o755)
    return copy


def wait_until(fact, what, limit=None):
    """Waits for a fact that must come true; not doing so within the hang limit is the failure. Returns the fact."""
    end = time.monotonic() + (limit or HANG_LIMIT)
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"still not so after {limit or HANG_LIMIT} s: {what}")
        time.sleep(0.02)


def http_get(netns, port, path, ip="127.0.0.1"):
    """(status, body) from an admin port; (0, "") when nothing listens."""
    try:
        with netns.connect(ip, port) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: {ip}\r\nConnection: close\r\n\r\n".encode())
            data = b"".join(iter(lambda: s.recv(65536), b""))
    except OSError:
        return 0, ""
    head, _, body = data.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        body = dechunk(body)
    return int(head.split()[1]) if head else 0, body.decode()


def dechunk(body):
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        out += body[:int(size, 16)]
        body = body[int(size, 16) + 2:]
    return out


def parse_metrics(text):
    """{(name, ((label, value), ...)): number}"""
    series = {}
    for line in text.splitlines():
        found = re.match(r"^(\w+)(?:\{(.*)\})? (\S+)$", line)
        if found:
            labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")))
            series[found[1], labels] = float(found[3])
    return series


class Program:
    """One of Outrigger's long-running programs in one namespace."""

    def __init__(self, netns, path, words, uid=None, wrap=()):
        self.netns = netns
        self.name = os.path.basename(path)
        self.prefix = self.name.replace("-", "_") + "_"
        self.command = [*wrap, binary(path), *words]
        self.uid = uid
        self.process = None
        self.log_path = os.path.join(work_dir, f"{netns.name}-{self.name}-{time.monotonic_ns()}.log")
        self.start()

    def start(self):
        environment = {"PATH": os.environ["PATH"], "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1",
                       "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99", "TSAN_OPTIONS": "exitcode=99"}
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.netns.start(self.command, uid=self.uid, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment)
        running.append(self.process)
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended, status {self.process.returncode}:\n{self.log()[-4000:]}")

    def is_ready(self):
        self.check_alive()
        return http_get(self.netns, ADMIN_PORT, "/ready")[0] == 200

    def wait_ready(self):
        wait_until(self.is_ready, f"{self.name} ready")
        return self

    def get(self, path):
        self.check_alive()
        return http_get(self.netns, ADMIN_PORT, path)

    def metrics(self):
        return parse_metrics(self.get("/metrics")[1])

    def metric(self, name, **labels):
        """The sum of all series of that name which have these labels."""
        return sum(value for (series, have), value in self.metrics().items()
                   if series == self.prefix + name and set(labels.items()) <= set(have))

    def objects(self):
        return {dict(have)["kind"]: int(value) for (name, have), value in self.metrics().items() if name == self.prefix + "objects"}

    def wait_idle(self):
        """No connection, stream, exchange or relay is left: what tests end with, once their clients are gone."""
        def is_idle():
            left = {k: v for k, v in self.objects().items() if k in CONNECTION_OBJECTS and v}
            if left.get("h2_stream") == self.metric("discovery_connected"):
                del left["h2_stream"]  # the discovery stream to the api stays
            wait_idle.left = left
            return not left

        wait_idle = self.wait_idle.__func__
        try:
            wait_until(is_idle, "all objects freed")
        except AssertionError as error:
            raise AssertionError(f"{error}: {wait_idle.left}") from None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, limit=None):
        try:
            return self.process.wait(limit or HANG_LIMIT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end:\n{self.log()[-4000:]}") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it as an orchestrator does. It must say goodbye with status 0 and nothing that a sanitizer wrote."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait_exit()
        complaint = COMPLAINTS.search(self.log())
        if status != 0 or complaint:
            raise AssertionError(f"{self.name}: exit status {status}\n{self.log()[-6000:]}")


class Proxy(Program):
    def __init__(self, pod, api=None, *flags):
        words = ["--drain-delay", "0s", "--drain-grace", "20s", "--node-namespace", NAMESPACE, "--node-pod", pod.pod_name,
                 "--node-name", "node-1", "--endpoint-metrics=true"]
        if api:
            words += ["--api-address", f"{api.ip}:{API_PORT}"]
        super().__init__(pod, "proxy/outrigger-proxy", words + list(flags), uid=PROXY_UID, wrap=WRAP)

    def detections(self, direction="outbound"):
        """{outcome: count}, those above zero."""
        return {dict(have)["outcome"]: int(value) for (name, have), value in self.metrics().items()
                if name == self.prefix + "detections_total" and dict(have)["direction"] == direction and value}


def inject(pod, *flags):
    """The pod's redirection, as the injected init container programs it."""
    return pod.run(binary("proxy/outrigger-init"), *flags)


class Mesh:
    """A node with an api, a client pod and one Service; what most tests start from. Use as a context."""

    def __init__(self):
        self.node = Node()
        self.control = self.node.add_pod("control")
        self.manifests = Manifests(os.path.join(work_dir, self.node.prefix))
        self.programs = []
        self.driven = []
        self.api = None
        self.services = set()

    # ---- programs ----

    def start_api(self):
        self.api = Program(self.control, "api/outrigger-api",
                           ["--manifests", self.manifests.path, "--listen", f"0.0.0.0:{API_PORT}"])
        self.programs.append(self.api)
        return self.api.wait_ready()

    def add_sidecar(self, pod, *flags, init_flags=(), wait=True):
        """init and proxy in a pod; from then on its connections are captured."""
        inject(pod, *init_flags)
        proxy = Proxy(pod, self.control, *flags)
        self.programs.append(proxy)
        return proxy.wait_ready() if wait else proxy

    def keep(self, driven):
        self.driven.append(driven)
        return driven

    # ---- Services ----

    def publish(self, endpoints, name="echo", vips=(VIP, VIP6), port=PORT, target_port=PORT, extra="", kube_proxy=True):
        """Service and slices for the api, and what kube-proxy does. endpoints: [(pod name, address[, condition])]."""
        rows = [(e + ("ready",))[:3] for e in endpoints]
        texts = [service_yaml(name, NAMESPACE, vips, port, target_port, extra)]
        for family, want_v6 in (("IPv4", False), ("IPv6", True)):
            if any(is_v6(v) == want_v6 for v in vips):
                texts.append(slice_yaml(name, NAMESPACE, family, target_port, [r for r in rows if is_v6(r[1]) == want_v6]))
        self.manifests.write(f"{name}.yaml", "---\n".join(texts))
        self.services.add(name)
        if self.api and self.api.process.poll() is None:
            wait_until(lambda: self.api.metric("services") == len(self.services), "the api knows the Service")
        if kube_proxy:
            for vip in vips:
                self.node.publish(vip, port, [(ip, target_port) for _, ip, condition in rows if condition == "ready"])

    def add_servers(self, pod_name, count, first=1, port=PORT):
        """`count` gRPC servers s<first>... in one pod without a sidecar; returns (program, endpoints of both families)."""
        pod = self.node.add_pod(pod_name, count)
        addresses, endpoints = {}, []
        v4 = [a for a in pod.addresses if not is_v6(a)]
        v6 = [a for a in pod.addresses if is_v6(a)]
        for i, (a, b) in enumerate(zip(v4, v6)):
            addresses[f"{a}:{port}"] = f"s{first + i}"
            addresses[f"[{b}]:{port}"] = f"s{first + i}-v6"
            endpoints += [(f"s{first + i}", a), (f"s{first + i}-v6", b)]
        return self.keep(GrpcServer(pod, addresses)), endpoints

    def wait_endpoints(self, proxy, count, name="echo"):
        """Until the proxy knows that many endpoints of the Service."""
        def known():
            return sum(value for (series, have), value in proxy.metrics().items()
                       if series.endswith("_endpoints") and name in dict(have).get("service", "") and
                       dict(have).get("state") in ("ready", "ejected", "backing_off")) == count
        wait_until(known, f"{count} endpoints of {name} known")

    # ---- end ----

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for driven in self.driven:
            driven.close()
        try:
            if kind is None:
                self.check_end()
            else:
                self.show_logs()
        finally:
            self.close()

    def check_end(self):
        """No object left anywhere, and every program ends well."""
        for program in self.programs:
            if program.process.poll() is None and isinstance(program, Proxy):
                program.wait_idle()
        for program in self.programs:
            if program.process.poll() is None:
                program.stop()

    def show_logs(self):
        for program in self.programs:
            print(f"---- {program.netns.name} {program.name} ----\n{program.log()[-3000:]}", flush=True)

    def close(self):
        for program in self.programs:
            if program.process.poll() is None:
                program.kill()
        for driven in self.driven:
            driven.close()
        self.node.close()


__all__ = ["ADMIN_PORT", "API_PORT", "HANG_LIMIT", "INBOUND_PORT", "Mesh", "NAMESPACE", "OUTBOUND_PORT", "PORT", "PROXY_UID", "ROOT",
           "Proxy", "VIP", "VIP6", "binary", "http_get", "inject", "is_v6", "join", "wait_until", "work_dir"]
