# SPDX-License-Identifier: Apache-2.0
"""A small cluster of network namespaces: one node that routes and does what kube-proxy does, and pods behind it.

Every pod hangs on the node by a veth pair of its own and reaches all else through it, IPv4 and IPv6. A Service's virtual IP
exists only as DNAT rules in the node's nat table, one random choice a connection, as kube-proxy's iptables mode programs them.
Names are unique to this process, so runs may overlap; close() (also at exit and on signals) takes everything away again.
"""
import atexit
import contextlib
import ctypes
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
own_netns = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
open_nodes = []

GATEWAY_V4 = "169.254.1.1"
GATEWAY_V6 = "fe80::1"


def sh(*words, stdin=None, check=True):
    """Runs a program to its end and returns its output; a failure says what the program said."""
    done = subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: exit status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def is_v6(ip):
    return ":" in ip


def join(ip, port):
    return f"[{ip}]:{port}" if is_v6(ip) else f"{ip}:{port}"


class Netns:
    """One network namespace: programs and sockets inside it."""

    def __init__(self, name):
        self.name = name
        sh("ip", "netns", "add", name)
        self.fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.ip_command("link", "set", "lo", "up")

    def ip_command(self, *words):
        return sh("ip", "-n", self.name, *words)

    def enter_words(self):
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def run(self, *words, stdin=None, check=True):
        return sh(*self.enter_words(), *words, stdin=stdin, check=check)

    def start(self, words, uid=None, **popen):
        """Starts a program in here; the returned process is the program itself, not a wrapper."""
        prefix = [*self.enter_words(), "setpriv", "--pdeathsig=KILL"]
        if uid is not None:
            prefix += [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        # A session of its own: Ctrl-C is for the test, which then ends its programs in order.
        return subprocess.Popen(prefix + list(words), start_new_session=True, **popen)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in here for a moment: a socket made meanwhile belongs here for good."""
        if libc.setns(self.fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {self.name}")
        try:
            yield
        finally:
            if libc.setns(own_netns, CLONE_NEWNET) != 0:
                os.abort()

    def socket(self, family=socket.AF_INET):
        with self.entered():
            return socket.socket(family, socket.SOCK_STREAM)

    def connect(self, ip, port, timeout=30):
        s = self.socket(socket.AF_INET6 if is_v6(ip) else socket.AF_INET)
        s.settimeout(timeout)
        try:
            s.connect((ip, port))
        except BaseException:
            s.close()
            raise
        return s

    def listen(self, ip, port=0, backlog=128):
        s = self.socket(socket.AF_INET6 if is_v6(ip) else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(30)
        s.bind((ip, port))
        s.listen(backlog)
        return s

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
            sh("ip", "netns", "del", self.name, check=False)


class Pod(Netns):
    """A namespace with addresses, reached through the node."""

    def __init__(self, node, name, addresses):
        super().__init__(f"{node.prefix}-{name}")
        self.node = node
        self.pod_name = name
        self.addresses = addresses
        self.veth = f"v{node.next_number()}"
        self.wire()

    @property
    def ip(self):
        return next(a for a in self.addresses if not is_v6(a))

    @property
    def ip6(self):
        return next(a for a in self.addresses if is_v6(a))

    def wire(self):
        sh("ip", "link", "add", self.veth, "netns", self.node.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        node_side = [f"addr add {GATEWAY_V4}/32 dev {self.veth}", f"addr add {GATEWAY_V6}/64 dev {self.veth} nodad",
                     f"link set {self.veth} up"]
        node_side += [f"route add {a} dev {self.veth}" for a in self.addresses]
        pod_side = [f"addr add {a} dev eth0" + (" nodad" if is_v6(a) else "") for a in self.addresses]
        pod_side += ["link set eth0 up", f"route add {GATEWAY_V4} dev eth0 scope link",
                     f"route add default via {GATEWAY_V4} dev eth0", f"route add default via {GATEWAY_V6} dev eth0"]
        sh("ip", "-n", self.node.name, "-batch", "-", stdin="\n".join(node_side) + "\n")
        sh("ip", "-n", self.name, "-batch", "-", stdin="\n".join(pod_side) + "\n")


class Node(Netns):
    """The node: routes between pods and translates Service addresses. Owns its pods."""

    def __init__(self):
        self.prefix = f"org-{os.getpid()}-{len(open_nodes)}"
        self.number = 0
        self.pods = []
        self.services = {}
        self.is_open = True
        remove_leftovers()
        open_nodes.append(self)
        super().__init__(f"{self.prefix}-node")
        self.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                 "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                 "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.default.send_redirects=0")
        for tool in ("iptables", "ip6tables"):
            self.run(tool, "-w", "-t", "nat", "-N", "KUBE-SERVICES")
            self.run(tool, "-w", "-t", "nat", "-A", "PREROUTING", "-j", "KUBE-SERVICES")
            self.run(tool, "-w", "-t", "nat", "-N", "KUBE-HAIRPIN")
            self.run(tool, "-w", "-t", "nat", "-A", "POSTROUTING", "-j", "KUBE-HAIRPIN")

    def next_number(self):
        self.number += 1
        return self.number

    def add_pod(self, name, count=1):
        """A pod with `count` IPv4 and IPv6 addresses (more than one stands for that many pods without sidecars)."""
        net = len(self.pods) + 1
        v4 = [str(ipaddress.ip_address(f"10.244.{net}.0") + i) for i in range(1, count + 1)]
        v6 = [str(ipaddress.ip_address(f"fd00:244:{net}::") + i) for i in range(1, count + 1)]
        pod = Pod(self, name, [a for pair in zip(v4, v6) for a in pair])
        self.pods.append(pod)
        return pod

    def publish(self, vip, port, targets):
        """What kube-proxy would program: new connections to vip:port go to one of `targets` [(ip, port)], at random."""
        self.services[(vip, port)] = [t for t in targets if is_v6(t[0]) == is_v6(vip)]
        self.program("ip6tables-restore" if is_v6(vip) else "iptables-restore", is_v6(vip))

    def program(self, tool, want_v6):
        lines = ["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-HAIRPIN - [0:0]"]
        rules = []
        bits = 128 if want_v6 else 32
        for number, ((vip, port), targets) in enumerate(sorted(self.services.items())):
            if is_v6(vip) != want_v6:
                continue
            lines.append(f":KUBE-SVC-{number} - [0:0]")
            rules.append(f"-A KUBE-SERVICES -d {vip}/{bits} -p tcp --dport {port} -j KUBE-SVC-{number}")
            for i, (ip, target_port) in enumerate(targets):
                left = len(targets) - i
                choice = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
                rules.append(f"-A KUBE-SVC-{number} -p tcp {choice}-j DNAT --to-destination {join(ip, target_port)}")
                rules.append(f"-A KUBE-HAIRPIN -s {ip}/{bits} -d {ip}/{bits} -p tcp -j MASQUERADE")
        self.run(tool, "-w", "--noflush", stdin="\n".join(lines + rules + ["COMMIT"]) + "\n")

    def close(self):
        if not self.is_open:
            return
        self.is_open = False
        for pod in self.pods:
            pod.close()
        super().close()


def remove_leftovers():
    """Namespaces of runs that were killed before they could clean up."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        found = re.fullmatch(r"org-(\d+)-.*", name)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            sh("ip", "netns", "del", name, check=False)


def close_all():
    for node in open_nodes:
        node.close()


def close_on_signal(number, _frame):
    sys.exit(128 + number)


atexit.register(close_all)


def exit_on_signals():
    """SIGTERM and SIGHUP become an ordinary exit, so that atexit cleans up; SIGINT is one already."""
    signal.signal(signal.SIGTERM, close_on_signal)
    signal.signal(signal.SIGHUP, close_on_signal)
