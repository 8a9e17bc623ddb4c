# SPDX-License-Identifier: Apache-2.0
"""Connections to endpoints: how they are replaced, and that no request is lost when either side lets one go."""
import unittest

import tcp  # noqa: F401 (tests/lib becomes importable)
from h2raw import MAX_CONCURRENT_STREAMS, grpc_message
from mesh import wait_until
from raw_service import RawMesh, succeed


class Replaced(RawMesh):
    """After a few requests, or when they are old; with the pool's limits set low."""

    FLAGS = ("--pool-requests", "3", "--pool-idle", "400ms")

    def test_connections_are_replaced_after_their_share_of_requests(self):
        service = self.service(1)
        client = self.client(service)
        for _ in range(10):
            self.assert_fine(client.unary())
        self.assertEqual(sorted(len(c.streams) for c in service.connections), [1, 3, 3, 3])
        for connection in service.connections[:3]:
            self.assertEqual((connection.wait_closed(), connection.goaway[1]), ("eof", 0))

    def test_many_at_once_on_connections_that_are_soon_used_up(self):
        service = self.service(1, settings={MAX_CONCURRENT_STREAMS: 2})
        client = self.client(service)
        for stream in [client.unary() for _ in range(300)]:
            self.assert_fine(stream)
        self.assertEqual(len(service.requests), 300)
        self.assertLessEqual(max(len(c.streams) for c in service.connections), 3)

    def test_an_idle_connection_is_closed_and_one_with_a_stream_is_not(self):
        held = []
        service = self.service(1, [held.append])
        client = self.client(service)
        asked = client.unary()
        wait_until(lambda: held, "a request")
        second = self.service(1)
        self.assert_fine(self.client(second).unary())
        self.assertEqual(second.connections[0].wait_closed(), "eof")  # idle: the time has passed for the first one, too
        self.assertIsNone(held[0].connection.closed)
        succeed(held[0])
        self.assert_fine(asked)
        self.assertEqual(held[0].connection.wait_closed(), "eof")


class Aged(RawMesh):
    FLAGS = ("--pool-max-age", "300ms")

    def test_connections_grow_old_and_no_request_notices(self):
        service = self.service(1)
        client = self.client(service)
        sent = 0
        while len(service.connections) < 4:
            self.assert_fine(client.unary())
            sent += 1
        self.assertEqual(len(service.requests), sent)

    def test_an_old_connection_lets_its_streams_finish(self):
        held = []
        service = self.service(1, [held.append])
        client = self.client(service)
        asked = client.unary()
        while len(service.connections) < 2:
            self.assert_fine(client.unary())
        succeed(held[0])
        self.assert_fine(asked)
        self.assertEqual(held[0].connection.wait_closed(), "eof")


class Leaving(RawMesh):
    def publish(self, service, rows):
        self.mesh.publish(rows, name=service.name, vips=(service.vip,), port=50051, target_port=service.port)

    def knows(self, service, count):
        wait_until(lambda: self.proxy.metric("endpoints", service=f"shop/{service.name}:50051", state="ready") == count,
                   f"{count} endpoints known")

    def test_an_endpoint_that_leaves_finishes_its_streams_and_gets_nothing_new(self):
        held = []
        service = self.service(2, [held.append])
        client = self.client(service)
        asked = client.unary()
        wait_until(lambda: held, "a request")
        leaving = held[0].connection
        ip = next(ip for ip, server in service.servers.items() if leaving in server.connections)
        self.publish(service, [row for row in service.rows if row[1] != ip])
        self.knows(service, 1)
        for _ in range(20):
            self.assert_fine(client.unary())
        self.assertEqual(len(leaving.streams), 1)
        succeed(held[0])
        self.assert_fine(asked)
        self.assertEqual(leaving.wait_closed(), "eof")

    def test_an_endpoint_that_returns_with_a_stream_open_is_used_again(self):
        held = []
        service = self.service(2, [held.append])
        client = self.client(service)
        asked = client.unary()
        wait_until(lambda: held, "a request")
        ip = next(ip for ip, server in service.servers.items() if held[0].connection in server.connections)
        self.publish(service, [row for row in service.rows if row[1] != ip])
        self.knows(service, 1)
        self.publish(service, service.rows)
        self.knows(service, 2)
        service.then = held.append
        more = [client.unary() for _ in range(7)]
        wait_until(lambda: len(held) == 8, "all requests at the endpoints")
        self.assertEqual([len(c.streams) for c in service.servers[ip].connections], [1, 3], "four on each endpoint, the first counted")
        self.assertEqual(self.proxy.metric("endpoint_in_flight", service=f"shop/{service.name}:50051"), 8)
        for stream in held:
            succeed(stream)
        for stream in (asked, *more):
            self.assert_fine(stream)


class LetGoByTheEndpoint(RawMesh):
    def test_an_endpoint_that_closes_after_each_answer_costs_no_request(self):
        """Its GOAWAY crosses the next request now and then, which it then leaves out."""
        def with_goaway(stream):
            succeed(stream)
            stream.connection.send_goaway(stream.id)
            stream.connection.close()

        service = self.service(2, then=with_goaway)
        client = self.client(service)
        for _ in range(100):
            self.assert_fine(client.unary())
        self.assertEqual(len([stream for stream in service.requests if stream.id == 1]), 100)

    def test_a_goaway_that_a_request_has_crossed_is_repeated_even_if_a_reset_follows(self):
        def refuse(stream):
            stream.connection.send_goaway(0)
            stream.connection.abort()

        service = self.service(1, [refuse])
        self.assert_fine(self.client(service).unary())
        self.assertEqual(len(service.requests), 2)

    def test_a_half_closed_idle_connection_is_not_used_again(self):
        service = self.service(1)
        client = self.client(service)
        self.assert_fine(client.unary())
        first = service.connections[0]
        first.socket.shutdown(1)
        first.wait_closed()
        self.assert_fine(client.unary())
        self.assertEqual([len(c.streams) for c in service.connections], [1, 1])

    def test_bursts_beyond_one_connection_open_others_which_are_kept_for_the_next(self):
        service = self.service(1, settings={MAX_CONCURRENT_STREAMS: 10})
        client = self.client(service)
        for _ in range(3):
            for stream in [client.unary() for _ in range(80)]:
                self.assert_fine(stream)
        self.assertEqual(len(service.requests), 240)
        self.assertLessEqual(len(service.connections), 8)

    def test_a_storm_of_goaways_does_not_become_a_storm_of_connections(self):
        service = self.service(1, then=lambda stream: stream.connection.send_goaway(0))
        client = self.client(service)
        for asked in [client.unary() for _ in range(200)]:
            asked.connection.wait(lambda a=asked: a.is_over, "an answer")
        self.assertLess(len(service.connections), 100)
        self.assert_connection_lives(client)
        service.then = succeed
        wait_until(lambda: self.is_served(client), "served again")

    def is_served(self, client):
        asked = client.unary()
        client.wait(lambda: asked.is_over, "an answer")
        return asked.body_bytes == grpc_message(b"fine")


if __name__ == "__main__":
    unittest.main()
