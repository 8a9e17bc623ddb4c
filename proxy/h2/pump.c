/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bytes in and out. Receiving happens in the socket's event; sending once at the end of the turn, for whatever was ordered in it: many
 * frames become one contiguous buffer and one send. The buffer exists only while bytes wait, so all sessions of a loop in effect share
 * the slab's few.
 *
 * Reading does not stop because DATA waits to be sent: two such peers would wait for each other for ever. It stops when the queue of
 * control frames says that the peer makes us answer and does not read the answers.
 */

#include <errno.h>
#include <string.h>

#include "h2/frame_log.h"
#include "h2/session_internal.h"

#define RECV_ROUNDS 4 /* of LOOP_READ_BUFFER_SIZE, then others get a turn */
#define SEND_ROUNDS 4 /* of out_buffer_bytes */
#define OUT_FIRST_SIZE ((size_t)4000)
#define OUTBOUND_FRAMES_MAX 10000

/* --- the out buffer --- */

bool h2_out_is_full(const struct h2_session *s)
{
    return s->out.end - s->out.start >= s->options->out_buffer_bytes;
}

static bool out_is_empty(const struct h2_session *s)
{
    return s->out.end == s->out.start;
}

static void out_release(struct h2_session *s)
{
    slab_release(s->slab, s->out.bytes);
    s->out = (struct h2_out){0};
}

static void out_make_room(struct h2_session *s, size_t len)
{
    struct h2_out *out = &s->out;
    size_t used = out->end - out->start;

    if (out->start > 0) {
        memmove(out->bytes, out->bytes + out->start, used);
        out->start = 0;
        out->end = used;
    }
    if (out->size - used < len) {
        size_t size = out->size == 0 ? OUT_FIRST_SIZE : out->size * 2;

        while (size - used < len) {
            size *= 2;
        }
        out->bytes = slab_realloc(s->slab, out->bytes, size);
        out->size = size;
    }
}

uint8_t *h2_out_reserve(struct h2_session *s, size_t len)
{
    uint8_t *at;

    if (s->out.size - s->out.end < len) {
        out_make_room(s, len);
    }
    at = s->out.bytes + s->out.end;
    s->out.end += len;
    s->serialised_bytes += len;
    return at;
}

/* --- out --- */

/* Serialises until the buffer is full or nghttp2 has nothing more. 0 or nghttp2's error. */
int h2_pump_fill(struct h2_session *s)
{
    while (!h2_out_is_full(s)) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(s->ng, &bytes);

        if (n <= 0) {
            return (int)n;
        }
        memcpy(h2_out_reserve(s, (size_t)n), bytes, (size_t)n);
    }
    return 0;
}

/* The socket takes no more. What it has received before may hold complete answers, so reading goes on until it says why. */
static void write_broke(struct h2_session *s)
{
    s->is_write_broken = true;
    s->out.start = s->out.end;
    stream_want_write(&s->stream, false);
    stream_want_read(&s->stream, true);
    s->is_read_stopped = false;
}

/* One send. True if the buffer is empty afterwards. */
bool h2_pump_flush(struct h2_session *s)
{
    while (!out_is_empty(s)) {
        ssize_t n = s->is_write_broken ? -EPIPE : stream_send(&s->stream, s->out.bytes + s->out.start, s->out.end - s->out.start);

        if (n == -EAGAIN) {
            stream_want_write(&s->stream, true);
            return false;
        }
        if (n < 0) {
            write_broke(s);
            break;
        }
        s->out.start += (size_t)n;
        s->socket_bytes += (uint64_t)n;
    }
    out_release(s);
    return true;
}

/* Everything ordered is out: is there a reason to stay? */
static void look_for_end(struct h2_session *s)
{
    bool is_over = nghttp2_session_want_read(s->ng) == 0 && nghttp2_session_want_write(s->ng) == 0;

    if (s->state == H2_STATE_DRAINING && s->stream_count == 0) {
        h2_session_close(s, H2_NO_ERROR, s->reason);
    } else if (is_over && s->goaway_sent_error != H2_NO_ERROR) {
        h2_session_close(s, s->goaway_sent_error, s->reason != CLOSE_DONE ? s->reason : CLOSE_PROTOCOL_ERROR);
    } else if (is_over) {
        h2_session_close(s, H2_NO_ERROR, s->reason != CLOSE_DONE ? s->reason : CLOSE_GOAWAY);
    }
}

static void pump_out(struct h2_session *s)
{
    for (int round = 0; round < SEND_ROUNDS; round++) {
        int r = h2_pump_fill(s);
        bool was_full = h2_out_is_full(s);

        if (!h2_session_is_live(s)) {
            return; /* closed by an event: the pump has been asked for again */
        }
        if (r < 0) {
            h2_session_close(s, H2_INTERNAL_ERROR, CLOSE_INTERNAL);
            return;
        }
        if (!h2_pump_flush(s)) {
            return;
        }
        if (!was_full) {
            stream_want_write(&s->stream, false);
            look_for_end(s);
            return;
        }
    }
    h2_session_dirty(s); /* there is more; others first */
}

/* --- in --- */

static void receive_failed(struct h2_session *s, ssize_t error)
{
    bool is_flood = error == NGHTTP2_ERR_FLOODED; /* our answers to SETTINGS and PING pile up: it does not read them */

    if (h2_session_is_live(s)) {
        h2_session_close(s, is_flood ? H2_ENHANCE_YOUR_CALM : H2_PROTOCOL_ERROR,
                         is_flood ? CLOSE_PING_FLOOD : CLOSE_PROTOCOL_ERROR);
    }
}

static void feed(struct h2_session *s, const uint8_t *bytes, size_t len)
{
    size_t good = h2_guard_scan(s, bytes, len);
    ssize_t n = nghttp2_session_mem_recv(s->ng, bytes, good);

    if (n < 0) {
        receive_failed(s, n);
    } else if (good < len) {
        h2_guard_refuse(s);
    }
}

/* The socket has ended, n being 0 or a negative errno. A peer that leaves after its farewell, or ours, has only kept it. */
static void socket_ended(struct h2_session *s, ssize_t n)
{
    enum close_reason reason = n == 0 ? CLOSE_PEER_EOF : close_reason_of_io((int)n);

    if (s->stream_count == 0 && s->state != H2_STATE_OPEN) {
        reason = s->reason;
    } else if (s->stream_count == 0 && s->is_goaway_received) {
        reason = CLOSE_GOAWAY;
    }
    s->is_write_broken = true;
    h2_session_close(s, H2_NO_ERROR, reason);
}

static void on_readable(struct stream *stream)
{
    struct h2_session *s = container_of(stream, struct h2_session, stream);
    uint8_t *buf = loop_read_buffer(s->loop);

    if (s->state > H2_STATE_CLOSING) {
        h2_farewell_readable(s);
        return;
    }
    if (s->preface != NULL) {
        h2_session_dirty(s);
        return; /* bytes that came earlier go first */
    }
    frame_log_look(s);
    h2_session_start(s); /* our SETTINGS go before the ACK of the peer's */
    for (int round = 0; round < RECV_ROUNDS && h2_session_is_live(s); round++) {
        if (nghttp2_session_get_outbound_queue_size(s->ng) > OUTBOUND_FRAMES_MAX && !s->is_write_broken) {
            s->is_read_stopped = true;
            stream_want_read(stream, false);
            break;
        }
        ssize_t n = stream_recv(stream, buf, LOOP_READ_BUFFER_SIZE);

        if (n == -EAGAIN) {
            break;
        }
        if (n <= 0) {
            socket_ended(s, n);
            break;
        }
        h2_keepalive_heard(s);
        feed(s, buf, (size_t)n);
        if ((size_t)n < LOOP_READ_BUFFER_SIZE) {
            break; /* drained: the next recv would only say EAGAIN */
        }
    }
    h2_session_dirty(s);
}

static void resume_reading(struct h2_session *s)
{
    if (s->is_read_stopped && nghttp2_session_get_outbound_queue_size(s->ng) < OUTBOUND_FRAMES_MAX / 2) {
        s->is_read_stopped = false;
        stream_want_read(&s->stream, true);
    }
}

static void feed_preface(struct h2_session *s)
{
    uint8_t *preface = s->preface;

    if (preface != NULL) {
        s->preface = NULL;
        feed(s, preface, s->preface_len);
        slab_release(s->slab, preface);
    }
}

/* --- the pump --- */

static void pump_run(struct deferred *d)
{
    struct h2_session *s = container_of(d, struct h2_session, pump);

    frame_log_look(s);
    if (h2_session_is_live(s)) {
        h2_session_start(s);
        feed_preface(s);
    }
    if (h2_session_is_live(s)) {
        pump_out(s);
    }
    if (s->state == H2_STATE_CLOSING) {
        h2_farewell_start(s);
    } else if (s->state == H2_STATE_PARTING) {
        h2_farewell_pump(s);
    } else if (h2_session_is_live(s)) {
        resume_reading(s);
    }
    if (s->state < H2_STATE_CLOSED) {
        h2_host_account(s);
    }
}

static void on_writable(struct stream *stream)
{
    struct h2_session *s = container_of(stream, struct h2_session, stream);

    stream_want_write(stream, false); /* asked for again if the socket fills up again */
    loop_defer(s->loop, &s->pump);
}

void h2_pump_init(struct h2_session *s)
{
    deferred_init(&s->pump, pump_run);
    stream_set_handlers(&s->stream, on_readable, on_writable);
}

void h2_pump_deinit(struct h2_session *s)
{
    loop_undefer(&s->pump);
    slab_release(s->slab, s->preface);
    s->preface = NULL;
    out_release(s);
}
