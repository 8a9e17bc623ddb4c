/* SPDX-License-Identifier: Apache-2.0 */

/*
 * With streams open and nothing received for `ping_after`, ask the peer whether it lives. One coarse timer a session, left running when
 * the last stream ends and stopped when it then fires.
 *
 * gRPC servers count a strike for a PING that comes less than five minutes after the one before without DATA or HEADERS of theirs in
 * between, and end the connection at the third (too_many_pings). So a client asks again only if the peer has sent either since, or five
 * minutes have passed, or, once or twice, because a new request went out and nothing came back.
 */

#include "h2/session_internal.h"

#define STRIKE_INTERVAL_S 300
#define STRIKES_MAX 2

static bool may_ping(struct h2_session *s, struct usec now)
{
    if (s->role == H2_SERVER || !s->is_pinged) {
        return true;
    }
    if (s->has_received_since_ping) {
        s->ping_strikes = 0;
        return true;
    }
    if (!usec_before(usec_since(now, s->ping_sent), usec_from_s(STRIKE_INTERVAL_S))) {
        return true;
    }
    if (s->has_sent_since_ping && s->ping_strikes < STRIKES_MAX) {
        s->ping_strikes++;
        return true;
    }
    return false;
}

static void ping(struct h2_session *s, struct usec now)
{
    nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, (const uint8_t *)"alive?\0\0");
    s->is_pinged = true;
    s->is_ping_outstanding = true;
    s->has_sent_since_ping = false;
    s->has_received_since_ping = false;
    s->ping_sent = now;
    timer_set(&s->ping_timer, s->options->ping_timeout);
    h2_session_dirty(s);
}

static bool has_unread(struct h2_session *s)
{
    uint8_t byte;

    return stream_peek(&s->stream, &byte, 1) > 0;
}

static void on_timer(struct timer *t)
{
    struct h2_session *s = container_of(t, struct h2_session, ping_timer);
    struct usec now = loop_now(s->loop);
    struct usec quiet = usec_since(now, s->quiet_since);

    if (!h2_session_is_live(s) || s->stream_count == 0) {
        return;
    }
    if (s->is_ping_outstanding && has_unread(s)) {
        timer_set(t, s->options->ping_timeout); /* it was us who slept: the answer may be there */
    } else if (s->is_ping_outstanding) {
        s->is_write_broken = true; /* nobody reads our last words */
        h2_session_close(s, H2_NO_ERROR, CLOSE_PEER_TIMEOUT);
    } else if (usec_before(quiet, s->options->ping_after)) {
        timer_set(t, usec_since(s->options->ping_after, quiet));
    } else if (may_ping(s, now)) {
        ping(s, now);
    } else {
        timer_set(t, s->options->ping_after);
    }
}

void h2_keepalive_init(struct h2_session *s)
{
    timer_init(&s->ping_timer, s->loop, on_timer);
}

void h2_keepalive_stream_opened(struct h2_session *s)
{
    s->quiet_since = loop_now(s->loop);
    s->is_ping_outstanding = false;
    if (s->options->ping_after.v != 0 && !timer_is_set(&s->ping_timer)) {
        timer_set(&s->ping_timer, s->options->ping_after);
    }
}

void h2_keepalive_stop(struct h2_session *s)
{
    timer_stop(&s->ping_timer);
}
