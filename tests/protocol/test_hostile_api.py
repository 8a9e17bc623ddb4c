#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""outrigger-proxy and a control plane that is broken or means harm: refused, the last good answer stays, requests go on, memory is bounded.

The api is played by hand (tests/lib/h2raw.py), its messages are made with api/proto (ads.py). Each test starts with a client whose
requests reach one endpoint because the api said so, does its harm, and ends with a request on the same connection.
"""
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "lib")]
import ads  # noqa: E402
from h2raw import (CONTINUATION, DATA, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, PING, Client, Server, encode, frame,  # noqa: E402
                   grpc_fields, grpc_message, header_frames)
from mesh import API_PORT, PORT, VIP, WRAP, Mesh, Proxy, inject, wait_until  # noqa: E402

ADDRESS = f"{VIP}:{PORT}"
CLUSTER = "shop/echo:50051"
OK = [(":status", "200"), ("content-type", "application/grpc")]
STATUS = [("grpc-status", "0")]
MEMORY_MAX = 64 * 1024 * 1024  # of the program as it is built for use; what is not read may take 16 MiB, one message's unpacking as much
GENTLE_FLOOD, FLOOD = 2000, 200_000

world = None


def setUpModule():
    global world
    world = Mesh()
    world.api_pod, world.server_pod, world.user = (world.node.add_pod(name) for name in ("api", "server", "user"))
    inject(world.user)


def tearDownModule():
    try:
        world.check_end()
    finally:
        world.close()


def any_of(message):
    return {"type_url": ads.TYPE_PREFIX + message.DESCRIPTOR.full_name, "value": message.SerializeToString()}


def listener(cluster=CLUSTER):
    manager = ads.message(ads.HCM)()
    host = manager.route_config.virtual_hosts.add(domains=["*"])
    host.routes.add(match={"prefix": ""}, route={"cluster": cluster})
    return ads.message(ads.TYPES["listener"])(api_listener={"api_listener": any_of(manager)})


def cluster(name=CLUSTER):
    return ads.message(ads.TYPES["cluster"])(name=name, type=3)  # EDS


def endpoints(*where, locality=1, weight=None):
    """where: (ip, port)."""
    assignment = ads.message(ads.TYPES["endpoints"])(cluster_name=CLUSTER)
    group = assignment.endpoints.add()
    group.load_balancing_weight.value = locality
    for ip, port in where:
        one = group.lb_endpoints.add(endpoint={"address": {"socket_address": {"address": ip, "port_value": port}}})
        if weight is not None:
            one.load_balancing_weight.value = weight
    return assignment


class HandMadeApi:
    """One ADS stream at a time, frame by frame."""

    def __init__(self, pod):
        self.server = Server(pod.listen(pod.ip, API_PORT))
        self.nonce = 0

    def open(self, **options):
        """The proxy's next connection, and the stream on it."""
        self.connection = self.server.accept(**options)
        self.call = self.connection.next_request().headers(OK)
        self.taken = 0
        return self

    def requests(self):
        """Those that came since the last look."""
        data, found = self.call.body_bytes[self.taken:], []
        while len(data) >= 5 and len(data) - 5 >= (size := int.from_bytes(data[1:5], "big")):
            found.append(ads.DeltaRequest.FromString(data[5:5 + size]))
            data, self.taken = data[5 + size:], self.taken + 5 + size
        return found

    def wait_request(self, fits, what):
        found = []

        def look():
            found.extend(r for r in self.requests() if fits(r))
            return found or self.connection.closed

        self.connection.wait(look, what)
        assert found, f"{what}: the connection ended first"
        return found[0]

    def wait_asked(self, kind, name):
        return self.wait_request(lambda r: r.type_url.endswith(ads.TYPES[kind]) and name in r.resource_names_subscribe, f"{kind} {name}")

    def wait_refusal(self):
        """The reason of the refusal of what was sent last."""
        nonce = str(self.nonce)
        return self.wait_request(lambda r: r.response_nonce == nonce, "an answer").error_detail.message

    def response(self, kind, name, message, version="1", said=None, nonce_size=0):
        self.nonce += 1
        resource = {"name": name, "version": version, "resource": any_of(message)}
        return ads.DeltaResponse(type_url=ads.TYPE_PREFIX + ads.TYPES[said or kind], nonce=str(self.nonce).rjust(nonce_size, "0"),
                                 resources=[resource]).SerializeToString()

    def send(self, *response, **options):
        self.call.body(grpc_message(self.response(*response, **options)), end=False)

    def lead(self, where):
        self.wait_asked("listener", ADDRESS)
        self.send("listener", ADDRESS, listener())
        self.wait_asked("cluster", CLUSTER)
        self.send("cluster", CLUSTER, cluster())
        self.wait_asked("endpoints", CLUSTER)
        self.send("endpoints", CLUSTER, endpoints(where))


class Case(unittest.TestCase):
    def setUp(self):
        self.api = HandMadeApi(world.api_pod)
        self.addCleanup(self.api.server.close)
        self.endpoint = Server(world.server_pod.listen(world.server_pod.ip, PORT))
        self.addCleanup(self.endpoint.close)
        self.proxy = Proxy(world.user, world.api_pod, "--discovery-timeout", "60s")
        self.addCleanup(self.proxy.stop)
        wait_until(lambda: self.proxy.get("/live")[0] == 200, "the proxy")
        self.client = Client(world.user.connect(VIP, PORT))
        self.addCleanup(self.client.close)
        asked = self.client.request(grpc_fields("/first"), end=True)
        self.api.open().lead(self.endpoint.address)
        self.served = self.endpoint.accept()
        self.finish(asked)

    def finish(self, asked):
        seen = self.served.next_request()
        seen.headers(OK).headers(STATUS, end=True)
        self.assertEqual(asked.wait_end().trailers, [(b"grpc-status", b"0")])

    def check_served(self):
        """By the endpoint that the api named when it was still good."""
        self.finish(self.client.request(grpc_fields("/again"), end=True))
        self.proxy.check_alive()
        self.assertEqual(self.proxy.get("/live")[0], 200)
        self.check_memory()

    def check_memory(self):
        if WRAP or os.environ.get("OUTRIGGER_TEST_BIN", "build") != "build":
            return  # valgrind's or a sanitizer's memory is not the program's
        with open(f"/proc/{self.proxy.process.pid}/status", encoding="ascii") as f:
            peak = next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))
        self.assertLess(peak, MEMORY_MAX)

    def check_comes_back(self, error, **options):
        """On a new stream, which names what is held."""
        self.api.open(**options)
        request = self.api.wait_asked("listener", ADDRESS)
        self.assertEqual(dict(request.initial_resource_versions), {ADDRESS: "1"})
        self.assertIn(error, self.proxy.log())
        self.check_served()


class Frames(Case):
    def test_bytes_that_are_no_frames(self):
        self.api.connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 10)
        self.check_comes_back("trying again")

    def test_a_frame_larger_than_allowed(self):
        self.api.connection.send(frame(DATA, 0, self.api.call.id, bytes(100_000)))
        self.check_comes_back("trying again")

    def test_a_message_that_says_it_has_four_gigabytes(self):
        self.api.call.data(b"\0\xff\xff\xff\xff")
        self.check_comes_back("message is larger than the limit")

    def test_a_message_that_stops_half_way_holds_nobody_up(self):
        self.api.call.data(b"\0\0\0\xff\xff" + bytes(1000))
        self.check_served()
        self.api.connection.close()
        self.check_comes_back("trying again")

    def test_endless_trailers(self):
        block = encode([("grpc-status", "0"), *((f"x-{i}", "y" * 3000) for i in range(300))])
        self.api.connection.send(header_frames(self.api.call.id, block, end=True))
        self.check_comes_back("trying again")

    def test_headers_that_never_end(self):
        self.api.connection.send(frame(HEADERS, 0, self.api.call.id, encode([("grpc-status", "0")])))
        for i in range(1000):
            self.api.connection.send(frame(CONTINUATION, 0, self.api.call.id, encode([(f"x-{i}", "y" * 3000)])))
        self.check_comes_back("trying again")

    def test_pings_whose_answers_are_not_read(self):
        self.api.connection.hold()
        while self.proxy.metric("discovery_connected") == 1:
            self.api.connection.send(frame(PING, 0, 0, b"flooding") * 10_000)
        self.api.connection.go_on()
        self.api.connection.close()
        self.check_comes_back("trying again")

    def test_goaway_with_an_error(self):
        self.api.connection.send_goaway(0, ENHANCE_YOUR_CALM, b"x" * 10_000)
        self.api.connection.close()
        self.check_comes_back("trying again")


class Messages(Case):
    def test_garbage(self):
        self.api.call.body(grpc_message(b"\xff" * 1000), end=False)
        self.check_comes_back("no DeltaDiscoveryResponse")

    def test_half_of_a_good_message(self):
        whole = self.api.response("endpoints", CLUSTER, endpoints(self.endpoint.address))
        self.api.call.body(grpc_message(whole[:len(whole) // 2]), end=False)
        self.check_comes_back("no DeltaDiscoveryResponse")

    def test_absurd_endpoints_are_refused(self):
        good = (world.server_pod.ip, PORT)
        for assignment, reason in (
                (endpoints(good, good), "comes twice"),
                (endpoints((good[0], 0)), "no valid port"),
                (endpoints((good[0], 65536)), "no valid port"),
                (endpoints((good[0], 2**32 - 1)), "no valid port"),
                (endpoints(("example.com", 80)), "is no IP address"),
                (endpoints(("", 80)), "is no IP address"),
                (endpoints(("1" * 100_000, 80)), "is no IP address"),
                (endpoints(good, weight=0), "has weight 0"),
                (listener(), "malformed")):
            with self.subTest(reason=reason):
                self.api.send("endpoints", CLUSTER, assignment if reason != "malformed" else cluster(), "2", said="endpoints")
                self.assertRegex(self.api.wait_refusal(), reason if reason != "malformed" else "another type")
        self.check_served()
        self.assertEqual(self.proxy.metric("discovery_nacks_total"), 9)

    def test_absurd_weights_are_taken_for_what_they_are(self):
        self.api.send("endpoints", CLUSTER, endpoints(self.endpoint.address, locality=2**32 - 1, weight=2**32 - 1), "2")
        self.assertEqual(self.api.wait_refusal(), "")
        self.check_served()

    def test_endless_names_are_refused(self):
        endless = cluster()
        endless.eds_cluster_config.service_name = "x" * 3_000_000
        for kind, name, message in (("cluster", CLUSTER, endless), ("listener", ADDRESS, listener("x" * 3_000_000))):
            self.api.send(kind, name, message, "2")
            self.assertIn("of more than", self.api.wait_refusal())
        self.check_served()

    def test_an_endless_version_is_refused(self):
        self.api.send("endpoints", CLUSTER, endpoints(self.endpoint.address), "v" * 3_000_000)
        self.assertIn("version is too long", self.api.wait_refusal())
        self.check_served()

    def test_thousands_of_endpoints_too_many_are_refused(self):
        where = [(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 80) for i in range(50_001)]
        self.api.send("endpoints", CLUSTER, endpoints(*where), "2")
        self.assertIn("more than 50000 endpoints", self.api.wait_refusal())
        self.check_served()

    def test_resources_nobody_asked_for_are_not_kept(self):
        for i in range(GENTLE_FLOOD):
            self.api.send("endpoints", f"unasked-{i}", endpoints(self.endpoint.address))
        self.assertEqual(self.api.wait_refusal(), "")
        self.assertEqual(self.proxy.metric("discovery_subscriptions"), 1)
        self.check_served()


class Floods(Case):
    def test_changes_without_end_leave_the_last_one(self):
        elsewhere = ("10.244.250.1", PORT)
        for i in range(GENTLE_FLOOD):
            self.api.send("endpoints", CLUSTER, endpoints(elsewhere, self.endpoint.address), str(i))
            if i % 500 == 0:
                self.assertEqual(self.proxy.get("/live")[0], 200)
        self.api.send("endpoints", CLUSTER, endpoints(self.endpoint.address), "last")
        self.assertEqual(self.api.wait_refusal(), "")
        self.check_served()

    def test_an_api_that_does_not_read_is_left(self):
        """Each response must be answered; the answers would pile up."""
        self.api.connection.hold()
        data = grpc_message(self.api.response("cluster", "unasked", cluster(), nonce_size=8000))
        for _ in range(FLOOD):
            if self.proxy.metric("discovery_connected") == 0:
                break
            for _ in range(50):
                self.api.connection.send(frame(DATA, 0, self.api.call.id, data))
        self.assertIn("does not read what it is answered", self.proxy.log())
        self.api.connection.go_on()
        self.api.connection.close()
        self.check_comes_back("trying again")


class Streams(Case):
    def test_an_api_that_ends_every_stream_is_asked_with_back_off(self):
        self.api.connection.close()
        count, until = 0, time.monotonic() + 3
        self.api.server.listener.settimeout(3)
        while time.monotonic() < until:
            try:
                self.api.open()
            except (OSError, AssertionError):
                break
            self.api.call.headers([("grpc-status", "14")], end=True)
            count += 1
        self.assertLessEqual(count, 7)  # 100, 200, 400, 800 ms and so on, each less 30 % at most
        self.check_served()

    def test_an_api_that_is_silent_is_left_for_a_new_connection(self):
        self.api.connection.has_ack = False
        self.check_comes_back("trying again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
