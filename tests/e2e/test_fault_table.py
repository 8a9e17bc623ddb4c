# SPDX-License-Identifier: Apache-2.0
"""What a client gets for each way in which an endpoint can fail one request: the right answer, and a repetition where it is safe."""
import socket
import unittest

import tcp  # noqa: F401 (tests/lib becomes importable)
from h2raw import CANCEL, INTERNAL_ERROR, MAX_CONCURRENT_STREAMS, NO_ERROR, REFUSED_STREAM, get_fields, grpc_message
from mesh import wait_until
from raw_service import RawMesh, succeed

HEAD = [(":status", "200"), ("content-type", "application/grpc")]


def reset_with(code):
    return lambda stream: stream.reset(code)


def answer_then(rest):
    """Headers and a message go out, then `rest`."""
    def behaviour(stream):
        stream.headers(HEAD).data(grpc_message(b"half"))
        rest(stream)
    return behaviour


def close(stream):
    stream.wait_end()  # all of the request has come: nobody can know what it did
    stream.connection.close()


def close_with_rst(stream):
    stream.wait_end()
    stream.connection.abort()


def go_away_before(stream):
    """GOAWAY that leaves this request out, then the end, as a server does that stops."""
    stream.connection.send_goaway(stream.id - 2 if stream.id > 1 else 0)


class FaultTable(RawMesh):
    def test_refused_stream_is_repeated_on_another_endpoint(self):
        service = self.service(2, [reset_with(REFUSED_STREAM)])
        client = self.client(service)
        self.assert_fine(client.unary())
        first, second = service.requests
        self.assertIsNot(first.connection, second.connection)
        self.assertEqual(second.wait_end().body_bytes, grpc_message(b"raw"), "the whole request again")

    def test_refused_stream_without_another_endpoint_stays_repeatable_for_the_client(self):
        service = self.service(1, [reset_with(REFUSED_STREAM)])
        client = self.client(service)
        self.assertEqual(client.unary().wait_reset(), REFUSED_STREAM)
        self.assertEqual(len(service.requests), 1)
        self.assert_connection_lives(client)
        self.assert_fine(client.unary())

    def test_refused_stream_everywhere_is_tried_a_bounded_number_of_times(self):
        service = self.service(4, [reset_with(REFUSED_STREAM)] * 20)
        client = self.client(service)
        self.assertEqual(client.unary().wait_reset(), REFUSED_STREAM)
        self.assertEqual(len(service.requests), 3, "--retry-limit")
        self.assertEqual(len({r.connection for r in service.requests}), 3)

    def test_a_reset_before_headers_keeps_its_code_and_is_not_repeated(self):
        service = self.service(2, [reset_with(INTERNAL_ERROR)])
        client = self.client(service)
        self.assertEqual(client.unary().wait_reset(), INTERNAL_ERROR)
        self.assertEqual(len(service.requests), 1)
        self.assert_connection_lives(client)

    def test_a_reset_after_data_keeps_its_code_and_is_no_success(self):
        service = self.service(2, [answer_then(reset_with(CANCEL))])
        client = self.client(service)
        asked = client.unary()
        self.assertEqual(asked.wait_reset(), CANCEL)
        self.assertFalse(asked.is_ended)
        self.assertEqual(len(service.requests), 1)

    def test_refused_stream_after_headers_is_not_repeated(self):
        """By then the endpoint has acted on it, whatever it says."""
        service = self.service(2, [answer_then(reset_with(REFUSED_STREAM))])
        client = self.client(service)
        asked = client.unary()
        asked.wait_end()
        self.assertEqual(dict(asked.trailers)[b"grpc-status"], b"14", "what gRPC makes of REFUSED_STREAM")
        self.assertEqual(len(service.requests), 1)

    def test_a_goaway_that_leaves_the_request_out_is_repeated(self):
        for count in (1, 2):
            service = self.service(count, [go_away_before])
            client = self.client(service)
            self.assert_fine(client.unary())
            first, second = service.requests
            self.assertIsNot(first.connection, second.connection)
            self.assertEqual(second.wait_end().body_bytes, grpc_message(b"raw"))

    def test_goaways_everywhere_end_the_request(self):
        """A server that sends each connection away: the request comes back repeatable, and no storm of connections follows."""
        service = self.service(1, [go_away_before] * 1000)
        client = self.client(service)
        self.assertEqual(client.unary().wait_reset(), REFUSED_STREAM)
        self.assertLessEqual(len(service.requests), 3)
        self.assertLessEqual(len(service.connections), 3)
        self.assert_connection_lives(client)

    def test_a_goaway_that_names_the_request_lets_it_finish(self):
        finish = []

        def behaviour(stream):
            stream.headers(HEAD).data(grpc_message(b"half"))
            stream.connection.send_goaway(stream.id)
            finish.append(stream)

        service = self.service(1, [behaviour])
        client = self.client(service)
        asked = client.unary()
        asked.wait_data(len(grpc_message(b"half")))
        self.assert_fine(client.unary())  # on a connection of its own, while the first is still open
        finish[0].data(grpc_message(b"rest")).headers([("grpc-status", "0")], end=True)
        asked.wait_end()
        self.assertEqual(asked.body_bytes, grpc_message(b"half") + grpc_message(b"rest"))
        self.assertEqual(dict(asked.trailers)[b"grpc-status"], b"0")
        self.assertEqual(len(service.requests), 2)

    def test_a_goaway_with_an_error_is_told_by_what_it_left_out(self):
        def behaviour(stream):
            stream.connection.send_goaway(0, INTERNAL_ERROR)
            stream.connection.close()

        service = self.service(2, [behaviour])
        self.assert_fine(self.client(service).unary())
        self.assertEqual(len(service.requests), 2)

    def test_a_connection_closed_without_an_answer_is_unavailable_and_not_repeated(self):
        for end in (close, close_with_rst):
            service = self.service(2, [end])
            client = self.client(service)
            self.assert_status(client.unary(), 14, "endpoint 10.244.", "request was sent")
            self.assertEqual(len(service.requests), 1)
            self.assert_connection_lives(client)

    def test_a_connection_closed_after_data_is_no_success(self):
        service = self.service(2, [answer_then(close)])
        client = self.client(service)
        asked = client.unary()
        asked.wait_end()
        self.assertEqual(asked.body_bytes, grpc_message(b"half"))
        self.assertEqual(dict(asked.trailers)[b"grpc-status"], b"14")
        self.assertEqual(len(service.requests), 1)
        self.assert_connection_lives(client)

    def test_a_plain_response_cut_short_is_reset(self):
        def behaviour(stream):
            stream.headers([(":status", "200")]).data(b"half")
            stream.connection.close()

        service = self.service(2, [behaviour])
        asked = self.client(service).request(get_fields(), end=True)
        self.assertEqual(asked.wait_reset(), INTERNAL_ERROR)
        self.assertFalse(asked.is_ended)

    def test_a_trailers_only_answer_passes_as_it_is(self):
        def behaviour(stream):
            stream.headers([*HEAD, ("grpc-status", "14"), ("grpc-message", "mine")], end=True)

        service = self.service(2, [behaviour])
        asked = self.client(service).unary()
        asked.wait_end()
        self.assertEqual((len(asked.blocks), dict(asked.fields)[b"grpc-message"]), (1, b"mine"))
        self.assertEqual(len(service.requests), 1)

    def test_a_refused_connection_is_repeated_on_another_endpoint(self):
        service = self.service(2)
        dead = next(iter(service.servers))
        service.servers[dead].close()
        client = self.client(service)
        for _ in range(10):
            self.assert_fine(client.unary())
        self.assertEqual(len(service.requests), 10)

    def test_a_refused_connection_alone_is_unavailable(self):
        service = self.service(1)
        service.close()
        client = self.client(service)
        self.assert_status(client.unary(), 14, service.rows[0][1], "refused", "request was not sent")
        self.assert_connection_lives(client)

    def test_an_endpoint_that_closes_before_its_settings_is_passed_over(self):
        service = self.service(1)
        deaf_ip = [a for a in self.server_pod.addresses if ":" not in a][1]
        deaf = self.server_pod.listen(deaf_ip, service.port)
        self.addCleanup(deaf.close)
        deaf.settimeout(0.2)
        service.rows.append(("deaf", deaf_ip))
        self.mesh.publish(service.rows, name=service.name, vips=(service.vip,), port=50051, target_port=service.port)
        client = self.client(service)
        for _ in range(8):
            asked = client.unary()
            try:
                deaf.accept()[0].close()
            except socket.timeout:
                pass
            self.assert_fine(asked)

    def test_a_thousand_streams_at_a_limit_of_one_are_all_answered(self):
        service = self.service(1, settings={MAX_CONCURRENT_STREAMS: 1})
        client = self.client(service)
        asked = [client.unary() for _ in range(1000)]
        for stream in asked:
            self.assert_fine(stream)
        self.assertEqual(len(service.requests), 1000)
        self.assertLessEqual(len(service.connections), 16, "--pool-connections")
        for connection in service.connections:
            self.assertIsNone(connection.goaway)

    def test_a_limit_that_is_lowered_under_way_is_kept(self):
        held = []
        service = self.service(1, [held.append] * 2, settings={MAX_CONCURRENT_STREAMS: 2})
        client = self.client(service)
        asked = [client.unary(), client.unary()]
        wait_until(lambda: len(held) == 2, "two requests at the endpoint")
        first = service.connections[0]
        first.settings({MAX_CONCURRENT_STREAMS: 1})
        first.ping()
        succeed(held[0])
        self.assert_fine(asked[0])
        self.assert_fine(client.unary())
        self.assertIsNot(service.requests[2].connection, first, "one stream is open there, which is all it allows now")
        succeed(held[1])
        self.assert_fine(asked[1])


class NoTwice(RawMesh):
    def test_half_of_a_large_body_is_not_repeated_once_the_copy_is_gone(self):
        """A body beyond --retry-buffer-bytes: a refusal then goes to the client, who may repeat it."""
        def behaviour(stream):
            stream.wait_data(200_000)
            stream.reset(REFUSED_STREAM)

        service = self.service(2, [behaviour])
        client = self.client(service)
        asked = client.request([(":method", "POST"), *get_fields()[1:]])
        with self.assertRaises(AssertionError):
            asked.body(bytes(4_000_000))
        self.assertEqual(asked.wait_reset(), REFUSED_STREAM)
        self.assertEqual(len(service.requests), 1)

    def test_a_response_that_ends_before_its_request_is_passed_on(self):
        def behaviour(stream):
            stream.headers([*HEAD, ("grpc-status", "7")], end=True).reset(NO_ERROR)

        service = self.service(2, [behaviour])
        client = self.client(service)
        asked = client.request([(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/"),
                                ("content-type", "application/grpc"), ("te", "trailers")])
        asked.wait_end()
        self.assertEqual(dict(asked.fields)[b"grpc-status"], b"7")
        self.assertEqual(asked.wait_reset(), NO_ERROR)
        self.assertEqual(len(service.requests), 1)
        self.assert_connection_lives(client)


if __name__ == "__main__":
    unittest.main()
