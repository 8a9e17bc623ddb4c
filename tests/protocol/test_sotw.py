#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The state-of-the-world protocol: its rules on a raw stream, and gRPC's own xDS client (Python) without a sidecar. Loopback only, no
privilege."""
import concurrent.futures
import json
import os
import queue
import subprocess
import sys
import threading
import time
import unittest

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ads  # noqa: E402
import test_ads  # noqa: E402
from manifests import service_yaml, slice_yaml  # noqa: E402
from test_ads import CLUSTER, VIP, checkout, ready  # noqa: E402

Request = ads.message("envoy.service.discovery.v3.DiscoveryRequest")
Response = ads.message("envoy.service.discovery.v3.DiscoveryResponse")


class SotwStream:
    """One StreamAggregatedResources stream; acknowledges what it gets with the names it wants, as gRPC does."""

    def __init__(self, channel, namespace="shop"):
        self.requests = queue.Queue()
        self.responses = queue.Queue()
        self.names = {}
        self.nonce = {}
        self.version = {}
        self.has_node = False
        self.namespace = namespace
        self.acknowledges = True
        self.call = channel.stream_stream(ads.SERVICE + "StreamAggregatedResources", request_serializer=Request.SerializeToString,
                                          response_deserializer=Response.FromString)(iter(self.requests.get, None))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for response in self.call:
                kind = ads.kind_of(response)
                self.nonce[kind], self.version[kind] = response.nonce, response.version_info
                if self.acknowledges:
                    self.send(kind)
                self.responses.put(response)
        except grpc.RpcError as error:
            self.responses.put(error)

    def send(self, kind, refusal=None, nonce=None):
        request = Request(type_url=ads.TYPE_PREFIX + ads.TYPES.get(kind, kind), resource_names=self.names.get(kind, []),
                          response_nonce=self.nonce.get(kind, "") if nonce is None else nonce, version_info=self.version.get(kind, ""))
        if refusal:
            request.error_detail.code = 3
            request.error_detail.message = refusal
        if not self.has_node:
            self.has_node = True
            request.node.id = "sotw"
            request.node.metadata.fields["namespace"].string_value = self.namespace
        self.requests.put(request)

    def want(self, kind, *names):
        self.names[kind] = list(names)
        self.send(kind)

    def next(self, kind, timeout=ads.WAIT):
        """{name: message} of the next response, which must be of this kind."""
        response = self.responses.get(timeout=timeout)
        if isinstance(response, grpc.RpcError):
            raise AssertionError(f"the stream ended: {response}")
        if ads.kind_of(response) != kind:
            raise AssertionError(f"{ads.kind_of(response)} instead of {kind}")
        messages = [ads.unpack(r, ads.TYPES[kind]) for r in response.resources]
        return {m.cluster_name if kind == "endpoints" else m.name: m for m in messages}

    def expect_nothing(self, during=ads.QUIET):
        try:
            response = self.responses.get(timeout=during)
        except queue.Empty:
            return
        raise AssertionError(f"unexpected: {response}")


class Rules(test_ads.Case):
    def setUp(self):
        super().setUp()
        self.manifests.write("other.yaml", service_yaml("other", "shop", ["10.96.0.11"], 80, 8080) + "---\n" +
                             slice_yaml("other", "shop", "IPv4", 8080, [("other-1", "10.244.3.1", "ready")]))
        self.api.wait_metric("services", 2)
        self.stream = SotwStream(self.api.channel())

    def test_a_name_leads_to_endpoints(self):
        self.stream.want("listener", "checkout.shop:50051")
        listener = self.stream.next("listener")["checkout.shop:50051"]
        route_name = ads.unpack(listener.api_listener.api_listener, ads.HCM).rds.route_config_name
        self.stream.want("route", route_name)
        self.assertEqual(self.stream.next("route")[route_name].virtual_hosts[0].routes[0].route.cluster, CLUSTER)
        self.stream.want("cluster", CLUSTER)
        self.assertIn(CLUSTER, self.stream.next("cluster"))
        self.stream.want("endpoints", CLUSTER)
        self.assertEqual(ads.addresses(self.stream.next("endpoints")[CLUSTER]), ready(1, 2))

    def test_all_forms_of_a_name_are_known(self):
        names = ["checkout.shop:50051", "checkout.shop.svc:50051", "checkout.shop.svc.cluster.local:50051", "checkout:50051", VIP]
        self.stream.want("listener", *names)
        self.assertEqual(set(self.stream.next("listener")), set(names))

    def test_what_does_not_exist_is_left_out_at_once(self):
        self.stream.want("listener", "nobody.shop:1")
        self.assertEqual(self.stream.next("listener"), {})
        self.stream.want("listener", "nobody.shop:1", VIP)
        self.assertEqual(set(self.stream.next("listener")), {VIP})

    def test_a_response_names_all_listeners_that_exist(self):
        self.stream.want("listener", VIP)
        self.stream.next("listener")
        self.stream.want("listener", VIP, "other.shop:80")
        self.assertEqual(set(self.stream.next("listener")), {VIP, "other.shop:80"})

    def test_a_service_that_goes_is_left_out_and_may_return(self):
        self.stream.want("listener", VIP, "other.shop:80")
        self.stream.next("listener")
        self.manifests.remove("checkout.yaml")
        self.assertEqual(set(self.stream.next("listener")), {"other.shop:80"})
        self.manifests.write("checkout.yaml", checkout(1))
        self.assertEqual(set(self.stream.next("listener")), {VIP, "other.shop:80"})

    def test_endpoints_come_alone_when_they_change(self):
        other = "shop/other:80"
        self.stream.want("endpoints", CLUSTER, other)
        self.assertEqual(set(self.stream.next("endpoints")), {CLUSTER, other})
        self.manifests.write("checkout.yaml", checkout(1, 2, 3))
        changed = self.stream.next("endpoints")
        self.assertEqual(set(changed), {CLUSTER})
        self.assertEqual(ads.addresses(changed[CLUSTER]), ready(1, 2, 3))

    def test_a_name_that_is_left_out_is_not_told_of_any_more(self):
        other = "shop/other:80"
        self.stream.want("endpoints", CLUSTER, other)
        self.stream.next("endpoints")
        self.stream.want("endpoints", other)
        self.api.wait_metric('subscriptions{type="endpoints"}', 1)
        self.manifests.write("checkout.yaml", checkout(3))
        self.stream.expect_nothing()

    def test_an_empty_list_asks_for_nothing(self):
        self.stream.want("listener")
        self.stream.want("cluster", "*")
        self.stream.expect_nothing()

    def test_an_acknowledgement_brings_nothing_new(self):
        self.stream.want("cluster", CLUSTER)
        self.stream.next("cluster")
        self.stream.expect_nothing()

    def test_a_refused_response_is_counted_and_not_repeated(self):
        self.stream.acknowledges = False
        self.stream.want("cluster", CLUSTER)
        self.stream.next("cluster")
        self.stream.send("cluster", refusal="no such policy")
        self.api.wait_metric('nacks_total{type="cluster"}', 1)
        self.stream.expect_nothing()
        self.assertIn("no such policy", self.api.log_text())

    def test_a_request_with_a_stale_nonce_changes_nothing(self):
        self.stream.want("endpoints", CLUSTER)
        self.stream.next("endpoints")
        self.stream.names["endpoints"] = []
        self.stream.send("endpoints", nonce="999")
        self.manifests.write("checkout.yaml", checkout(4))
        self.assertEqual(ads.addresses(self.stream.next("endpoints")[CLUSTER]), ready(4))

    def test_a_type_that_is_not_served_is_answered_empty_once(self):
        self.stream.want("envoy.extensions.transport_sockets.tls.v3.Secret", "x")
        response = self.stream.responses.get(timeout=ads.WAIT)
        self.assertEqual(len(response.resources), 0)
        self.stream.expect_nothing()


# ---- gRPC's own client ----

class Server(grpc.GenericRpcHandler):
    """Answers any unary call with its own address."""

    def __init__(self, ip, port=0):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[self])
        self.ip = ip
        self.port = self.server.add_insecure_port(f"{ip}:{port}")
        self.server.start()

    def service(self, _details):
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self.ip.encode())

    def stop(self):
        self.server.stop(0).wait()


def servers_yaml(servers):
    """Service echo on :80; its endpoints on loopback addresses."""
    endpoints = [(f"echo-{s.ip.replace('.', '-')}", s.ip, "ready") for s in servers]
    return (service_yaml("echo", "shop", ["10.96.0.20"], 80, servers[0].port if servers else 1) + "---\n" +
            slice_yaml("echo", "shop", "IPv4", servers[0].port if servers else 1, endpoints))


class GrpcClient(test_ads.Case):
    """In a process of its own: the bootstrap is read once."""

    def prepare(self):
        first = Server("127.0.1.1")
        self.servers = [first, Server("127.0.1.2", first.port), Server("127.0.1.3", first.port)]
        self.manifests.write("echo.yaml", servers_yaml(self.servers))

    def tearDown(self):
        for server in self.servers:
            server.stop()
        super().tearDown()

    def bootstrap(self):
        path = os.path.join(self.folder, "bootstrap.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"xds_servers": [{"server_uri": self.api.address, "channel_creds": [{"type": "insecure"}],
                                        "server_features": ["xds_v3"]}],
                       "node": {"id": "test", "cluster": "test", "locality": {"zone": ""}, "metadata": {"namespace": "shop"}}}, f)
        return path

    def client(self, target):
        return XdsClient(self.bootstrap(), target)

    def test_calls_are_spread_over_all_endpoints(self):
        with self.client("xds:///echo.shop:80") as client:
            counts = client.until_all({s.ip for s in self.servers})
            self.assertEqual(set(counts), {"127.0.1.1", "127.0.1.2", "127.0.1.3"})

    def test_every_form_of_the_name_works(self):
        for name in ("echo.shop.svc.cluster.local:80", "echo.shop.svc:80", "echo:80"):
            with self.subTest(name=name), self.client(f"xds:///{name}") as client:
                client.until_all({s.ip for s in self.servers})

    def test_new_endpoints_take_calls_and_old_ones_get_none(self):
        with self.client("xds:///echo.shop:80") as client:
            client.until_all({s.ip for s in self.servers})
            added = Server("127.0.1.4", self.servers[0].port)
            gone = self.servers.pop(0)
            self.servers.append(added)
            self.manifests.write("echo.yaml", servers_yaml(self.servers))
            client.until_all({s.ip for s in self.servers})
            client.until_never(gone.ip)
            gone.stop()
            self.assertEqual(client.failures(), 0)

    def test_a_server_that_restarts_is_used_again(self):
        with self.client("xds:///echo.shop:80") as client:
            client.until_all({s.ip for s in self.servers})
            down = self.servers.pop(0)
            down.stop()
            client.until_never(down.ip)
            self.servers.append(Server(down.ip, down.port))
            client.until_all({s.ip for s in self.servers})

    def test_calls_go_on_while_the_api_is_away(self):
        with self.client("xds:///echo.shop:80") as client:
            client.until_all({s.ip for s in self.servers})
            self.api.stop()
            client.until_all({s.ip for s in self.servers})
            self.api.start()
            self.servers.append(Server("127.0.1.5", self.servers[0].port))
            self.manifests.write("echo.yaml", servers_yaml(self.servers))
            client.until_all({s.ip for s in self.servers})
            self.assertEqual(client.failures(), 0)

    def test_nothing_was_refused(self):
        with self.client("xds:///echo.shop:80") as client:
            client.until_all({s.ip for s in self.servers})
        for kind in ads.TYPES:
            self.assertEqual(self.api.metric(f'nacks_total{{type="{kind}"}}'), 0)


CLIENT = """
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary("/echo.Echo/Who")
for line in sys.stdin:
    try:
        print(call(b"", timeout=20, wait_for_ready=line.startswith("wait")).decode(), flush=True)
    except grpc.RpcError as error:
        print("failed", error.code().name, error.details().replace(chr(10), " "), flush=True)
"""


class XdsClient:
    """Calls one by one: each line written is a call, each line read the server that answered."""

    def __init__(self, bootstrap, target):
        self.process = subprocess.Popen([sys.executable, "-c", CLIENT, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "GRPC_XDS_BOOTSTRAP": bootstrap})
        self.answers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(ads.WAIT)
        self.process.stdout.close()

    def call(self):
        self.process.stdin.write("wait\n" if not self.answers else "now\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        self.answers.append(answer)
        return answer

    def failures(self):
        return sum(a.startswith("failed") for a in self.answers)

    def round(self, count=12):
        return {self.call() for _ in range(count)}

    def until_all(self, wanted):
        """Until one round of calls reaches exactly these servers."""
        until = time.monotonic() + 60
        while True:
            got = self.round()
            if got == wanted:
                return got
            if time.monotonic() > until:
                raise AssertionError(f"{got} instead of {wanted}")

    def until_never(self, ip):
        until = time.monotonic() + 60
        while ip in self.round():
            if time.monotonic() > until:
                raise AssertionError(f"{ip} is still called")


if __name__ == "__main__":
    unittest.main()
