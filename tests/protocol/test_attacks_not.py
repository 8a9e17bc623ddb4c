#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What looks like an attack and is none: clients that cancel a lot. With the limits as they come."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attacks import Attacked, u32  # noqa: E402
from sides import FLAGS, on_both_sides, start as setUpModule, stop as tearDownModule  # noqa: E402,F401
from h2raw import CANCEL, RST_STREAM, encode, frame, get_fields, grpc_fields, header_frames  # noqa: E402

for side in FLAGS:
    FLAGS[side] = ("--discovery-timeout", "0s")
RATE, BATCH, SECONDS = 10000, 100, 3


@on_both_sides
class Cancels(Attacked):
    def cancel(self, opening, cancelling):
        """10,000 requests a second for three seconds: batch i opens streams opening(i) and resets streams cancelling(i)."""
        client = self.client()
        block = encode(grpc_fields("/hold/cancelled"))
        begin = time.monotonic()
        for i in range(RATE * SECONDS // BATCH + 1):
            client.send(b"".join(header_frames(n, block) for n in opening(i)) +
                        b"".join(frame(RST_STREAM, 0, n, u32(CANCEL)) for n in cancelling(i)))
            time.sleep(max(0, begin + (i + 1) * BATCH / RATE - time.monotonic()))
        client.next_id = 2 * (RATE * SECONDS + 2 * BATCH) + 1
        self.assertEqual(client.request(get_fields("/after"), end=True).wait_end().status, 200)
        self.assertEqual((client.goaway, client.closed), (None, None))
        self.assertEqual((self.counted("closes_total"), self.counted("refusals_total")), (0, 0))
        for request in list(self.requests):
            if request.value(":path") == b"/hold/cancelled":
                request.connection.wait(lambda r=request: r.reset_code is not None, "the cancellation")

    @staticmethod
    def batch(i):
        return range(1 + 2 * BATCH * i, 1 + 2 * BATCH * (i + 1), 2) if 0 <= i < RATE * SECONDS // BATCH else ()

    def test_of_calls_that_have_reached_the_server(self):
        self.cancel(self.batch, lambda i: self.batch(i - 1))
        self.assertGreater(len(self.requests), RATE)

    def test_of_calls_as_soon_as_they_are_made(self):
        self.cancel(self.batch, self.batch)


if __name__ == "__main__":
    unittest.main()
