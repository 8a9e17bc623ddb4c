#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API as the api's source: the tests of manifests once more, and what only a server can do. Loopback only, no privilege."""
import os
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ads  # noqa: E402
import test_ads  # noqa: E402
from manifests import service_yaml, slice_yaml  # noqa: E402
from test_ads import CLUSTER, VIP, checkout, ready  # noqa: E402

try:
    from kubeapi import KubeApi, status_object
except ImportError as missing:
    raise unittest.SkipTest(f"python3-h2 or python3-yaml is not here: {missing}") from None


class FromKubernetes:
    """In place of the folder: a server, which tests write to in the same way."""
    PAGE_LIMIT = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="outrigger-kube-")
        self.manifests = KubeApi(self.PAGE_LIMIT).start()
        self.prepare()
        self.kubeconfig = self.manifests.kubeconfig(os.path.join(self.folder, "kubeconfig"))
        self.api = ads.Api(None, "--kubeconfig", self.kubeconfig, *self.FLAGS)
        self.api.start()

    def tearDown(self):
        status = self.api.stop()
        self.manifests.close()
        shutil.rmtree(self.folder)
        self.assertEqual(status, 0, self.api.log_text())

    def wait_log(self, text):
        until = time.monotonic() + 60
        while text not in self.api.log_text():
            self.assertLess(time.monotonic(), until, f"not in the log: {text}\n{self.api.log_text()}")
            time.sleep(0.02)


class Answers(FromKubernetes, test_ads.Answers):
    pass


class Changes(FromKubernetes, test_ads.Changes):
    pass


class Subscriptions(FromKubernetes, test_ads.Subscriptions):
    pass


class Source(FromKubernetes, test_ads.Case):
    def watching(self):
        for kind in ("services", "endpointslices"):
            self.api.wait_metric(f'source_watching{{kind="{kind}"}}', 1)

    def test_a_server_that_comes_back_is_followed_on_without_a_new_list(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.watching()
        self.manifests.stop()
        stream.expect_nothing()
        self.manifests.call(self.manifests.replace, "checkout.yaml", list(test_ads_objects(5)))  # while nobody can see it
        self.manifests.start()
        self.assertEqual(stream.next_addresses(CLUSTER, 60), ready(5))
        self.assertEqual(self.api.metric('source_lists{kind="endpointslices"}'), 1)

    def test_what_was_deleted_beyond_the_history_is_deleted_by_the_next_list(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.watching()
        self.manifests.stop()
        self.manifests.remove("checkout.yaml")
        self.manifests.call(self.manifests.compact)
        self.manifests.start()
        removed = []
        while VIP not in removed:  # its endpoints may go in a change of their own, before
            removed += stream.responses.get(timeout=60).removed_resources
        self.api.wait_metric('source_lists{kind="services"}', 2)
        self.assertEqual(self.api.metric("services"), 0)

    def test_a_new_list_of_the_same_objects_sends_nothing(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.watching()
        self.manifests.stop()
        self.manifests.call(self.manifests.compact)
        self.manifests.start()
        self.api.wait_metric('source_lists{kind="services"}', 2)
        self.api.wait_metric('source_lists{kind="endpointslices"}', 2)
        stream.expect_nothing()

    def test_a_watch_that_ends_in_good_order_goes_on_from_where_it_was(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.watching()
        self.manifests.end_watches()
        self.manifests.write("checkout.yaml", checkout(5))
        self.assertEqual(stream.next_addresses(CLUSTER, 60), ready(5))
        self.assertEqual(self.api.metric('source_lists{kind="endpointslices"}'), 1)

    def test_a_bookmark_moves_the_place_to_go_on_from(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.watching()
        self.manifests.write("other.yaml", service_yaml("other", "shop", ["10.96.0.77"], 80, 8080))
        self.manifests.bookmark()
        self.api.wait_metric("services", 2)
        newest = self.manifests.version
        self.manifests.end_watches()
        watches = wait_for(lambda: [p for _, p in self.manifests.requests if "watch=1" in p and f"resourceVersion={newest}" in p])
        self.assertGreaterEqual(len(watches), 1)

    def test_a_goaway_of_the_server_loses_nothing(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.watching()
        self.manifests.goaway()
        self.manifests.write("checkout.yaml", checkout(6))
        self.assertEqual(stream.next_addresses(CLUSTER, 60), ready(6))

    def test_an_event_that_is_not_json_leads_to_a_new_list(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.watching()
        time.sleep(1.1)  # a watch that lived
        self.manifests.raw_event("EndpointSlice", b'{"type": "MODIFIED", "object": {"meta\n')
        self.api.wait_metric('source_lists{kind="endpointslices"}', 2)
        self.manifests.write("checkout.yaml", checkout(7))
        self.assertEqual(stream.next_addresses(CLUSTER, 60), ready(7))

    def test_an_object_that_cannot_be_read_is_named_and_skipped(self):
        stream = self.api.stream()
        stream.follow(VIP)
        wrong = service_yaml("wrong", "shop", ["10.96.0.78"], 99999, 8080)
        self.manifests.write("wrong.yaml", wrong)
        self.manifests.write("checkout.yaml", checkout(8))
        self.assertEqual(stream.next_addresses(CLUSTER), ready(8))
        self.wait_log("shop/wrong is skipped")
        self.assertEqual(self.api.metric("source_skipped"), 1)

    def test_a_slice_that_loses_its_service_label_counts_no_more(self):
        stream = self.api.stream()
        stream.follow(VIP)
        self.manifests.write("checkout.yaml", checkout(1, 2).replace("kubernetes.io/service-name", "example.com/other"))
        self.assertEqual(stream.next_addresses(CLUSTER), [])

    def test_too_many_requests_is_obeyed(self):
        self.watching()
        self.manifests.fail_next("services", 429, [("retry-after", "1")])
        before = len(self.manifests.requests)
        self.manifests.end_watches()
        wait_for(lambda: len([p for _, p in self.manifests.requests[before:] if "services" in p]) >= 2)
        self.watching()

    def test_the_connection_is_shared_by_all_watches(self):
        self.watching()
        self.assertEqual(self.manifests.accepted, 1)
        self.assertEqual(self.manifests.watch_count(), 2)

    def test_nothing_but_reading_is_done(self):
        self.watching()
        self.assertEqual({method for method, _ in self.manifests.requests}, {"GET"})


class Pages(FromKubernetes, test_ads.Case):
    PAGE_LIMIT = 2

    def prepare(self):
        for n in range(1, 12):
            self.manifests.write(f"s{n}.yaml", service_yaml(f"s{n}", "shop", [f"10.96.1.{n}"], 80, 8080) + "---\n" +
                                 slice_yaml(f"s{n}", "shop", "IPv4", 8080, [(f"s{n}-1", f"10.244.2.{n}", "ready")]))

    def test_a_list_in_pages_is_whole(self):
        self.assertEqual(self.api.metric("services"), 11)
        self.assertEqual(self.api.stream().follow("10.96.1.11:80"), ("shop/s11:80", [("10.244.2.11", 8080, False)]))
        self.assertEqual(self.api.metric('source_lists{kind="services"}'), 1)

    def test_a_page_that_expired_starts_the_list_again(self):
        self.manifests.stop()
        self.manifests.call(self.manifests.compact)
        self.manifests.fail_next("continue=", 410, body=status_object(410, "Expired", "the continue token has expired"))
        self.manifests.start()
        self.api.wait_metric('source_lists{kind="services"}', 2)
        self.api.wait_metric('source_lists{kind="endpointslices"}', 2)
        self.assertEqual(self.api.metric("services"), 11)


class Start(unittest.TestCase):
    """What comes before the first answer."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="outrigger-kube-")
        self.server = KubeApi().start()
        self.server.write("checkout.yaml", checkout(1, 2))
        self.api = None

    def tearDown(self):
        if self.api is not None and self.api.process is not None:
            self.assertEqual(self.api.stop(), 0, self.api.log_text())
        self.server.close()
        shutil.rmtree(self.folder)

    def start_api(self, must_be_ready=True, **kubeconfig):
        self.api = ads.Api(None, "--kubeconfig", self.server.kubeconfig(os.path.join(self.folder, "kubeconfig"), **kubeconfig))
        self.api.start(must_be_ready)

    wait_log = FromKubernetes.wait_log

    def test_nothing_is_answered_before_everything_is_known(self):
        self.server.fail_next("endpointslices", 503, times=1)
        self.start_api(must_be_ready=False)
        wait_for(lambda: answers(self.api, "/ready", 503))
        stream = self.api.stream()
        self.assertEqual(stream.follow(VIP), (CLUSTER, ready(1, 2)))
        self.assertEqual(self.api.get("/ready")[0], 200)

    def test_a_server_that_is_not_there_yet_is_waited_for(self):
        self.server.stop()
        self.start_api(must_be_ready=False)
        self.wait_log("next attempt in")
        self.server.start()
        self.api.wait_ready()
        self.assertEqual(self.api.stream().follow(VIP), (CLUSTER, ready(1, 2)))

    def test_a_server_of_another_authority_is_not_believed(self):
        self.start_api(must_be_ready=False, ca="other-ca.pem")
        self.wait_log("not correctly signed")
        self.assertEqual(self.server.requests, [])

    def test_a_server_of_another_name_is_not_believed(self):
        self.start_api(must_be_ready=False, server_name="other.example")
        self.wait_log("TLS: ")
        self.assertEqual(self.server.requests, [])

    def test_a_wrong_token_is_said_and_tried_again(self):
        self.server.tokens = {"secret-2"}
        self.start_api(must_be_ready=False)
        self.wait_log("HTTP 401 Unauthorized")
        self.server.tokens = {"secret-1"}
        self.api.wait_ready()

    def test_a_rotated_token_is_read_again_when_the_old_one_is_refused(self):
        path = os.path.join(self.folder, "token")
        with open(path, "w", encoding="utf-8") as f:
            f.write("secret-1\n")
        self.start_api(user=f"tokenFile: {path}")
        with open(path, "w", encoding="utf-8") as f:
            f.write("secret-2\n")
        self.server.tokens = {"secret-2"}
        self.server.cut()
        stream = self.api.stream()
        self.server.write("checkout.yaml", checkout(9))
        stream.follow(VIP)
        for kind in ("services", "endpointslices"):
            self.api.wait_metric(f'source_watching{{kind="{kind}"}}', 1)
        self.assertNotIn("secret-", self.api.log_text())

    def test_ways_of_signing_in_that_are_not_known_are_named(self):
        path = self.server.kubeconfig(os.path.join(self.folder, "kubeconfig"), user="exec: {command: aws}")
        self.assertRegex(refusal("--kubeconfig", path), "signing in by exec is not supported")

    def test_an_unverified_server_is_refused(self):
        path = self.server.kubeconfig(os.path.join(self.folder, "kubeconfig"))
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("certificate-authority:", "insecure-skip-tls-verify: true, certificate-authority:"))
        self.assertRegex(refusal("--kubeconfig", path), "insecure-skip-tls-verify is not supported")

    def test_two_sources_are_refused(self):
        self.assertRegex(refusal("--kubeconfig", "x", "--manifests", "y"), "exclude each other")

    def test_outside_a_cluster_without_a_source_it_says_what_to_set(self):
        self.assertRegex(refusal(), "not in a pod.*set --kubeconfig or --manifests")


def refusal(*flags):
    api = ads.Api(None, *flags)
    api.start(must_be_ready=False)
    api.process.wait(30)
    if api.process.returncode == 0:
        raise AssertionError("was not refused")
    return api.log_text()


def answers(api, path, status):
    try:
        return api.get(path)[0] == status
    except OSError:
        return False


def test_ads_objects(*pods):
    import yaml
    return [o for o in yaml.safe_load_all(checkout(*pods)) if o]


def wait_for(fact):
    until = time.monotonic() + 60
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("still not so after 60 s")
        time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
