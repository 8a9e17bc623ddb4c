# SPDX-License-Identifier: Apache-2.0
"""A foreign xDS client: grpcio and protobuf, with messages compiled from api/proto by protoc into a descriptor pool of their own."""
import os
import queue
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROTO = os.path.join(ROOT, "api", "proto")
SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
TYPE_PREFIX = "type.googleapis.com/"
TYPES = {
    "listener": "envoy.config.listener.v3.Listener",
    "route": "envoy.config.route.v3.RouteConfiguration",
    "cluster": "envoy.config.cluster.v3.Cluster",
    "endpoints": "envoy.config.endpoint.v3.ClusterLoadAssignment",
}
HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
WAIT = 10.0  # how long something that must come may take
QUIET = 0.4  # how long nothing is waited for
BINARY = os.path.join(ROOT, os.environ.get("OUTRIGGER_TEST_BIN", "build"), "api", "outrigger-api")


def compile_protos():
    """Official names, our files: everything under api/proto as one pool, apart from the runtime's own well-known types."""
    files = [os.path.relpath(os.path.join(folder, name), PROTO)
             for folder, _, names in os.walk(PROTO) for name in names if name.endswith(".proto")]
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"--proto_path={PROTO}", f"--descriptor_set_out={out.name}", "--include_imports", *sorted(files)], check=True)
        found = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool = descriptor_pool.DescriptorPool()
    for file in found.file:
        pool.Add(file)
    return pool


POOL = compile_protos()


def message(name):
    descriptor = POOL.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(POOL).GetPrototype(descriptor)


DeltaRequest = message("envoy.service.discovery.v3.DeltaDiscoveryRequest")
DeltaResponse = message("envoy.service.discovery.v3.DeltaDiscoveryResponse")


def unpack(any_message, name):
    if any_message.type_url != TYPE_PREFIX + name:
        raise AssertionError(f"{any_message.type_url} instead of {name}")
    return message(name).FromString(any_message.value)


class Stream:
    """One DeltaAggregatedResources stream. Everything received is acknowledged unless `acknowledges` is off."""

    def __init__(self, channel, namespace="shop", node="node-a", node_id="test"):
        self.requests = queue.Queue()
        self.responses = queue.Queue()
        self.acknowledges = True
        self.node = (namespace, node, node_id)
        self.status = None
        self.call = channel.stream_stream(SERVICE + "DeltaAggregatedResources", request_serializer=DeltaRequest.SerializeToString,
                                          response_deserializer=DeltaResponse.FromString)(iter(self.requests.get, None))
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for response in self.call:
                if self.acknowledges:
                    self.send(kind_of(response), nonce=response.nonce)
                self.responses.put(response)
            self.status = (grpc.StatusCode.OK, self.call.details())
        except grpc.RpcError as error:
            self.status = (error.code(), error.details())
        self.ended.set()

    def send(self, kind, subscribe=(), unsubscribe=(), versions=None, nonce="", refusal=None):
        request = DeltaRequest(type_url=TYPE_PREFIX + TYPES.get(kind, kind), resource_names_subscribe=subscribe,
                               resource_names_unsubscribe=unsubscribe, initial_resource_versions=versions or {}, response_nonce=nonce)
        if refusal is not None:
            request.error_detail.code = 3
            request.error_detail.message = refusal
        if self.node is not None:
            namespace, node, request.node.id = self.node
            request.node.metadata.fields["namespace"].string_value = namespace
            request.node.metadata.fields["node"].string_value = node
            self.node = None
        self.requests.put(request)

    def next(self, kind, timeout=WAIT):
        """The next response, which must be of this kind."""
        try:
            response = self.responses.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no {kind} response within {timeout} s (stream ended: {self.status})") from None
        if kind_of(response) != kind:
            raise AssertionError(f"{kind_of(response)} instead of {kind}: {response}")
        return response

    def expect_nothing(self, during=QUIET):
        try:
            response = self.responses.get(timeout=during)
        except queue.Empty:
            return
        raise AssertionError(f"unexpected: {response}")

    def ask(self, kind, *names):
        """Subscribes to names and returns {name: message} of what one response brought, and the removed names."""
        self.send(kind, subscribe=names)
        response = self.next(kind)
        return {r.name: unpack(r.resource, TYPES[kind]) for r in response.resources}, list(response.removed_resources)

    def follow(self, listener):
        """From a Listener's name to (cluster name, endpoints), as a sidecar asks."""
        found, removed = self.ask("listener", listener)
        if removed:
            raise AssertionError(f"{removed} removed")
        manager = unpack(found[listener].api_listener.api_listener, HCM)
        route = self.ask("route", manager.rds.route_config_name)[0][manager.rds.route_config_name]
        cluster_name = route.virtual_hosts[0].routes[0].route.cluster
        cluster = self.ask("cluster", cluster_name)[0][cluster_name]
        service_name = cluster.eds_cluster_config.service_name or cluster_name
        return cluster_name, addresses(self.ask("endpoints", service_name)[0][service_name])

    def next_addresses(self, name, timeout=WAIT):
        return addresses(resources_of(self.next("endpoints", timeout))[name])

    def end(self):
        self.requests.put(None)
        self.call.cancel()
        self.ended.wait(WAIT)


def kind_of(response):
    full = response.type_url[len(TYPE_PREFIX):]
    return next((kind for kind, name in TYPES.items() if name == full), full)


def resources_of(response):
    return {r.name: unpack(r.resource, TYPES[kind_of(response)]) for r in response.resources}


def addresses(assignment):
    """[(ip, port, is draining)] in order."""
    return sorted((e.endpoint.address.socket_address.address, e.endpoint.address.socket_address.port_value, e.health_status == 3)
                  for locality in assignment.endpoints for e in locality.lb_endpoints)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Api:
    """outrigger-api on loopback. `folder` None: its flags name another source."""

    def __init__(self, folder, *flags):
        self.folder = folder
        self.flags = flags
        self.port = free_port()
        self.admin = free_port()
        self.log = tempfile.NamedTemporaryFile(prefix="outrigger-api-", suffix=".log")
        self.process = None
        self.channels = []

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, must_be_ready=True):
        wrap = shlex.split(os.environ.get("OUTRIGGER_TEST_WRAP", ""))
        self.process = subprocess.Popen(
            [*wrap, BINARY, *(["--manifests", self.folder] if self.folder else []), "--listen", self.address,
             "--admin-address", f"127.0.0.1:{self.admin}", "--log-level", "debug", *self.flags], stderr=self.log)
        if must_be_ready:
            self.wait_ready()

    def wait_ready(self):
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            try:
                if self.get("/ready")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"outrigger-api is not ready:\n{self.log_text()}")

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=WAIT) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, series):
        """The value of one series, 0 if it is not there."""
        for line in self.get("/metrics")[1].splitlines():
            if line.rpartition(" ")[0] == "outrigger_api_" + series:
                return float(line.rpartition(" ")[2])
        return 0.0

    def wait_metric(self, series, value):
        until = time.monotonic() + WAIT
        while self.metric(series) != value:
            if time.monotonic() > until:
                raise AssertionError(f"{series} is {self.metric(series)}, not {value}")
            time.sleep(0.02)

    def channel(self):
        # Each with a connection of its own.
        channel = grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.channels.append(channel)
        return channel

    def stream(self, **node):
        return Stream(self.channel(), **node)

    def log_text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT)

    def stop(self):
        """Returns its exit status; also after it has ended."""
        for channel in self.channels:
            channel.close()
        self.channels = []
        if self.process.poll() is None:
            self.terminate()
        return self.process.returncode
