#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real gRPC service on one or many addresses: every ADDRESS=ID argument is a server of its own, with its own name.

    grpc_server.py 10.244.1.1:50051=s1 10.244.1.2:50051=s2 ...

Methods of /outrigger.test.Echo (bytes in, bytes out):
    Unary         answers the request, or `reply-bytes` zero bytes
    ClientStream  answers the number and the sum of the sizes of all messages: b"3 1200"
    ServerStream  answers `reply-count` messages of `reply-bytes` bytes
    Bidi          answers each message as it comes
    Fail          ends with status `fail-code` and message `fail-message`
Request metadata `delay-ms` makes a call slow, `echo` and `echo-bin` come back as initial and trailing metadata. Every call's
initial metadata names the server: `server-id`.

Standard input takes commands, one JSON object a line; standard output gives one JSON object a line:
    {"op": "delay", "id": "s1", "ms": 100}          every unary call of s1 sleeps that long
    {"op": "width", "id": "s1", "calls": 8}         s1 serves that many unary calls at a time, the others wait
    {"op": "stop", "id": "s1", "grace": 20}         graceful: GOAWAY, calls in flight finish, the port closes
    {"op": "start", "id": "s1"}                     listens again
    {"op": "counts"}                                calls begun so far: {"counts": {"s1": 12, ...}}
End of input ends the program.
"""
import asyncio
import json
import sys

import grpc
from grpc import aio

OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20),
           ("grpc.so_reuseport", 0), ("grpc.max_concurrent_streams", 100000)]


def asked(context, key, default=0):
    for name, value in context.invocation_metadata():
        if name == key:
            return int(value)
    return default


class EchoServer:
    def __init__(self, address, name):
        self.address = address
        self.name = name
        self.calls = 0
        self.delay_ms = 0
        self.width = None
        self.server = None

    async def begin(self, context):
        self.calls += 1
        reply = [("server-id", self.name)]
        reply += [(k, v) for k, v in context.invocation_metadata() if k in ("echo", "echo-bin")]
        context.set_trailing_metadata(tuple(reply))
        await context.send_initial_metadata(tuple(reply))

    async def work(self, context):
        delay = asked(context, "delay-ms", self.delay_ms)
        if self.width:
            async with self.width:
                await asyncio.sleep(delay / 1000)
        elif delay:
            await asyncio.sleep(delay / 1000)

    async def unary(self, request, context):
        # Headers go out when the work is done, as they do in a server that computes its answer.
        self.calls += 1
        await self.work(context)
        reply = [("server-id", self.name)]
        reply += [(k, v) for k, v in context.invocation_metadata() if k in ("echo", "echo-bin")]
        await context.send_initial_metadata(tuple(reply))
        context.set_trailing_metadata(tuple(reply))
        size = asked(context, "reply-bytes", -1)
        return request if size < 0 else bytes(size)

    async def client_stream(self, requests, context):
        await self.begin(context)
        count = total = 0
        async for message in requests:
            count += 1
            total += len(message)
        return f"{count} {total}".encode()

    async def server_stream(self, request, context):
        await self.begin(context)
        delay = asked(context, "delay-ms") / 1000
        for _ in range(asked(context, "reply-count", 1)):
            await asyncio.sleep(delay)
            yield bytes(asked(context, "reply-bytes", len(request)))

    async def bidi(self, requests, context):
        await self.begin(context)
        async for message in requests:
            yield message

    async def fail(self, request, context):
        await self.begin(context)
        code = next(c for c in grpc.StatusCode if c.value[0] == asked(context, "fail-code", 2))
        await context.abort(code, request.decode())

    def handlers(self):
        return grpc.method_handlers_generic_handler("outrigger.test.Echo", {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
            "ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
            "Bidi": grpc.stream_stream_rpc_method_handler(self.bidi),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        })

    async def start(self):
        self.server = aio.server(options=OPTIONS)
        self.server.add_generic_rpc_handlers((self.handlers(),))
        if self.server.add_insecure_port(self.address) == 0:
            raise RuntimeError(f"cannot listen on {self.address}")
        await self.server.start()

    async def stop(self, grace):
        if self.server:
            await self.server.stop(grace)
            self.server = None


async def obey(servers, command):
    """A name may stand for several servers (the two families of one pod): all of them obey."""
    op = command["op"]
    if op == "counts":
        return {"counts": {name: sum(s.calls for s in servers if s.name == name) for name in {s.name for s in servers}}}
    for server in [s for s in servers if s.name == command["id"]]:
        if op == "delay":
            server.delay_ms = command["ms"]
        elif op == "width":
            server.width = asyncio.Semaphore(command["calls"])
        elif op == "stop":
            await server.stop(command.get("grace", 30))
        elif op == "start":
            await server.start()
    return {"ok": op}


def say(**words):
    print(json.dumps(words), flush=True)


async def main():
    servers = [EchoServer(*word.rsplit("=", 1)) for word in sys.argv[1:]]
    for server in servers:
        await server.start()
    say(ready=[server.name for server in servers])

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        say(**await obey(servers, json.loads(line)))
    for server in servers:
        await server.stop(0)


asyncio.run(main())
