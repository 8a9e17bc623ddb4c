#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whose stream limit a client is offered: outbound the proxy's own, inbound the app's."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sides import Inbound, Outbound, Side, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import MAX_CONCURRENT_STREAMS, get_fields  # noqa: E402


class Outwards(Outbound, Side, unittest.TestCase):
    def test_a_client_is_offered_many_streams_whatever_the_endpoint_takes(self):
        asked, served = self.begin(get_fields(), end=True, server={"settings": {MAX_CONCURRENT_STREAMS: 7}})
        self.assertEqual(asked.connection.wait_settings()[MAX_CONCURRENT_STREAMS], 10000)
        served.headers([(":status", "200")], end=True)
        asked.wait_end()


class Inwards(Inbound, Side, unittest.TestCase):
    def begin_with(self, limit):
        client = self.client()
        connection = self.accept(settings={MAX_CONCURRENT_STREAMS: limit})
        client.wait_settings()
        return client, connection

    def test_a_peer_is_offered_the_apps_own_limit_from_the_start(self):
        client, _ = self.begin_with(7)
        self.assertEqual(client.peer_settings[MAX_CONCURRENT_STREAMS], 7)

    def test_an_app_that_allows_more_than_the_proxy_is_not_taken_at_its_word(self):
        client, _ = self.begin_with(4000000)
        self.assertEqual(client.peer_settings[MAX_CONCURRENT_STREAMS], 10000)

    def test_a_change_of_the_apps_limit_is_passed_on(self):
        client, connection = self.begin_with(7)
        connection.settings({MAX_CONCURRENT_STREAMS: 3})
        client.wait(lambda: client.peer_settings[MAX_CONCURRENT_STREAMS] == 3, "the new limit")
        connection.settings({MAX_CONCURRENT_STREAMS: 9})
        client.wait(lambda: client.peer_settings[MAX_CONCURRENT_STREAMS] == 9, "the newest limit")


if __name__ == "__main__":
    unittest.main()
