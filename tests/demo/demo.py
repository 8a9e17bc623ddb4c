# SPDX-License-Identifier: Apache-2.0
"""The problem and the cure, live: a gRPC client and thirty servers, first as kube-proxy leaves them, then with Outrigger.

Everything is real: network namespaces as pods, iptables rules, gRPC programs that know nothing of the mesh. The client runs
from the beginning to the end with one channel. Each promise is checked against what the servers' names in the answers say.
"""
import collections
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from mesh import PORT, VIP, Mesh, is_v6, join  # noqa: E402
from programs import GrpcClient, GrpcServer  # noqa: E402

SERVERS = 30
AT_ONCE = 24          # calls the client keeps in flight
WORK_MS = 40          # what a server sleeps for a call
WIDTH = 8             # calls a server works on at a time; more must wait
FRAME = 0.25          # seconds between pictures
BAR = 22

IS_LIVE = sys.stdout.isatty() and "--plain" not in sys.argv and os.environ.get("TERM", "dumb") != "dumb"
BOLD, DIM, RED, GREEN, RESET = ("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m") if IS_LIVE else ("",) * 5


def name_of(i):
    return f"s{i:02d}"


def percentile(values, share):
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


class Picture:
    """Calls of the last second at each server, as bars: redrawn in place on a terminal, once at the end elsewhere."""

    def __init__(self, title):
        self.lines = 0
        print(f"\n{BOLD}{title}{RESET}", flush=True)

    def draw(self, rates, names, note):
        top = max(list(rates.values()) + [1])
        cells = []
        for name in names:
            rate = rates.get(name, 0)
            length = round(BAR * rate / top)
            bar = "█" * length + " " * (BAR - length)
            cells.append(f"{name} {GREEN if rate else DIM}{bar}{RESET} {rate:5.0f}/s")
        half = (len(cells) + 1) // 2 if len(cells) > 5 else len(cells)
        rows = ["  " + cells[i] + ("   " + cells[i + half] if i + half < len(cells) else "") for i in range(half)]
        rows.append(f"  {DIM}{note}{RESET}")
        if self.lines:
            sys.stdout.write(f"\x1b[{self.lines}A")
        sys.stdout.write("".join(f"{row}\x1b[K\n" if IS_LIVE else row.rstrip() + "\n" for row in rows))
        sys.stdout.flush()
        self.lines = len(rows) if IS_LIVE else 0


class Totals:
    """What one act came to."""

    def __init__(self):
        self.by_server = collections.Counter()
        self.codes = collections.Counter()
        self.seconds = []
        self.window = collections.deque(maxlen=round(1 / FRAME))
        self.messages = []

    def add(self, counts, span):
        self.by_server.update(counts["by_server"])
        self.codes.update(counts["codes"])
        self.seconds += counts["seconds"]
        self.messages += counts["messages"]
        self.window.append((counts["by_server"], span))

    def rates(self):
        span = sum(s for _, s in self.window)
        total = collections.Counter()
        for by_server, _ in self.window:
            total.update(by_server)
        return {name: n / span for name, n in total.items()}

    @property
    def failed(self):
        return sum(n for code, n in self.codes.items() if code != "OK")

    def latency(self):
        return percentile(self.seconds, 0.5), percentile(self.seconds, 0.99)


class Demo:
    def __init__(self):
        self.mesh = Mesh()
        self.broken = []
        self.last = time.monotonic()

    # ---- the stage ----

    def set_up(self):
        pod = self.mesh.node.add_pod("servers", SERVERS)
        ips = [a for a in pod.addresses if not is_v6(a)]
        self.rows = [(name_of(i + 1), ip) for i, ip in enumerate(ips)]
        *most, victim = self.rows
        self.servers = self.mesh.keep(GrpcServer(pod, {join(ip, PORT): name for name, ip in most}))
        self.victim = self.mesh.keep(GrpcServer(pod, {join(victim[1], PORT): victim[0]}))
        for name, _ in self.rows:
            program = self.victim if name == victim[0] else self.servers
            program.ask("delay", id=name, ms=WORK_MS)
            program.ask("width", id=name, calls=WIDTH)
        self.client_pod = self.mesh.node.add_pod("client")

    def publish(self, rows):
        self.mesh.publish(rows, vips=(VIP,))

    def start_client(self):
        self.client = self.mesh.keep(GrpcClient(self.client_pod, join(VIP, PORT)))
        self.client.ask("load", channel="a", at_once=AT_ONCE)
        self.take()

    def take(self):
        for program in self.mesh.programs:
            program.check_alive()
        counts = self.client.ask("load_counts", latency=True)
        now = time.monotonic()
        span, self.last = now - self.last, now
        return counts, span

    def act(self, title, names, seconds, until=None):
        """Shows `seconds` of load. With until(totals) it notes after how many seconds that came true, and ends a second later."""
        picture = Picture(title)
        totals = Totals()
        self.take()
        begin = time.monotonic()
        came_true = None
        while (now := time.monotonic() - begin) < seconds:
            if came_true is not None and now > came_true + 1:
                break
            time.sleep(FRAME)
            totals.add(*self.take())
            if until and came_true is None and until(totals):
                came_true = time.monotonic() - begin
            if IS_LIVE:
                picture.draw(totals.rates(), names, self.note(totals))
        picture.draw(totals.rates(), names, self.note(totals))
        return totals, came_true

    @staticmethod
    def note(totals):
        middle, high = totals.latency()
        rate = sum(totals.rates().values())
        failed = f", {totals.failed} failed" if totals.failed else ""
        return f"{rate:.0f} calls/s, latency p50 {middle:.0f} ms, p99 {high:.0f} ms{failed}"

    def promise(self, is_kept, text):
        print(f"  {GREEN + '✓' if is_kept else RED + '✗'}{RESET} {text}", flush=True)
        if not is_kept:
            self.broken.append(text)

    # ---- the acts ----

    def without_mesh(self):
        names = [r[0] for r in self.rows]
        self.publish(self.rows[:3])
        self.start_client()
        totals, _ = self.act("1. Three servers behind one Service address, as kube-proxy does it: each connection gets a server.",
                             names[:3], 5)
        self.pinned = totals.by_server.most_common(1)[0][0]
        self.promise(len(totals.by_server) == 1, f"{self.pinned} gets everything: one gRPC channel is one connection")
        self.publish(self.rows)
        self.before, _ = self.act("2. Scaled to thirty servers.", names, 5)
        self.promise(set(self.before.by_server) == {self.pinned}, f"nothing changes: {self.pinned} still gets everything")

    def switch_on(self):
        print(f"\n{BOLD}Outrigger comes in:{RESET} outrigger-api reads the Services; outrigger-init programs the client's pod; "
              "outrigger-proxy runs in it.")
        sys.stdout.flush()
        self.mesh.start_api()
        self.proxy = self.mesh.add_sidecar(self.client_pod)
        self.take()
        self.servers_of(self.pinned).ask("stop", id=self.pinned, grace=5)
        self.servers_of(self.pinned).ask("start", id=self.pinned)
        counts, _ = self.take()
        lost = sum(n for code, n in counts["codes"].items() if code != "OK")
        print("  Redirection applies to new connections, so the old one must end: its server is restarted, as in any rolling\n"
              f"  update (a GOAWAY; {lost} calls failed in that last moment without the mesh). The client runs on.", flush=True)

    def servers_of(self, name):
        return self.victim if name == self.rows[-1][0] else self.servers

    def with_mesh(self):
        names = [r[0] for r in self.rows]
        self.act("3. The same client, the same channel, with Outrigger: the first seconds.", names, 3)
        self.after, _ = self.act("   And then:", names, 8)
        shares = [self.after.by_server.get(n, 0) for n in names]
        even = sum(shares) / SERVERS
        self.promise(min(shares) > 0, f"all {SERVERS} servers share the load")
        self.promise(0 < 0.7 * even <= min(shares) and max(shares) <= 1.3 * even,
                     f"of {even:.0f} calls each if it were even, the least got {min(shares)}, the most {max(shares)}")
        self.promise(self.after.failed == 0, "no call failed")

    def slow_one(self):
        name = name_of(7)
        self.servers.ask("delay", id=name, ms=10 * WORK_MS)

        def has_lost_its_share(totals):
            rates = totals.rates()
            return len(totals.window) == totals.window.maxlen and rates.get(name, 0) < sum(rates.values()) / SERVERS / 3

        totals, seconds = self.act(f"4. {name} turns ten times slower.", [r[0] for r in self.rows], 20, has_lost_its_share)
        self.promise(seconds is not None, f"{name} fell under a third of an even share"
                     + (f" after {seconds:.1f} s" if seconds is not None else ": it did not"))
        self.promise(totals.failed == 0, "no call failed")
        self.servers.ask("delay", id=name, ms=WORK_MS)

    def stop_one(self):
        name = name_of(11)
        self.publish([r + (("terminating",) if r[0] == name else ("ready",)) for r in self.rows])
        first, _ = self.act(f"5. {name} is stopped, as Kubernetes stops a pod: out of the Service first, ...", [r[0] for r in self.rows], 2)
        self.take_failed = first.failed
        self.servers.ask_later("stop", id=name, grace=20)
        second, _ = self.act("   ... then SIGTERM: it finishes what it has and closes.", [r[0] for r in self.rows], 3)
        self.servers.answer()
        self.promise(name not in second.by_server, f"{name} gets nothing any more")
        self.promise(first.failed + second.failed == 0, "no call failed")
        self.rows = [r for r in self.rows if r[0] != name]
        self.publish(self.rows)

    def kill_one(self):
        name = self.rows[-1][0]
        self.take()
        os.kill(self.victim.pid, signal.SIGKILL)
        totals, _ = self.act(f"6. {name} is killed with SIGKILL; nobody tells the Service.", [r[0] for r in self.rows], 6)
        self.promise(totals.failed <= AT_ONCE and set(totals.codes) <= {"OK", "UNAVAILABLE"},
                     f"{totals.failed} calls failed, those that had already been sent to it; {totals.codes['OK']} succeeded")
        for text in sorted(set(totals.messages))[:1]:
            print(f"    {DIM}what the client was told: {text}{RESET}")

    def finish(self):
        print(f"\n{BOLD}Latency of the client's calls{RESET}")
        for label, totals in (("without the mesh", self.before), ("with Outrigger", self.after)):
            middle, high = totals.latency()
            print(f"  {label:17} p50 {middle:5.0f} ms   p99 {high:5.0f} ms   {len(totals.seconds)} calls"
                  f" to {len(totals.by_server)} server{'s' if len(totals.by_server) > 1 else ''}")
        self.client.ask("unload")
        if self.broken:
            print(f"\n{RED}Not kept:{RESET} " + "; ".join(self.broken))
        else:
            print(f"\n{GREEN}Everything came true.{RESET}")
        return 1 if self.broken else 0

    def run(self):
        self.set_up()
        self.without_mesh()
        self.switch_on()
        self.with_mesh()
        self.slow_one()
        self.stop_one()
        self.kill_one()
        return self.finish()


def main():
    begin = time.monotonic()
    demo = Demo()
    try:
        status = demo.run()
        print(f"{DIM}{time.monotonic() - begin:.0f} seconds{RESET}")
    except KeyboardInterrupt:
        print("\nInterrupted; cleaning up.")
        status = 130
    except AssertionError as error:
        print(f"\n{RED}The demo broke off:{RESET} {error}")
        status = 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stdout.write(RESET)
        demo.mesh.close()
    sys.exit(status)


main()
