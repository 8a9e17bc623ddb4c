# SPDX-License-Identifier: Apache-2.0
"""Programs that a test starts in a namespace: always ended, always by their own process id."""
import atexit
import json
import os
import queue
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
HANG_LIMIT = 120  # seconds: no program of these tests may be silent for longer when it owes an answer

running = []


@atexit.register
def stop_all():
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


class Driven:
    """A program that takes commands as JSON lines and answers each with one."""

    def __init__(self, netns, words, **popen):
        self.words = words
        self.process = netns.start(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen)
        running.append(self.process)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.greeting = self.answer()

    @property
    def pid(self):
        return self.process.pid

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def ask_later(self, op, **words):
        """Sends a command; the caller takes the answer when it wants it."""
        self.process.stdin.write(json.dumps({"op": op, **words}) + "\n")
        self.process.stdin.flush()

    def answer(self, limit=HANG_LIMIT):
        try:
            line = self.lines.get(timeout=limit)
        except queue.Empty:
            raise AssertionError(f"{self.words[1]}: no answer within {limit} s") from None
        if not line:
            raise AssertionError(f"{self.words[1]} ended, status {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise AssertionError(f"{self.words[1]}: {reply['error']}")
        return reply

    def ask(self, op, limit=HANG_LIMIT, **words):
        self.ask_later(op, **words)
        return self.answer(limit)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        """End of input is how these programs end; one that does not is killed."""
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
                self.process.wait(20)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                self.kill()
        self.process.stdout.close()


class GrpcServer(Driven):
    """One process with a gRPC server on each of `addresses`: {"10.244.1.1:50051": "s1", ...}."""

    def __init__(self, netns, addresses):
        self.addresses = addresses
        super().__init__(netns, [PYTHON, f"{HERE}/programs/grpc_server.py"] + [f"{a}={name}" for a, name in addresses.items()])


class GrpcClient(Driven):
    def __init__(self, netns, target=None):
        super().__init__(netns, [PYTHON, f"{HERE}/programs/grpc_client.py"])
        if target:
            self.ask("open", channel="a", target=target)

    def calls(self, count, channel="a", **words):
        return self.ask("calls", channel=channel, count=count, **words)

    def load_until(self, server, calls=20):
        """Under load: until that many calls have been answered by `server`. Returns the codes of all that ended meanwhile."""
        codes, answered, end = {}, 0, time.monotonic() + HANG_LIMIT
        while answered < calls:
            if time.monotonic() > end:
                raise AssertionError(f"{server} is not used: {codes}")
            time.sleep(0.02)
            counts = self.ask("load_counts")
            answered += counts["by_server"].get(server, 0)
            for code, n in counts["codes"].items():
                codes[code] = codes.get(code, 0) + n
        return codes
