/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How large a flow-control window should be: the bytes that are on their way in one round trip (the bandwidth-delay product).
 *
 *     bytes come ─▶ ask (a PING) ─▶ bytes are counted ─▶ answer ─▶ counted ≥ 2/3 of the window, faster than ever? double it
 *
 * Growth needs a higher rate than any full window has shown before: where a queue fills up on the way, the round trip grows with the
 * window and the rate does not. A question is asked only when bytes come after the answer to the one before (then the peer has sent DATA
 * since, which is what gRPC servers demand of PINGs), and more and more rarely while it changes nothing.
 *
 * Owner:   embedded in a session.
 * Limits:  the window never shrinks and never exceeds `max_bytes`; pauses between questions grow from 100 ms to 10 s.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/usec.h"

struct window {
    uint32_t bytes; /* what it should be now */
    uint32_t max_bytes;
    uint64_t sample;    /* bytes since the question */
    uint64_t best_rate; /* bytes per second, of full windows */
    struct usec asked;
    struct usec pause; /* between an answer that changed nothing and the next question */
    struct usec next;  /* no question before this */
    bool is_asking;
};

/* `max_bytes` at or below `bytes`: it stays as it is, nothing is ever asked. */
void window_init(struct window *w, uint32_t bytes, uint32_t max_bytes);

/* Bytes have come. True: ask now, and call window_asked. */
bool window_received(struct window *w, size_t len, struct usec now);
void window_asked(struct window *w, struct usec now);

/* The answer is there. True: the window has grown. */
bool window_answered(struct window *w, struct usec now);
