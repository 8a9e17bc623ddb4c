#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real gRPC client that keeps its channels, driven by commands: one JSON object a line in, one a line out.

    {"op": "open", "channel": "a", "target": "10.96.0.10:50051"}
    {"op": "calls", "channel": "a", "count": 100, "at_once": 10, "size": 10, "timeout": 20, "metadata": {...}}
        -> {"by_server": {"s1": 50, ...}, "codes": {"OK": 100}, "messages": [...], "in_order": ["s1", ...]}
    {"op": "load", "channel": "a", "at_once": 10}    keeps that many calls in flight until "unload"
    {"op": "load_counts"}                            what the load has done since it was last asked, and goes on
    {"op": "unload"}                                 ends it, waits for the last calls, answers its counts
    {"op": "client_stream", "channel": "a", "sizes": [...]}                 -> {"code", "reply", "server"}
    {"op": "server_stream", "channel": "a", "metadata": {...}, "cancel_after": n}
                                                                            -> {"code", "sizes", "server"}
    {"op": "streams_open", "channel": "a", "count": 500}                    bidirectional, kept: one message each way, then open
    {"op": "streams_echo"}                           one more message each way on every stream -> {"echoed", "codes"}
    {"op": "streams_wait"}                           until all have ended -> {"codes", "messages"}
    {"op": "streams_close"}                          half-closes them all, waits -> {"codes", "by_server"}
    {"op": "fail", "channel": "a", "code": 5, "message": "..."}             -> {"code", "message"}
    {"op": "metadata", "channel": "a", "echo": "...", "echo_bin": "hex"}    -> {"initial": {...}, "trailing": {...}}
    {"op": "close", "channel": "a"}
"""
import asyncio
import collections
import json
import sys
import time

import grpc
from grpc import aio

OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20),
           ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0),
           ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 5000), ("grpc.max_reconnect_backoff_ms", 500)]
PATH = "/outrigger.test.Echo/"


def code_name(code):
    return code.name if isinstance(code, grpc.StatusCode) else str(code)


async def server_of(call):
    return next((value for key, value in await call.initial_metadata() if key == "server-id"), "?")


class Counts:
    """What a number of calls came to."""

    def __init__(self):
        self.by_server = collections.Counter()
        self.codes = collections.Counter()
        self.messages = []
        self.in_order = []
        self.seconds = []
        self.bad_replies = 0

    def add_ok(self, server, seconds):
        self.by_server[server] += 1
        self.codes["OK"] += 1
        self.in_order.append(server)
        self.seconds.append(seconds)

    def add_error(self, error):
        self.codes[code_name(error.code())] += 1
        if len(self.messages) < 20:
            self.messages.append(error.details())

    def answer(self, with_latency=False):
        reply = {"by_server": self.by_server, "codes": self.codes, "messages": self.messages, "bad_replies": self.bad_replies}
        if with_latency:
            reply["seconds"] = [round(s, 5) for s in self.seconds]
        if len(self.in_order) <= 200:
            reply["in_order"] = self.in_order
        return reply


class Client:
    def __init__(self):
        self.channels = {}
        self.streams = []
        self.load_counts = Counts()
        self.load_tasks = []
        self.loading = False

    def method(self, kind, name, command):
        return getattr(self.channels[command["channel"]], kind)(PATH + name)

    @staticmethod
    def options(command):
        return {"timeout": command.get("timeout", 120), "wait_for_ready": command.get("wait_for_ready", False),
                "metadata": tuple((k, str(v)) for k, v in command.get("metadata", {}).items())}

    # ---- channels ----

    async def do_open(self, command):
        self.channels[command["channel"]] = aio.insecure_channel(
            command["target"], options=OPTIONS + [("grpc.default_authority", a) for a in [command.get("authority")] if a])
        return {}

    async def do_close(self, command):
        await self.channels.pop(command["channel"]).close()
        return {}

    # ---- unary ----

    async def one_call(self, method, counts_now, payload, options):
        """counts_now() gives the counts to add to, when the call has ended. Returns whether it succeeded."""
        begin = time.monotonic()
        call = method(payload, **options)
        try:
            reply = await call
            server = await server_of(call)
        except grpc.RpcError as error:
            counts_now().add_error(error)
            return False
        counts_now().add_ok(server, time.monotonic() - begin)
        if "reply-bytes" not in dict(options["metadata"]) and reply != payload:
            counts_now().bad_replies += 1
        return True

    async def do_calls(self, command):
        method = self.method("unary_unary", "Unary", command)
        options = self.options(command)
        payload = b"o" * command.get("size", 10)
        counts = Counts()
        left = iter(range(command["count"]))

        async def work():
            for _ in left:
                await self.one_call(method, lambda: counts, payload, options)

        await asyncio.gather(*(work() for _ in range(command.get("at_once", 1))))
        return counts.answer(command.get("latency", False))

    async def do_load(self, command):
        method = self.method("unary_unary", "Unary", command)
        options = self.options(command)
        self.loading = True

        async def work():
            while self.loading:
                if not await self.one_call(method, lambda: self.load_counts, b"load", options):
                    await asyncio.sleep(0.02)  # a call refused at once costs nothing: do not spin on it

        self.load_counts = Counts()
        self.load_tasks = [asyncio.ensure_future(work()) for _ in range(command.get("at_once", 1))]
        return {}

    async def do_load_counts(self, command):
        counts, self.load_counts = self.load_counts, Counts()
        return counts.answer(command.get("latency", False))

    async def do_unload(self, command):
        self.loading = False
        await asyncio.gather(*self.load_tasks)
        return await self.do_load_counts(command)

    async def do_fail(self, command):
        options = self.options(command)
        options["metadata"] = (("fail-code", str(command["code"])),)
        try:
            await self.method("unary_unary", "Fail", command)(command["message"].encode(), **options)
            return {"code": "OK", "message": ""}
        except grpc.RpcError as error:
            return {"code": code_name(error.code()), "message": error.details()}

    async def do_metadata(self, command):
        options = self.options(command)
        options["metadata"] = (("echo", command["echo"]), ("echo-bin", bytes.fromhex(command["echo_bin"])))
        call = self.method("unary_unary", "Unary", command)(b"", **options)
        await call

        def readable(metadata):
            return {k: v.hex() if isinstance(v, bytes) else v for k, v in metadata}

        return {"initial": readable(await call.initial_metadata()), "trailing": readable(await call.trailing_metadata())}

    # ---- one stream at a time ----

    async def do_client_stream(self, command):
        async def messages():
            for size in command["sizes"]:
                yield bytes(size)

        call = self.method("stream_unary", "ClientStream", command)(messages(), **self.options(command))
        try:
            reply = await call
            return {"code": "OK", "reply": reply.decode(), "server": await server_of(call)}
        except grpc.RpcError as error:
            return {"code": code_name(error.code()), "message": error.details()}

    async def do_server_stream(self, command):
        call = self.method("unary_stream", "ServerStream", command)(b"", **self.options(command))
        sizes = []
        server = ""
        try:
            async for message in call:
                sizes.append(len(message))
                server = await server_of(call)
                if len(sizes) == command.get("cancel_after"):
                    call.cancel()
        except (grpc.RpcError, asyncio.CancelledError):
            pass
        return {"code": code_name(await call.code()), "message": await call.details(), "sizes": sizes, "server": server}

    # ---- many streams that stay ----

    async def do_streams_open(self, command):
        method = self.method("stream_stream", "Bidi", command)
        self.streams = [method(**self.options(command)) for _ in range(command["count"])]
        return await self.do_streams_echo(command)

    async def do_streams_echo(self, command):
        async def echo(stream):
            try:
                await stream.write(b"echo")
                return await stream.read() == b"echo"
            except (grpc.RpcError, asyncio.InvalidStateError):
                return False

        echoed = await asyncio.gather(*(echo(s) for s in self.streams))
        by_server = collections.Counter()
        for stream, did_echo in zip(self.streams, echoed):
            if did_echo:
                by_server[await server_of(stream)] += 1
        return {"echoed": sum(echoed), "by_server": by_server}

    async def do_streams_wait(self, command):
        codes = collections.Counter([code_name(c) for c in await asyncio.gather(*(s.code() for s in self.streams))])
        messages = sorted(set(await asyncio.gather(*(s.details() for s in self.streams))))
        return {"codes": codes, "messages": messages}

    async def do_streams_close(self, command):
        for stream in self.streams:
            if not stream.done():
                await stream.done_writing()
        for stream in self.streams:
            while not stream.done() and await stream.read() is not aio.EOF:
                pass
        return await self.do_streams_wait(command)

    async def do_streams_cancel(self, command):
        for stream in self.streams:
            stream.cancel()
        return {}


async def main():
    client = Client()
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    while line := await reader.readline():
        command = json.loads(line)
        try:
            reply = await getattr(client, "do_" + command["op"])(command)
        except Exception as error:  # the test shows it; the client stays
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
    for channel in client.channels.values():
        await channel.close()


asyncio.run(main())
