#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""outrigger-api's delta ADS as a foreign client sees it. Loopback only, no privilege."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ads  # noqa: E402
from manifests import Manifests, service_yaml, slice_yaml  # noqa: E402

VIP = "10.96.0.10:50051"
CLUSTER = "shop/checkout:50051"


def checkout(*pods):
    """The Service and its slice; pods: last numbers of their addresses."""
    endpoints = [(f"checkout-{n}", f"10.244.1.{n}", "ready") for n in pods]
    return service_yaml("checkout", "shop", ["10.96.0.10"], 50051, 8080) + "---\n" + slice_yaml("checkout", "shop", "IPv4", 8080, endpoints)


def ready(*pods):
    return [(f"10.244.1.{n}", 8080, False) for n in pods]


class Case(unittest.TestCase):
    FLAGS = ()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="outrigger-ads-")
        self.manifests = Manifests(self.folder)
        self.prepare()
        self.api = ads.Api(self.folder, *self.FLAGS)
        self.api.start()

    def prepare(self):
        self.manifests.write("checkout.yaml", checkout(1, 2))

    def tearDown(self):
        status = self.api.stop()
        shutil.rmtree(self.folder)
        self.assertEqual(status, 0, self.api.log_text())


class Answers(Case):
    def test_an_address_leads_to_endpoints(self):
        cluster, endpoints = self.api.stream().follow(VIP)
        self.assertEqual(cluster, CLUSTER)
        self.assertEqual(endpoints, ready(1, 2))

    def test_a_name_in_dns_leads_to_the_same_endpoints(self):
        for name in ("checkout:50051", "checkout.shop:50051", "checkout.shop.svc.cluster.local:50051"):
            self.assertEqual(self.api.stream().follow(name)[1], ready(1, 2), name)

    def test_an_unknown_address_is_denied_at_once(self):
        stream = self.api.stream()
        started = time.monotonic()
        self.assertEqual(stream.ask("listener", "10.96.99.99:80"), ({}, ["10.96.99.99:80"]))
        self.assertLess(time.monotonic() - started, 2)

    def test_unknown_and_known_names_are_answered_together(self):
        found, removed = self.api.stream().ask("listener", VIP, "10.96.99.99:80")
        self.assertEqual((list(found), removed), ([VIP], ["10.96.99.99:80"]))

    def test_a_denied_name_is_not_denied_again_by_other_changes(self):
        stream = self.api.stream()
        stream.ask("listener", "10.96.99.99:80")
        self.manifests.write("checkout.yaml", checkout(1, 2, 3))
        stream.expect_nothing()

    def test_a_type_that_is_not_served_has_no_resources(self):
        stream = self.api.stream()
        stream.send("envoy.extensions.transport_sockets.tls.v3.Secret", subscribe=["certificate"])
        self.assertEqual(list(stream.next("envoy.extensions.transport_sockets.tls.v3.Secret").removed_resources), ["certificate"])

    def test_the_star_and_an_empty_request_subscribe_to_nothing(self):
        stream = self.api.stream()
        stream.send("listener", subscribe=["*"])
        stream.send("cluster")
        stream.expect_nothing()
        self.assertEqual(stream.follow(VIP)[1], ready(1, 2))

    def test_an_endpoint_names_its_pod(self):
        assignment = self.api.stream().ask("endpoints", CLUSTER)[0][CLUSTER]
        metadata = assignment.endpoints[0].lb_endpoints[0].metadata.filter_metadata["outrigger.dev"].fields
        self.assertEqual((metadata["pod"].string_value, metadata["uid"].string_value), ("checkout-1", "uid-checkout-1"))


class Changes(Case):
    def test_a_change_of_endpoints_is_pushed_alone(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.manifests.write("checkout.yaml", checkout(2, 3))
        self.assertEqual(stream.next_addresses(CLUSTER), ready(2, 3))
        stream.expect_nothing()

    def test_a_terminating_endpoint_is_draining(self):
        stream = self.api.stream()
        stream.follow(VIP)
        endpoints = [("checkout-1", "10.244.1.1", "ready"), ("checkout-2", "10.244.1.2", "terminating")]
        self.manifests.write("checkout.yaml", service_yaml("checkout", "shop", ["10.96.0.10"], 50051, 8080) + "---\n" +
                             slice_yaml("checkout", "shop", "IPv4", 8080, endpoints))
        self.assertEqual(stream.next_addresses(CLUSTER), [("10.244.1.1", 8080, False), ("10.244.1.2", 8080, True)])

    def test_a_service_that_comes_later_is_pushed(self):
        stream = self.api.stream()
        self.assertEqual(stream.ask("listener", "10.96.0.20:80")[1], ["10.96.0.20:80"])
        self.manifests.write("late.yaml", service_yaml("late", "shop", ["10.96.0.20"], 80, 8080))
        self.assertEqual(list(ads.resources_of(stream.next("listener"))), ["10.96.0.20:80"])

    def test_a_service_that_goes_is_removed_and_may_return(self):
        stream = self.api.stream()
        stream.ask("listener", VIP)
        self.manifests.remove("checkout.yaml")
        self.assertEqual(list(stream.next("listener").removed_resources), [VIP])
        self.manifests.write("checkout.yaml", checkout(1))
        self.assertEqual(list(ads.resources_of(stream.next("listener"))), [VIP])

    def test_what_goes_is_removed_route_before_cluster_before_endpoints(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.manifests.remove("checkout.yaml")
        order = [ads.kind_of(stream.responses.get(timeout=ads.WAIT)) for _ in range(4)]
        self.assertEqual(order, ["listener", "route", "cluster", "endpoints"])

    def test_a_burst_of_changes_ends_with_the_last_state(self):
        stream = self.api.stream()
        stream.follow(VIP)
        for n in range(10, 40):
            self.manifests.write("checkout.yaml", checkout(n))
        seen = []
        while ready(39) not in seen:
            seen.append(stream.next_addresses(CLUSTER))
        self.assertLess(len(seen), 20)

    def test_streams_do_not_share_subscriptions(self):
        one, other = self.api.stream(), self.api.stream()
        one.follow(VIP)
        other.ask("listener", "10.96.99.99:80")
        self.manifests.write("checkout.yaml", checkout(5))
        self.assertEqual(one.next_addresses(CLUSTER), ready(5))
        other.expect_nothing()


class Files(Case):
    def test_a_half_written_file_keeps_the_last_good_state(self):
        stream = self.api.stream()
        stream.follow(VIP)
        with open(os.path.join(self.folder, "checkout.yaml"), "w", encoding="utf-8") as f:
            f.write(checkout(7)[:150])
        self.api.wait_metric("source_wrong_files", 1)
        stream.expect_nothing()
        self.assertIn("checkout.yaml", self.api.log_text())
        self.assertEqual(self.api.stream().follow(VIP)[1], ready(1, 2))
        self.manifests.write("checkout.yaml", checkout(7))
        self.assertEqual(stream.next_addresses(CLUSTER), ready(7))


class Subscriptions(Case):
    def test_subscribing_again_sends_again(self):
        stream = self.api.stream()
        stream.ask("endpoints", CLUSTER)
        self.assertEqual(ads.addresses(stream.ask("endpoints", CLUSTER)[0][CLUSTER]), ready(1, 2))

    def test_what_is_unsubscribed_is_not_pushed(self):
        stream = self.api.stream()
        stream.ask("endpoints", CLUSTER)
        stream.send("endpoints", unsubscribe=[CLUSTER])
        self.api.wait_metric('subscriptions{type="endpoints"}', 0)
        self.manifests.write("checkout.yaml", checkout(5))
        stream.expect_nothing()

    def test_an_equal_initial_version_is_not_sent_again(self):
        first = self.api.stream()
        first.send("endpoints", subscribe=[CLUSTER])
        version = first.next("endpoints").resources[0].version
        second = self.api.stream()
        second.send("endpoints", subscribe=[CLUSTER], versions={CLUSTER: version})
        second.expect_nothing()
        self.manifests.write("checkout.yaml", checkout(5))
        self.assertEqual(second.next_addresses(CLUSTER), ready(5))

    def test_another_initial_version_is_sent(self):
        for version in ("0123456789abcdef", "a version that is longer than any of outrigger's own"):
            stream = self.api.stream()
            stream.send("endpoints", subscribe=[CLUSTER], versions={CLUSTER: version})
            self.assertEqual(stream.next_addresses(CLUSTER), ready(1, 2))

    def test_a_held_name_that_has_vanished_is_removed(self):
        stream = self.api.stream()
        stream.send("listener", subscribe=["10.96.0.77:1"], versions={"10.96.0.77:1": "0123456789abcdef"})
        self.assertEqual(list(stream.next("listener").removed_resources), ["10.96.0.77:1"])

    def test_a_refused_response_is_counted_logged_and_not_repeated(self):
        stream = self.api.stream(node_id="picky-pod")
        stream.acknowledges = False
        stream.send("endpoints", subscribe=[CLUSTER])
        nonce = stream.next("endpoints").nonce
        stream.send("endpoints", nonce=nonce, refusal="weights are not to my taste")
        self.api.wait_metric('nacks_total{type="endpoints"}', 1)
        stream.expect_nothing()
        self.assertRegex(self.api.log_text(), "picky-pod.*weights are not to my taste")
        self.manifests.write("checkout.yaml", checkout(5))
        self.assertEqual(stream.next_addresses(CLUSTER), ready(5))

    def test_a_client_that_never_acknowledges_is_told_of_changes(self):
        stream = self.api.stream()
        stream.acknowledges = False
        stream.send("endpoints", subscribe=[CLUSTER])
        stream.next("endpoints")
        self.manifests.write("checkout.yaml", checkout(5))
        self.assertEqual(stream.next_addresses(CLUSTER), ready(5))

    def test_the_namespace_of_the_node_decides_about_short_names(self):
        self.assertEqual(self.api.stream(namespace="elsewhere").ask("listener", "checkout:50051")[1], ["checkout:50051"])


class Clients(Case):
    """The page that says what each client holds."""

    def test_a_client_is_shown_with_what_it_acknowledged(self):
        stream = self.api.stream(node_id="cart-7d4")
        stream.follow(VIP)
        self.api.wait_metric('requests_total{type="endpoints"}', 2)  # the question and its acknowledgement
        page = self.api.get("/clients")[1]
        self.assertTrue(page.startswith("1 streams\n"), page)
        self.assertRegex(page, r"(?m)^cart-7d4  from: 127.0.0.1:\d+  protocol: delta  namespace: shop  node: node-a ")
        self.assertRegex(page, r"endpoints +names: 1  sent: (\d+) [\d.]+ s ago  acknowledged: \1 [\d.]+ s ago")

    def test_one_client_is_shown_with_its_names(self):
        self.api.stream(node_id="cart-7d4").follow(VIP)
        self.api.stream(node_id="other").ask("listener", "nobody.shop:1")
        page = self.api.get("/clients?client=other")[1]
        self.assertRegex(page, r"nobody\.shop:1  does not exist")
        self.assertNotIn("cart-7d4", page)
        self.assertRegex(self.api.get("/clients?client=cart-7d4")[1], rf"(?m)^ +{CLUSTER}  version [0-9a-f]{{16}}$")

    def test_a_refusal_is_shown_in_the_clients_words(self):
        stream = self.api.stream(node_id="picky")
        stream.acknowledges = False
        stream.send("cluster", subscribe=[CLUSTER])
        stream.send("cluster", nonce=stream.next("cluster").nonce, refusal="no such policy")
        self.api.wait_metric('nacks_total{type="cluster"}', 1)
        self.assertRegex(self.api.get("/clients")[1], r"cluster .* acknowledged:  never  refused [\d.]+ s ago: no such policy")

    def test_a_wrong_question_is_refused(self):
        self.assertEqual(self.api.get("/clients?who=me")[0], 400)


class Limits(Case):
    FLAGS = ("--max-subscriptions", "3", "--max-streams", "2")

    def wait_end(self, stream):
        self.assertTrue(stream.ended.wait(ads.WAIT))
        return stream.status[0]

    def test_too_many_subscriptions_end_the_stream(self):
        stream = self.api.stream()
        stream.send("listener", subscribe=["a:1", "b:1", "c:1", "d:1"])
        self.assertEqual(self.wait_end(stream), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_too_many_streams_are_refused(self):
        held = [self.api.stream(), self.api.stream()]
        for stream in held:
            stream.ask("listener", VIP)
        self.assertEqual(self.wait_end(self.api.stream()), grpc.StatusCode.RESOURCE_EXHAUSTED)
        held[0].end()
        self.api.wait_metric("streams", 1)
        self.api.stream().ask("listener", VIP)

    def test_an_endless_name_ends_the_stream(self):
        stream = self.api.stream()
        stream.send("listener", subscribe=["x" * 2000])
        self.assertEqual(self.wait_end(stream), grpc.StatusCode.INVALID_ARGUMENT)

    def test_bytes_that_are_no_request_end_the_stream(self):
        call = self.api.channel().stream_stream(ads.SERVICE + "DeltaAggregatedResources")(iter([b"\xff\xff\xff\xff"]))
        with self.assertRaises(grpc.RpcError) as caught:
            next(call)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_nesting_that_would_overflow_the_stack_ends_the_stream(self):
        value = b""
        for _ in range(5000):
            value = field(6, field(1, value))  # Value.list_value, ListValue.values
        node = field(3, field(1, field(1, b"k") + field(2, value)))  # Node.metadata, Struct.fields
        call = self.api.channel().stream_stream(ads.SERVICE + "DeltaAggregatedResources")(iter([field(1, node)]))
        with self.assertRaises(grpc.RpcError) as caught:
            next(call)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_another_method_is_not_served(self):
        call = self.api.channel().stream_stream(ads.SERVICE + "OtherResources")(iter([b""]))
        with self.assertRaises(grpc.RpcError) as caught:
            next(call)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + varint(len(value)) + value


class Life(Case):
    def test_a_restart_sends_nothing_that_is_still_held(self):
        stream = self.api.stream()
        stream.send("endpoints", subscribe=[CLUSTER])
        version = stream.next("endpoints").resources[0].version
        self.assertEqual(self.api.stop(), 0)
        self.api.start()
        stream = self.api.stream()
        stream.send("endpoints", subscribe=[CLUSTER], versions={CLUSTER: version})
        stream.expect_nothing()

    def test_sigterm_ends_streams_with_unavailable(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.assertEqual(self.api.terminate(), 0)
        self.assertTrue(stream.ended.wait(ads.WAIT))
        self.assertEqual(stream.status[0], grpc.StatusCode.UNAVAILABLE)
        self.assertIn("shutting down", stream.status[1])

    def silent_client(self):
        """A connection that never answers the PING of an orderly GOAWAY."""
        silent = socket.create_connection(("127.0.0.1", self.api.port))
        silent.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        self.api.wait_metric("connections", 1)
        return silent

    def restart_with(self, *flags):
        self.api.stop()
        self.api = ads.Api(self.folder, *flags)
        self.api.start()

    def test_a_client_that_does_not_answer_holds_sigterm_up_for_the_grace_only(self):
        self.restart_with("--shutdown-grace", "300ms")
        with self.silent_client():
            self.assertEqual(self.api.terminate(), 0)
        self.assertIn("are cut", self.api.log_text())

    def test_a_second_sigterm_stops_at_once(self):
        self.restart_with("--shutdown-grace", "300s")
        with self.silent_client():
            self.api.process.send_signal(signal.SIGTERM)
            self.wait_log("ending the streams")
            self.assertEqual(self.api.terminate(), 0)
        self.assertIn("second signal", self.api.log_text())

    def test_not_ready_while_stopping(self):
        self.restart_with("--shutdown-grace", "300s")
        with self.silent_client():
            self.api.process.send_signal(signal.SIGTERM)
            self.wait_log("ending the streams")
            self.assertEqual((self.api.get("/ready")[0], self.api.get("/live")[0]), (503, 200))
            self.api.terminate()

    def wait_log(self, text):
        until = time.monotonic() + ads.WAIT
        while text not in self.api.log_text():
            self.assertLess(time.monotonic(), until, f"{text} is not in the log")
            time.sleep(0.02)

    def test_nothing_is_left_of_clients_that_are_gone(self):
        fds = self.api.metric("open_fds")
        for _ in range(10):
            stream = self.api.stream()
            stream.follow(VIP)
            stream.end()
        for channel in self.api.channels:
            channel.close()
        for series in ("connections", "streams", 'subscriptions{type="listener"}', 'objects{kind="grpc_call"}',
                       'objects{kind="h2_session"}', 'objects{kind="h2_stream"}'):
            self.api.wait_metric(series, 0)
        self.api.wait_metric("open_fds", fds)

    def test_metrics_are_clean(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not here")
        self.api.stream().follow(VIP)
        text = self.api.get("/metrics")[1]
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_a_missing_folder_is_named(self):
        self.api.stop()
        self.api.folder = "/nonexistent/manifests"
        with self.assertRaisesRegex(AssertionError, "/nonexistent/manifests: No such file"):
            self.api.start()
        self.api.process.returncode = 0


class Settings(unittest.TestCase):
    """Refused by name, before any socket opens."""

    def refusal(self, *flags, **env):
        run = subprocess.run([ads.BINARY, *flags], capture_output=True, text=True, timeout=ads.WAIT, check=False,
                             env={**os.environ, **env})
        self.assertEqual(run.returncode, 2, run.stderr)
        return run.stderr

    def test_a_bad_value_is_named_with_its_range(self):
        self.assertRegex(self.refusal("--manifests", "x", OUTRIGGER_MAX_STREAMS="0"), "--max-streams .*accepted: 1 to")

    def test_settings_that_contradict_each_other_are_refused(self):
        self.assertIn("--push-debounce-max", self.refusal("--manifests", "x", "--push-debounce", "5s"))

    def test_help_and_version(self):
        for flag, text in (("--help", "OUTRIGGER_STREAM_MAX_AGE"), ("--version", "outrigger-api ")):
            self.assertIn(text, subprocess.run([ads.BINARY, flag], capture_output=True, text=True, check=True).stdout)


class AgingStreams(Case):
    FLAGS = ("--stream-max-age", "300ms")

    def test_a_stream_ends_in_good_order_at_its_age(self):
        stream = self.api.stream()
        started = time.monotonic()
        stream.ask("listener", VIP)
        self.assertTrue(stream.ended.wait(ads.WAIT))
        self.assertEqual(stream.status[0], grpc.StatusCode.OK)
        self.assertGreater(time.monotonic() - started, 0.2)


class Many(Case):
    CLIENTS = 200
    SERVICES = 5

    def prepare(self):
        for n in range(self.SERVICES):
            self.write(n, 1, 2)

    def write(self, n, *pods):
        endpoints = [(f"s{n}-{pod}", f"10.244.{n}.{pod}", "ready") for pod in pods]
        self.manifests.write(f"s{n}.yaml", service_yaml(f"s{n}", "shop", [f"10.96.1.{n}"], 80, 8080) + "---\n" +
                             slice_yaml(f"s{n}", "shop", "IPv4", 8080, endpoints))

    def test_many_clients_are_all_told(self):
        names = [f"shop/s{n}:80" for n in range(self.SERVICES)]
        streams = [self.api.stream(node_id=f"pod-{n}") for n in range(self.CLIENTS)]
        for stream in streams:
            stream.send("endpoints", subscribe=names)
        for stream in streams:
            self.assertEqual(len(stream.next("endpoints", 30).resources), self.SERVICES)
        self.assertEqual(self.api.metric('subscriptions{type="endpoints"}'), self.CLIENTS * self.SERVICES)
        self.write(3, 1, 2, 9)
        for stream in streams:
            self.assertEqual(stream.next_addresses("shop/s3:80", 30), [(f"10.244.3.{n}", 8080, False) for n in (1, 2, 9)])


if __name__ == "__main__":
    unittest.main()
