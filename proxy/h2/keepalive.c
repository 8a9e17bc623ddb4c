/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Nothing received for `ping_after`: ask the peer whether it lives. One coarse timer a session. Clients ask while they have streams open;
 * their timer is left running when the last stream ends and stops when it then fires. Servers ask idle peers too; and as the kernel's own
 * keep-alive rests while bytes are under way, they look whether those are acknowledged, much more often than they ask: it costs the peer
 * nothing.
 *
 * How a client asks. gRPC servers count a strike for a PING that comes less than five minutes after the one before, unless they have
 * sent DATA or HEADERS in between, and end the connection at the third (too_many_pings; the same in grpc-core, grpc-go and grpc-java,
 * where a connection's own beginning counts like a PING before). That would leave a frozen endpoint with silent streams unnoticed for
 * five minutes. SETTINGS must be acknowledged as promptly (RFC 9113 §6.5.3), by the same code of the peer that answers PINGs, and
 * nobody counts them (grpc-java's servers, Netty's and OkHttp's, only take note of the first): so a client asks with SETTINGS that say
 * again what its first said. Servers ask with PING, which gRPC clients answer without counting.
 */

#include <string.h>

#include "h2/session_internal.h"

/* Looks again after `delay` (0: there is nothing to ask), or earlier for the sake of the socket. */
static void look_in(struct h2_session *s, struct usec delay)
{
    struct usec pulse = s->options->tcp_keepalive;

    if (s->role == H2_SERVER && pulse.v != 0 && (delay.v == 0 || usec_before(pulse, delay))) {
        delay = pulse;
    }
    if (delay.v != 0) {
        timer_set(&s->ping_timer, delay);
    }
}

static void ask(struct h2_session *s)
{
    static const nghttp2_settings_entry again = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};

    if (s->role == H2_CLIENT) {
        nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, &again, 1);
    } else {
        nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, H2_PING_ALIVE);
    }
    s->is_asked = true;
    s->asked = loop_now(s->loop);
    look_in(s, s->options->ping_timeout);
    h2_session_dirty(s);
}

static bool has_unread(struct h2_session *s)
{
    uint8_t byte;

    return stream_peek(&s->stream, &byte, 1) > 0;
}

static bool has_lost_its_peer(const struct h2_session *s)
{
    struct usec limit = {2 * s->options->tcp_keepalive.v};

    return s->role == H2_SERVER && limit.v != 0 && stream_peer_is_gone(&s->stream, limit);
}

static void give_up(struct h2_session *s)
{
    s->is_write_broken = true; /* nobody reads our last words */
    h2_session_close(s, H2_NO_ERROR, CLOSE_PEER_TIMEOUT);
}

static void await_answer(struct h2_session *s)
{
    struct usec left = usec_since(s->options->ping_timeout, usec_since(loop_now(s->loop), s->asked));

    if (left.v != 0) {
        look_in(s, left);
    } else if (has_unread(s)) {
        s->asked = loop_now(s->loop); /* it was us who slept: the answer may be there */
        look_in(s, s->options->ping_timeout);
    } else {
        give_up(s);
    }
}

static void on_timer(struct timer *t)
{
    struct h2_session *s = container_of(t, struct h2_session, ping_timer);
    struct usec left = usec_since(s->options->ping_after, usec_since(loop_now(s->loop), s->quiet_since));

    if (!h2_session_is_live(s) || (s->role == H2_CLIENT && s->stream_count == 0)) {
        return;
    }
    if (has_lost_its_peer(s)) {
        give_up(s);
    } else if (s->is_asked) {
        await_answer(s);
    } else if (s->options->ping_after.v == 0 || left.v != 0) {
        look_in(s, left);
    } else {
        ask(s);
    }
}

static void start(struct h2_session *s)
{
    if (!timer_is_set(&s->ping_timer)) {
        look_in(s, s->options->ping_after);
    }
}

void h2_keepalive_init(struct h2_session *s)
{
    timer_init(&s->ping_timer, s->loop, on_timer);
    if (s->role == H2_SERVER) {
        start(s);
    }
}

void h2_keepalive_stream_opened(struct h2_session *s)
{
    s->quiet_since = loop_now(s->loop);
    s->is_asked = false;
    start(s);
}

void h2_keepalive_heard(struct h2_session *s)
{
    s->quiet_since = loop_now(s->loop);
    s->is_asked = false;
}

void h2_keepalive_stop(struct h2_session *s)
{
    timer_stop(&s->ping_timer);
}

void h2_ping_answered(struct h2_session *s, const uint8_t payload[static 8])
{
    if (s->state == H2_STATE_NOTICED && memcmp(payload, H2_PING_DRAIN, 8) == 0) {
        h2_session_goaway_now(s, H2_NO_ERROR); /* whatever the peer sent before it knew has come */
    } else if (memcmp(payload, H2_PING_WINDOW, 8) == 0) {
        h2_credit_answered(s);
    }
}
