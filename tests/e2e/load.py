# SPDX-License-Identifier: Apache-2.0
"""A load whose every call is accounted for: servers that record what they execute, a client that records what became of each call.

The programs are C++ (tests/e2e/programs/load_*.cpp), built by tests/run where libgrpc++ is.
"""
import array
import collections
import itertools
import os
import signal
import subprocess
import sys

import tcp  # noqa: F401: it makes h2raw known
from h2raw import PREFACE, SETTINGS, frame
from mesh import HANG_LIMIT, PORT, ROOT, VIP, is_v6, join, wait_until, work_dir
from programs import Driven

PROGRAMS = os.path.join(ROOT, "build", "tests-e2e")
HERE = os.path.exists(f"{PROGRAMS}/load_client") and os.path.exists(f"{PROGRAMS}/load_server")
MISSING = "libgrpc++-dev is not here"
OK, DEADLINE_EXCEEDED, UNAVAILABLE = 0, 4, 14
numbers = itertools.count(1)


def record_path(kind):
    return os.path.join(work_dir, f"{kind}-{next(numbers)}.record")


def read_numbers(path):
    """64-bit integers; a last one that a killed program did not finish does not count."""
    data = array.array("q")
    with open(path, "rb") as f:
        text = f.read()
    data.frombytes(text[:len(text) // 8 * 8])
    return data


def wait_known(mesh, proxy, pod, count):
    """Until the proxy knows the Service's endpoints: what is opened before that all goes where the kernel would have sent it."""
    with pod.connect(VIP, PORT) as s:
        s.sendall(PREFACE + frame(SETTINGS))
        mesh.wait_endpoints(proxy, count)


class LoadServer(Driven):
    def __init__(self, pod, ip, name, delay_ms=0, lame_ms=0, max_age_ms=None, port=PORT):
        self.pod, self.ip, self.name = pod, ip, name
        self.record = record_path("server")
        words = [f"{PROGRAMS}/load_server", f"{join(ip, port)}={name}", self.record, delay_ms, lame_ms]
        super().__init__(pod, [str(w) for w in (*words, *([max_age_ms] if max_age_ms else []))])

    def executed(self):
        """Numbers of the calls it has begun to execute, in order."""
        return list(read_numbers(self.record))

    def drain(self):
        self.process.send_signal(signal.SIGTERM)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def wait_exit(self):
        try:
            return self.process.wait(HANG_LIMIT)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server {self.name} does not end") from None

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.process.stdout.close()


class LoadClient(Driven):
    def __init__(self, pod, rate, streams=0, channels=2, target=join(VIP, PORT)):
        self.rate = rate
        self.record = record_path("client")
        super().__init__(pod, [str(w) for w in (f"{PROGRAMS}/load_client", target, self.record, rate, streams, channels)])

    def counts(self):
        return self.ask("counts")

    def ended(self):
        return sum(self.counts()["codes"].values())

    def go_on(self, calls):
        """Until that many more calls have ended."""
        goal = self.ended() + calls
        wait_until(lambda: self.ended() >= goal, "calls go on")

    def go_on_with(self, server, calls=20):
        """Until that many more calls have been answered by that server."""
        goal = self.counts()["by_server"].get(server, 0) + calls
        wait_until(lambda: self.counts()["by_server"].get(server, 0) >= goal, f"{server} gets calls")

    def stop(self):
        """Ends the load. Returns an Account of it, without the servers' side."""
        counts = self.ask("stop", limit=2 * HANG_LIMIT)
        rows = read_numbers(self.record)
        return Account(counts, dict(zip(rows[0::2], rows[1::2])))


class Account:
    """What the client and the servers say of the same calls."""

    def __init__(self, counts, outcomes):
        self.counts = counts
        self.outcomes = outcomes  # {number: status}
        self.executions = collections.Counter()

    def add_servers(self, servers):
        for server in servers:
            self.executions.update(server.executed())
        return self

    @property
    def failed(self):
        return {number for number, status in self.outcomes.items() if status != OK}

    @property
    def succeeded(self):
        return {number for number, status in self.outcomes.items() if status == OK}

    def check(self, test):
        """What holds whatever happened: every call has one outcome, none was executed twice, what succeeded was executed."""
        test.assertEqual(len(self.outcomes), self.counts["sent"], "each call that was sent has ended")
        test.assertEqual(set(self.outcomes), set(range(self.counts["sent"])))
        twice = [number for number, times in self.executions.items() if times > 1]
        test.assertEqual(twice, [], f"executed twice; their outcomes: {[self.outcomes.get(n) for n in twice]}")
        test.assertEqual(self.succeeded - set(self.executions), set(), "succeeded without being executed")
        test.assertEqual(self.counts["bad_replies"], 0)
        return self

    def check_nothing_failed(self, test):
        self.check(test)
        test.assertEqual(self.failed, set(), f"{self.counts}")
        test.assertEqual(set(self.executions), set(self.outcomes), "the client's calls are the servers' calls")
        return self

    def say(self, what):
        lost = self.failed & set(self.executions)
        print(f"{what}: {self.counts['sent']} calls, {len(self.failed)} failed, {len(lost)} of them executed; "
              f"{self.counts['streams_opened']} streams, {self.counts['stream_codes']}; {self.counts['messages']}", file=sys.stderr, flush=True)
        return self


class Fleet:
    """Servers of one Service, each a process of its own with an address of its own, as they come and go: at most `most` in one pod
    without a sidecar, or each in a pod of its own with one (server.sidecar)."""

    def __init__(self, mesh, most, with_sidecars=False, **server):
        self.mesh = mesh
        self.server = server
        self.with_sidecars = with_sidecars
        self.pod = mesh.node.add_pod("servers", most)
        self.free = iter([a for a in self.pod.addresses if not is_v6(a)])
        self.all = []
        self.published = {}  # server: condition

    def start(self, **server):
        name = f"s{len(self.all) + 1}"
        pod = self.mesh.node.add_pod(name) if self.with_sidecars else self.pod
        ip = pod.ip if self.with_sidecars else next(self.free)
        server = self.mesh.keep(LoadServer(pod, ip, name, **{**self.server, **server}))
        server.sidecar = self.mesh.add_sidecar(pod) if self.with_sidecars else None
        self.all.append(server)
        return server

    def add(self, count=1, **server):
        """Starts servers and publishes them."""
        new = [self.start(**server) for _ in range(count)]
        self.published.update({s: "ready" for s in new})
        self.publish()
        return new

    def restart(self, old):
        """A new process at the address of one that has ended."""
        new = self.mesh.keep(LoadServer(old.pod, old.ip, f"s{len(self.all) + 1}", **self.server))
        new.sidecar = old.sidecar
        self.all.append(new)
        return new

    def mark(self, server, condition):
        """ready, terminating, unready; None: not in the slice any more."""
        self.published[server] = condition
        if condition is None:
            del self.published[server]
        self.publish()

    def publish(self):
        self.mesh.publish([(s.name, s.ip, condition) for s, condition in self.published.items()], vips=(VIP,))
