/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The end of a session. Handlers are told at once that it is over; the peer still gets what was ordered before:
 *
 *     CLOSING    streams' handlers hear on_closed
 *     PARTING    a server's complete answers are serialised, as far as the peer's windows allow, then a GOAWAY if none was sent. The
 *                peer's frames are still taken in, for its window updates; requests it opens are refused, so it may repeat them
 *     LINGERING  FIN is sent, what comes is thrown away until the peer's FIN: closing a socket with unread bytes sends an RST, which
 *                destroys what the peer has not read yet
 *
 * PARTING and LINGERING last a second each at most. An end in error says what is serialisable at once and GOAWAY; bodies are dropped. A
 * client has no answers to deliver: it says what is ordered (RST_STREAMs, GOAWAY) in one attempt and closes.
 */

#include <errno.h>

#include "h2/session_internal.h"

#define RECV_ROUNDS 4
#define STEP_LIMIT usec_from_s(1)

/* A stream that ends because its session does. */
static void tell(struct h2_session *s, struct h2_stream *st)
{
    bool is_unsent = s->role == H2_CLIENT && (!st->is_serialised || st->wire_offset >= s->socket_bytes);
    uint32_t error = s->role == H2_SERVER ? H2_CANCEL : H2_INTERNAL_ERROR;

    h2_stream_tell_end(st, is_unsent ? H2_REFUSED_STREAM : error, s->reason, is_unsent);
}

static void say_goodbye(struct h2_session *s)
{
    s->is_goodbye_said = true;
    if (!s->is_farewell_sent && s->goaway_sent_error == H2_NO_ERROR) {
        nghttp2_session_terminate_session(s->ng, s->close_error);
    }
    (void)h2_pump_fill(s);
}

static void start_lingering(struct h2_session *s)
{
    h2_session_set_state(s, H2_STATE_LINGERING);
    stream_shutdown_write(&s->stream);
    stream_want_write(&s->stream, false);
    timer_set(&s->end_timer, STEP_LIMIT);
}

/* Is an answer complete in our hands that the peer's windows hold up? */
static bool has_more_to_say(const struct h2_session *s)
{
    list_for_each(node, &s->streams) {
        const struct h2_stream *st = list_entry(node, struct h2_stream, node);

        if (st->is_out_ended && !st->is_reset_ordered && (st->out_bytes > 0 || st->trailers != NULL)) {
            return true;
        }
    }
    return false;
}

void h2_farewell_pump(struct h2_session *s)
{
    while (!s->is_write_broken) {
        bool was_full;

        (void)h2_pump_fill(s);
        was_full = h2_out_is_full(s);
        if (!h2_pump_flush(s)) {
            return; /* goes on when the socket is writable */
        }
        if (was_full) {
            continue;
        }
        if (s->is_goodbye_said) {
            start_lingering(s);
            return;
        }
        if (s->close_error == H2_NO_ERROR && has_more_to_say(s)) {
            return; /* goes on with the peer's WINDOW_UPDATE */
        }
        say_goodbye(s);
    }
    h2_session_end(s);
}

static void part_as_client(struct h2_session *s)
{
    if (!s->is_write_broken) {
        (void)h2_pump_fill(s);
        say_goodbye(s);
        (void)h2_pump_flush(s);
    }
    list_for_each(node, &s->streams) {
        tell(s, list_entry(node, struct h2_stream, node));
    }
    h2_session_end(s);
}

void h2_farewell_start(struct h2_session *s)
{
    if (!s->is_write_broken) {
        h2_session_start(s);
    }
    s->is_last_words = true;
    if (s->role == H2_CLIENT) {
        part_as_client(s);
        return;
    }
    if (s->close_error != H2_NO_ERROR) {
        h2_session_drop_bodies(s);
    }
    list_for_each(node, &s->streams) {
        tell(s, list_entry(node, struct h2_stream, node));
    }
    h2_session_set_state(s, H2_STATE_PARTING);
    stream_want_read(&s->stream, !s->is_write_broken);
    timer_set(&s->end_timer, STEP_LIMIT);
    h2_farewell_pump(s);
    if (s->state != H2_STATE_CLOSED && s->is_abandoned && s->host == NULL) {
        h2_session_end(s); /* nobody would wait for it */
    }
}

static bool take_in(struct h2_session *s, const uint8_t *bytes, size_t len)
{
    return h2_guard_scan(s, bytes, len) == len && nghttp2_session_mem_recv(s->ng, bytes, len) >= 0;
}

void h2_farewell_readable(struct h2_session *s)
{
    bool is_listening = s->state == H2_STATE_PARTING && s->close_error == H2_NO_ERROR && !s->is_goodbye_said;
    uint8_t *buf = loop_read_buffer(s->loop);

    for (int round = 0; round < RECV_ROUNDS; round++) {
        ssize_t n = stream_recv(&s->stream, buf, LOOP_READ_BUFFER_SIZE);

        if (n == -EAGAIN) {
            break;
        }
        if (n < 0 || (n == 0 && s->state == H2_STATE_LINGERING)) {
            h2_session_end(s);
            return;
        }
        if (n == 0) {
            stream_want_read(&s->stream, false); /* it may still read */
            s->is_goodbye_said = true;
            break;
        }
        if (is_listening && !take_in(s, buf, (size_t)n)) {
            h2_session_end(s);
            return;
        }
    }
    if (s->state == H2_STATE_PARTING) {
        loop_defer(s->loop, &s->pump);
    }
}

void h2_farewell_timeout(struct h2_session *s)
{
    if (s->state == H2_STATE_PARTING && !s->is_goodbye_said && !s->is_write_broken) {
        say_goodbye(s);
        (void)h2_pump_flush(s);
    }
    h2_session_end(s);
}

void h2_farewell_refuse(struct h2_session *s, int32_t id)
{
    if (s->state == H2_STATE_PARTING && s->role == H2_SERVER) {
        nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    }
}
