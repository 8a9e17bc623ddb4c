# SPDX-License-Identifier: Apache-2.0
"""Deadlines: the caller's grpc-timeout and the proxy's own limits. An endpoint says nothing, or not enough; the client gets status 4."""
import unittest

import tcp  # noqa: F401 (tests/lib becomes importable)
from h2raw import CANCEL, get_fields, grpc_fields, grpc_message
from mesh import wait_until
from raw_service import RawMesh, stay_silent, succeed

HEAD = [(":status", "200"), ("content-type", "application/grpc")]


def ask(client, timeout="300m", end=True):
    return client.request(grpc_fields(extra=[("grpc-timeout", timeout)])).data(grpc_message(b"raw"), end=end)


class Deadlines(RawMesh):
    FLAGS = ("--connect-timeout", "60s")

    def failures(self, service, reason):
        return self.proxy.metric("request_failures_total", service=f"shop/{service.name}:50051", reason=reason)

    def test_a_silent_endpoint_is_given_up_at_the_callers_deadline(self):
        service = self.service(2, then=stay_silent)
        client = self.client(service)
        self.assert_status(ask(client), 4, "deadline", "endpoint 10.244.", "request was sent")
        self.assertEqual(len(service.requests), 1, "not repeated")
        self.assertEqual(service.requests[0].wait_reset(), CANCEL)
        self.assertEqual(self.failures(service, "deadline"), 1)
        self.assert_connection_lives(client)
        wait_until(lambda: self.proxy.objects()["exchange"] == 0, "nothing is left")

    def test_a_request_that_waits_for_a_connection_has_its_deadline_too(self):
        service = self.service(1)
        ip = service.rows[0][1]
        service.servers[ip].close()
        mute = self.server_pod.listen(ip, service.port)  # the kernel accepts, nobody says a word of HTTP/2
        self.addCleanup(mute.close)
        client = self.client(service)
        self.assert_status(ask(client), 4, "deadline", "request was not sent")
        self.assert_connection_lives(client)

    def test_a_response_under_way_ends_with_the_status_in_its_trailers(self):
        service = self.service(1, [lambda stream: stream.headers(HEAD).data(grpc_message(b"half"))])
        asked = ask(self.client(service)).wait_end()
        self.assertEqual(asked.body_bytes, grpc_message(b"half"))
        self.assertEqual(dict(asked.trailers)[b"grpc-status"], b"4")
        self.assertEqual(service.requests[0].wait_reset(), CANCEL)

    def test_a_stream_the_client_keeps_open_ends_at_its_deadline(self):
        service = self.service(1, then=stay_silent)
        client = self.client(service)
        asked = ask(client, end=False)
        self.assert_status(asked, 4)
        self.assertEqual(service.requests[0].wait_reset(), CANCEL)

    def test_a_deadline_of_zero_has_passed(self):
        service = self.service(1, then=stay_silent)
        self.assert_status(ask(self.client(service), "0S"), 4)

    def test_a_deadline_far_away_changes_nothing(self):
        service = self.service(2)
        client = self.client(service)
        for timeout in ("99999999H", "20S", "5000000u", "x", "123456789S"):
            self.assert_fine(ask(client, timeout))
        self.assertEqual(service.requests[0].value("grpc-timeout"), b"99999999H", "and reaches the endpoint")

    def test_many_requests_wait_for_many_deadlines(self):
        service = self.service(2, then=stay_silent)
        client = self.client(service)
        for asked in [ask(client, f"{300 + i}m") for i in range(200)]:
            self.assert_status(asked, 4)
        self.assertEqual(self.failures(service, "deadline"), 200)

    def test_endpoints_that_let_deadlines_pass_are_left_for_those_that_do_not(self):
        service = self.service(2)
        slow = next(iter(service.servers))
        service.then = lambda stream: None if stream.connection in service.servers[slow].connections else succeed(stream)
        client = self.client(service)
        for _ in range(30):
            ask(client, "100m").connection.wait(lambda: all(s.is_over for s in client.streams.values()), "an answer")
        before = len(service.requests)
        for _ in range(20):
            self.assert_fine(ask(client, "20S"))
        self.assertEqual(len(service.requests), before + 20)


class Limits(RawMesh):
    FLAGS = ("--request-timeout", "2s", "--response-timeout", "300ms", "--stream-idle-timeout", "700ms")

    def test_no_response_headers_in_time(self):
        service = self.service(1, then=stay_silent)
        client = self.client(service)
        self.assert_status(client.unary(), 4, "no response within")
        self.assertEqual(service.requests[0].wait_reset(), CANCEL)
        plain = client.request(get_fields(), end=True).wait_end()
        self.assertEqual(plain.status, 504)

    def test_a_stream_without_a_byte_is_ended(self):
        service = self.service(1, [lambda stream: stream.headers(HEAD)])
        asked = self.client(service).unary().wait_end()
        self.assertIn(b"idle", dict(asked.trailers)[b"grpc-message"])

    def test_bytes_in_either_direction_keep_a_stream_but_not_for_ever(self):
        service = self.service(1, [lambda stream: stream.headers(HEAD)])
        client = self.client(service)
        asked = client.request(grpc_fields())
        asked.wait_headers()
        sent = 0
        while not asked.is_over:
            asked.data(b"0123456789")
            sent += 10
            self.assert_reaches(service, sent, asked)
        asked.wait_end()
        self.assertIn(b"longer than", dict(asked.trailers)[b"grpc-message"])

    def assert_reaches(self, service, size, asked):
        stream = service.requests[0]
        stream.connection.wait(lambda: stream.body_len >= size or stream.is_over, "the bytes")
        with asked.connection.changed:
            asked.connection.changed.wait_for(lambda: asked.is_over, 0.05)


if __name__ == "__main__":
    unittest.main()
