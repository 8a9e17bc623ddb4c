#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gRPC's interop service and the plain cases of its client, in Python (grpcio; messages by protoc from interop.proto).

    interop_python.py server PORT                prints "ready" when it listens; ends with its standard input
    interop_python.py client HOST:PORT CASE...   prints {"case": ..., "ok": ..., "why": ...} for each

interop_pb2.py is looked for in the folder INTEROP_GENERATED.
"""
import concurrent.futures
import json
import os
import queue
import sys
import time

import grpc

sys.path.insert(0, os.environ["INTEROP_GENERATED"])
import interop_pb2 as pb  # noqa: E402

SERVICE = "grpc.testing.TestService"
ECHO_INITIAL, ECHO_TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
REQUEST_SIZES, RESPONSE_SIZES = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
LIMIT = 60  # seconds: only to end a hang
SOAK_ROUNDS = 20
METHODS = {  # name: (kind, request, response)
    "EmptyCall": ("unary_unary", pb.Empty, pb.Empty),
    "UnaryCall": ("unary_unary", pb.SimpleRequest, pb.SimpleResponse),
    "StreamingOutputCall": ("unary_stream", pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse),
    "StreamingInputCall": ("stream_unary", pb.StreamingInputCallRequest, pb.StreamingInputCallResponse),
    "FullDuplexCall": ("stream_stream", pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse),
    "UnimplementedCall": ("unary_unary", pb.Empty, pb.Empty),
}


# ---- server ----

def echo_metadata(context):
    for key, value in context.invocation_metadata():
        if key == ECHO_INITIAL:
            context.send_initial_metadata(((key, value),))
        elif key == ECHO_TRAILING:
            context.set_trailing_metadata(((key, value),))


def end_as_asked(request, context):
    if request.HasField("response_status") and request.response_status.code:
        code = next(c for c in grpc.StatusCode if c.value[0] == request.response_status.code)
        context.abort(code, request.response_status.message)


class Server:
    def EmptyCall(self, _request, context):
        echo_metadata(context)
        return pb.Empty()

    def UnaryCall(self, request, context):
        echo_metadata(context)
        end_as_asked(request, context)
        return pb.SimpleResponse(payload=pb.Payload(body=bytes(request.response_size)))

    def StreamingOutputCall(self, request, context):
        end_as_asked(request, context)
        for parameters in request.response_parameters:
            time.sleep(parameters.interval_us / 1e6)
            yield pb.StreamingOutputCallResponse(payload=pb.Payload(body=bytes(parameters.size)))

    def StreamingInputCall(self, requests, _context):
        return pb.StreamingInputCallResponse(aggregated_payload_size=sum(len(r.payload.body) for r in requests))

    def FullDuplexCall(self, requests, context):
        echo_metadata(context)
        for request in requests:
            yield from self.StreamingOutputCall(request, context)

    def handlers(self):
        rows = {}
        for name, (kind, request, response) in METHODS.items():
            if hasattr(self, name):
                make = getattr(grpc, kind + "_rpc_method_handler")
                rows[name] = make(getattr(self, name), request.FromString, response.SerializeToString)
        return grpc.method_handlers_generic_handler(SERVICE, rows)


def serve(port):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
    server.add_generic_rpc_handlers((Server().handlers(),))
    if server.add_insecure_port(f"0.0.0.0:{port}") == 0:
        sys.exit(f"cannot listen on {port}")
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(0).wait()


# ---- client ----

def check(is_so, what):
    if not is_so:
        raise AssertionError(what)


def check_ends(call, code, message=None):
    """code() waits for the end."""
    check(call.code() == code, f"{call.code()} ({call.details()!r}) instead of {code}")
    check(message is None or call.details() == message, f"message {call.details()!r} instead of {message!r}")


def check_stream_ends(call, code, message=None):
    """What has not been read would keep the end away."""
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    check_ends(call, code, message)


class Requests:
    """A request stream that the test feeds."""

    def __init__(self):
        self.queue = queue.Queue()

    def __iter__(self):
        return iter(self.queue.get, None)

    def send(self, message):
        self.queue.put(message)

    def end(self):
        self.queue.put(None)


def payload(size):
    return pb.Payload(body=bytes(size))


def duplex_request(response_size, request_size):
    return pb.StreamingOutputCallRequest(response_parameters=[pb.ResponseParameters(size=response_size)], payload=payload(request_size))


class Client:
    def __init__(self, target):
        self.target = target
        self.channel = self.open()

    def open(self):
        return grpc.insecure_channel(self.target, options=[("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)])

    def method(self, name, service=SERVICE, channel=None):
        kind, request, response = METHODS[name]
        make = getattr(channel or self.channel, kind)
        return make(f"/{service}/{name}", request_serializer=request.SerializeToString, response_deserializer=response.FromString)

    def duplex(self, timeout=LIMIT, **words):
        requests = Requests()
        return requests, self.method("FullDuplexCall")(iter(requests), timeout=timeout, **words)

    def empty_unary(self):
        check(self.method("EmptyCall")(pb.Empty(), timeout=LIMIT) == pb.Empty(), "not empty")

    def large_unary(self, channel=None):
        request = pb.SimpleRequest(response_size=LARGE_RESPONSE, payload=payload(LARGE_REQUEST))
        reply = self.method("UnaryCall", channel=channel)(request, timeout=LIMIT)
        check(reply.payload.body == bytes(LARGE_RESPONSE), f"{len(reply.payload.body)} bytes")

    def client_streaming(self):
        requests = (pb.StreamingInputCallRequest(payload=payload(size)) for size in REQUEST_SIZES)
        reply = self.method("StreamingInputCall")(requests, timeout=LIMIT)
        check(reply.aggregated_payload_size == sum(REQUEST_SIZES), str(reply))

    def server_streaming(self):
        request = pb.StreamingOutputCallRequest(response_parameters=[pb.ResponseParameters(size=n) for n in RESPONSE_SIZES])
        sizes = [len(r.payload.body) for r in self.method("StreamingOutputCall")(request, timeout=LIMIT)]
        check(sizes == list(RESPONSE_SIZES), str(sizes))

    def ping_pong(self):
        requests, call = self.duplex()
        for size, answer in zip(REQUEST_SIZES, RESPONSE_SIZES):
            requests.send(duplex_request(answer, size))
            got = len(next(call).payload.body)
            check(got == answer, f"{got} bytes instead of {answer}")
        requests.end()
        check_stream_ends(call, grpc.StatusCode.OK)

    def empty_stream(self):
        requests, call = self.duplex()
        requests.end()
        check(list(call) == [], "messages came")
        check_stream_ends(call, grpc.StatusCode.OK)

    def cancel_after_begin(self):
        requests = Requests()
        call = self.method("StreamingInputCall").future(iter(requests), timeout=LIMIT)
        call.cancel()
        requests.end()
        check_ends(call, grpc.StatusCode.CANCELLED)

    def cancel_after_first_response(self):
        requests, call = self.duplex()
        requests.send(duplex_request(RESPONSE_SIZES[0], REQUEST_SIZES[0]))
        next(call)
        call.cancel()
        requests.end()
        check_stream_ends(call, grpc.StatusCode.CANCELLED)

    def timeout_on_sleeping_server(self):
        requests, call = self.duplex(timeout=0.001)
        requests.send(pb.StreamingOutputCallRequest(payload=payload(REQUEST_SIZES[0])))
        check_stream_ends(call, grpc.StatusCode.DEADLINE_EXCEEDED)
        requests.end()

    def fails_unary(self, code, message):
        request = pb.SimpleRequest(response_status=pb.EchoStatus(code=code.value[0], message=message))
        check_ends(self.method("UnaryCall").future(request, timeout=LIMIT), code, message)

    def status_code_and_message(self):
        message = "test status message"
        self.fails_unary(grpc.StatusCode.UNKNOWN, message)
        requests, call = self.duplex()
        requests.send(pb.StreamingOutputCallRequest(response_status=pb.EchoStatus(code=2, message=message)))
        requests.end()
        check_stream_ends(call, grpc.StatusCode.UNKNOWN, message)

    def special_status_message(self):
        self.fails_unary(grpc.StatusCode.UNKNOWN, SPECIAL_MESSAGE)

    def unimplemented_method(self):
        check_ends(self.method("UnimplementedCall").future(pb.Empty(), timeout=LIMIT), grpc.StatusCode.UNIMPLEMENTED)

    def unimplemented_service(self):
        method = self.method("UnimplementedCall", service="grpc.testing.UnimplementedService")
        check_ends(method.future(pb.Empty(), timeout=LIMIT), grpc.StatusCode.UNIMPLEMENTED)

    def custom_metadata(self):
        sent = ((ECHO_INITIAL, "test_initial_metadata_value"), (ECHO_TRAILING, b"\xab\xab\xab"))
        request = pb.SimpleRequest(response_size=LARGE_RESPONSE, payload=payload(LARGE_REQUEST))
        unary = self.method("UnaryCall").future(request, timeout=LIMIT, metadata=sent)
        unary.result()
        requests, duplex = self.duplex(metadata=sent)
        requests.send(duplex_request(LARGE_RESPONSE, LARGE_REQUEST))
        requests.end()
        check_stream_ends(duplex, grpc.StatusCode.OK)
        for call in (unary, duplex):
            check(dict(call.initial_metadata()).get(ECHO_INITIAL) == sent[0][1], f"initial {call.initial_metadata()}")
            check(dict(call.trailing_metadata()).get(ECHO_TRAILING) == sent[1][1], f"trailing {call.trailing_metadata()}")

    def rpc_soak(self):
        for _ in range(SOAK_ROUNDS):
            self.large_unary()

    def channel_soak(self):
        for _ in range(SOAK_ROUNDS):
            with self.open() as channel:
                self.large_unary(channel)


def run_cases(target, cases):
    client = Client(target)
    for case in cases:
        why = ""
        try:
            getattr(client, case)()
        except (AssertionError, StopIteration, grpc.RpcError) as error:
            why = f"{type(error).__name__}: {error}"
        print(json.dumps({"case": case, "ok": not why, "why": why}), flush=True)
    client.channel.close()


if sys.argv[1] == "server":
    serve(sys.argv[2])
else:
    run_cases(sys.argv[2], sys.argv[3:])
