# SPDX-License-Identifier: Apache-2.0
"""The ground of test_init.py: three namespaces, the program run in one of them, sockets in any.

    inner ── pod ── peer      The pod gets the rules. The peer is its default route, so it stands for everything outside; the inner
                              namespace reaches the peer through the pod, as a container inside the pod would.

The test opens every socket itself: a socket stays in the namespace in which it was made.
"""
import atexit
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import unittest

import netns

SO_ORIGINAL_DST = 80  # the same number for SOL_IP and, as IP6T_SO_ORIGINAL_DST, for SOL_IPV6
OUTBOUND, INBOUND, ADMIN, PROXY_UID = 15140, 15143, 15191, 2140
NOBODY = 65534
APP_PORT = 7000
TIMEOUT = 5.0
QUIET = 0.3  # how long a connection that must not come is waited for
SBIN = "/usr/sbin"

binary_dir = os.environ.get("OUTRIGGER_TEST_BIN", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build"))
namespaces = {}


class Family:
    def __init__(self, name, af, program, **addresses):
        self.name, self.af, self.program = name, af, program
        self.pod, self.peer, self.inner, self.service = (addresses[k] for k in ("pod", "peer", "inner", "service"))
        self.loopback, self.any = addresses["loopback"], addresses["any"]
        self.documentation = addresses["documentation"]  # what --check dials
        self.peer_network = f"{self.peer}/{128 if af == socket.AF_INET6 else 32}"


V4 = Family("IPv4", socket.AF_INET, "iptables", pod="10.77.0.1", peer="10.77.0.2", inner="10.78.0.2", service="10.96.0.10",
            loopback="127.0.0.1", any="0.0.0.0", documentation="192.0.2.1")
V6 = Family("IPv6", socket.AF_INET6, "ip6tables", pod="fd77::1", peer="fd77::2", inner="fd78::2", service="fd96::10",
            loopback="::1", any="::", documentation="2001:db8::1")


def run(*argv, **kwargs):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **kwargs)


@contextlib.contextmanager
def as_user(uid):
    """Sockets made in this block belong to the user, as far as the owner match is concerned."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def original_dst(s):
    if s.family == socket.AF_INET6:
        data = s.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
        return socket.inet_ntop(socket.AF_INET6, data[8:24]), struct.unpack("!H", data[2:4])[0]
    data = s.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    return socket.inet_ntop(socket.AF_INET, data[4:8]), struct.unpack("!H", data[2:4])[0]


def find_init():
    for folder in (binary_dir, os.path.join(binary_dir, "proxy")):
        path = os.path.join(folder, "outrigger-init")
        if os.path.isfile(path):
            return path
    raise SystemExit(f"no outrigger-init in {binary_dir}; build it, or name its folder with --bin")


def make_namespace(part):
    ns = netns.Netns(f"oi{os.getpid()}-{part}")
    namespaces[ns.name] = ns
    return ns


def delete_namespace(ns):
    if namespaces.pop(ns.name, None) is not None:
        ns.close()


@atexit.register
def delete_all_namespaces():
    for ns in list(namespaces.values()):
        delete_namespace(ns)


class NamespaceTest(unittest.TestCase):
    mode = "auto"

    @classmethod
    def setUpClass(cls):
        # A copy in a folder that any user may enter, for the tests that run without privilege.
        cls.folder = tempfile.mkdtemp(prefix="outrigger-init-test-")
        atexit.register(shutil.rmtree, cls.folder)
        os.chmod(cls.folder, 0o755)
        cls.init_path = shutil.copy(find_init(), cls.folder)

    def setUp(self):
        self.pod, self.peer, self.inner = (self.add_namespace(part) for part in ("pod", "peer", "inner"))
        self.link(self.pod, "eth0", self.peer, "eth0", ("10.77.0.1/24", "fd77::1/64"), ("10.77.0.2/24", "fd77::2/64"))
        self.link(self.pod, "eth1", self.inner, "eth0", ("10.78.0.1/24", "fd78::1/64"), ("10.78.0.2/24", "fd78::2/64"))
        self.ip(self.pod, "route add default via 10.77.0.2", "-6 route add default via fd77::2")
        self.ip(self.inner, "route add default via 10.78.0.1", "-6 route add default via fd78::1")
        self.ip(self.peer, "route add 10.78.0.0/24 via 10.77.0.1", "-6 route add fd78::/64 via fd77::1")
        self.forward(self.pod)

    def add_namespace(self, part):
        ns = make_namespace(part)
        self.addCleanup(delete_namespace, ns)
        return ns

    def link(self, a, a_device, b, b_device, a_addresses, b_addresses):
        a.ip_command("link", "add", a_device, "type", "veth", "peer", "name", b_device, "netns", b.name)
        for ns, device, addresses in ((a, a_device, a_addresses), (b, b_device, b_addresses)):
            self.ip(ns, f"link set {device} up", f"addr add {addresses[0]} dev {device}",
                    f"-6 addr add {addresses[1]} dev {device} nodad")

    def ip(self, ns, *commands):
        for command in commands:
            ns.ip_command(*command.split())

    def forward(self, ns):
        ns.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    # ---- the program ----

    def init(self, *flags, user=None, path=None, env=None, mode=None):
        argv = self.pod.enter_words()
        if user is not None:
            argv += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"]
        if path is not None:
            # Only for the program itself: nsenter and setpriv are looked up before.
            argv += ["/usr/bin/env", f"PATH={path}"]
        argv += [self.init_path, f"--iptables-mode={mode or self.mode}", *flags]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("OUTRIGGER_")}
        return run(*argv, env={**clean, **(env or {})})

    def apply(self, *flags, **kwargs):
        done = self.init(*flags, **kwargs)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def iptables(self, program, *args, stdin=None):
        return self.pod.run(program, *args, stdin=stdin)

    def save(self, program, backend):
        """What iptables-save prints, without its time stamps and counters."""
        text = self.iptables(f"{program}-{backend}-save", "-t", "nat")
        return [line.split(" [")[0] for line in text.splitlines() if not line.startswith("#")]

    def ours(self, program, backend):
        return [line for line in self.save(program, backend) if "OUTRIGGER_" in line]

    def path_with(self, **programs):
        """A folder to be the whole PATH: name=path makes a link, name="#!…" a script; '_' stands for '-'."""
        folder = tempfile.mkdtemp(dir=self.folder)
        os.chmod(folder, 0o755)
        for name, target in programs.items():
            file = os.path.join(folder, name.replace("_", "-"))
            if target.startswith("#!"):
                with open(file, "w", encoding="utf-8") as f:
                    f.write(target)
                os.chmod(file, 0o755)
            else:
                os.symlink(target, file)
        return folder

    def real_programs(self, *wanted):
        return {f"{name}_{verb}": f"{SBIN}/{name.replace('_', '-')}-{verb}" for name in wanted for verb in ("save", "restore")}

    # ---- sockets ----

    def keep(self, s):
        s.settimeout(TIMEOUT)
        self.addCleanup(s.close)
        return s

    def listen(self, ns, af, address, port):
        with ns.entered():
            s = self.keep(socket.socket(af, socket.SOCK_STREAM))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if af == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((address, port))
        s.listen(16)
        return s

    def connect(self, ns, af, address, port, uid=0):
        with ns.entered(), as_user(uid):
            s = self.keep(socket.socket(af, socket.SOCK_STREAM))
        s.connect((address, port))
        return s

    def udp(self, ns, af, address=None, port=0):
        with ns.entered():
            s = self.keep(socket.socket(af, socket.SOCK_DGRAM))
        if address is not None:
            s.bind((address, port))
        return s

    def accept(self, listener):
        s, _ = listener.accept()
        return self.keep(s)

    def assert_connected(self, client, listener):
        """`listener` has the other end of `client`."""
        s = self.accept(listener)
        client.sendall(b"there")
        self.assertEqual(s.recv(5), b"there")
        s.sendall(b"back")
        self.assertEqual(client.recv(4), b"back")
        return s

    def assert_idle(self, *listeners):
        for listener in listeners:
            listener.settimeout(QUIET)
            with self.assertRaises(TimeoutError):
                listener.accept()
