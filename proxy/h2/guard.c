/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The scan runs ahead of nghttp2 by at most one receive buffer, so it judges by what the peer has sent and by nothing that nghttp2 knows:
 * everything before a refused frame is still processed.
 */

#include "h2/guard.h"

#include <string.h>

#include "h2/session_internal.h"

#define PREFACE_SIZE 24
#define PRIORITY_SIZE 5
#define BLOCK_SLACK ((size_t)64 * 1024)
#define FRAME_PRIORITY_UPDATE 0x10 /* RFC 9218 §7.1 */

/* What useful frames bring with them. */
#define PRIORITIES_PER_REQUEST 10
#define UPDATES_PER_HEADERS 4
#define UPDATES_PER_DATA_SENT 20

#define STALL_LOOKS 4 /* within the stall timeout */

struct frame_head {
    uint32_t len;
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
};

static uint32_t read_u31(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]) & INT32_MAX;
}

static struct frame_head parse_head(const uint8_t *p)
{
    return (struct frame_head){
        .len = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2],
        .type = p[3],
        .flags = p[4],
        .stream = read_u31(p + 5),
    };
}

static bool refuse(struct h2_session *s, uint32_t error, enum close_reason reason)
{
    s->guard.refusal_error = error;
    s->guard.refusal = reason;
    return false;
}

static bool take(struct h2_session *s, enum flood_kind kind)
{
    if (flood_take(&s->guard.flood, kind, loop_now(s->loop))) {
        return true;
    }
    return refuse(s, H2_ENHANCE_YOUR_CALM, flood_close_reason(kind));
}

/*
 * DATA and HEADERS: may the peer still send on this stream? Streams it never opened are nghttp2's to judge, as are even ids.
 *
 * Of a server, what comes for a stream it has finished is left to nghttp2, which drops it: gRPC's C core (1.51), when a deadline passes
 * or a cancellation crosses its answer, sends trailers, RST_STREAM, and then trailers once more. The other calls on that connection,
 * everybody's, must not pay for it.
 */
static bool may_send_on(struct h2_session *s, uint32_t id)
{
    if (s->role == H2_CLIENT) {
        return true;
    }
    if (stream_ids_is_finished(&s->guard.ids, id)) {
        return refuse(s, NGHTTP2_STREAM_CLOSED, CLOSE_PROTOCOL_ERROR);
    }
    if (stream_ids_is_skipped(&s->guard.ids, id)) {
        return refuse(s, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
    }
    return true;
}

static bool judge_data(struct h2_session *s, const struct frame_head *h)
{
    struct h2_guard *g = &s->guard;

    if (!may_send_on(s, h->stream)) {
        return false;
    }
    if ((h->flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        stream_ids_finish(&g->ids, h->stream);
    } else if (h->len == 0) {
        return take(s, FLOOD_EMPTY_DATA);
    }
    if ((h->flags & NGHTTP2_FLAG_PADDED) == 0) { /* else it may be padding and no more: h2_guard_padding knows */
        flood_earn(&g->flood, FLOOD_EMPTY_DATA, 1);
        flood_earn(&g->flood, FLOOD_PING, 1);
    }
    return true;
}

static bool judge_headers(struct h2_session *s, const struct frame_head *h)
{
    struct h2_guard *g = &s->guard;

    if (s->role == H2_SERVER && h->stream > g->ids.highest) {
        stream_ids_open(&g->ids, h->stream);
    } else if (!may_send_on(s, h->stream)) {
        return false;
    }
    if ((h->flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        stream_ids_finish(&g->ids, h->stream);
    }
    g->block_frames = 1;
    g->block_bytes = h->len;
    flood_earn(&g->flood, FLOOD_PING, 1);
    flood_earn(&g->flood, FLOOD_PRIORITY, PRIORITIES_PER_REQUEST);
    flood_earn(&g->flood, FLOOD_WINDOW_UPDATE, UPDATES_PER_HEADERS);
    return true;
}

static bool judge_continuation(struct h2_session *s, const struct frame_head *h)
{
    struct h2_guard *g = &s->guard;

    g->block_frames++;
    g->block_bytes += h->len;
    if (g->block_frames <= H2_BLOCK_FRAMES_MAX && g->block_bytes <= 2 * (size_t)s->options->max_header_list_bytes + BLOCK_SLACK) {
        return true;
    }
    return refuse(s, H2_ENHANCE_YOUR_CALM, CLOSE_CONTINUATION_FLOOD);
}

/* Of a server, only resets of streams we do not have: those we have are bounded by what we asked for. */
static bool judge_reset(struct h2_session *s, const struct frame_head *h)
{
    bool is_free = s->role == H2_CLIENT && nghttp2_session_get_stream_user_data(s->ng, (int32_t)h->stream) != NULL;

    stream_ids_finish(&s->guard.ids, h->stream);
    return is_free || take(s, FLOOD_RESET);
}

/* nghttp2 ignores PRIORITY once told that we do, mistakes included; RFC 7540 §5.3.1 and RFC 9113 §6.3 name two. */
static bool judge_priority(struct h2_session *s, const struct frame_head *h)
{
    return h->stream != 0 ? take(s, FLOOD_PRIORITY) : refuse(s, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
}

static bool judge(struct h2_session *s, const struct frame_head *h)
{
    switch (h->type) { /* a number from the wire */
    case NGHTTP2_DATA:
        return judge_data(s, h);
    case NGHTTP2_HEADERS:
        return judge_headers(s, h);
    case NGHTTP2_CONTINUATION:
        return judge_continuation(s, h);
    case NGHTTP2_RST_STREAM:
        return judge_reset(s, h);
    case NGHTTP2_SETTINGS:
        return (h->flags & NGHTTP2_FLAG_ACK) != 0 || take(s, FLOOD_SETTINGS);
    case NGHTTP2_PING:
        return take(s, FLOOD_PING);
    case NGHTTP2_WINDOW_UPDATE:
        return take(s, FLOOD_WINDOW_UPDATE);
    case NGHTTP2_PRIORITY:
        return judge_priority(s, h);
    case FRAME_PRIORITY_UPDATE:
        return take(s, FLOOD_PRIORITY);
    case NGHTTP2_PUSH_PROMISE:
        return refuse(s, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR); /* clients never, and servers were told not to */
    default:
        return take(s, FLOOD_OTHER);
    }
}

static bool judge_dependency(struct h2_session *s, const uint8_t *p)
{
    struct frame_head h = parse_head(p);
    uint32_t parent = read_u31(p + H2_FRAME_HEAD_SIZE);

    return parent != h.stream || refuse(s, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
}

/* The bytes that are looked at have come: a frame's head, or for PRIORITY four more. */
static bool look(struct h2_session *s)
{
    struct h2_guard *g = &s->guard;
    struct frame_head h;

    if (g->look_len > H2_FRAME_HEAD_SIZE) {
        g->look_len = H2_FRAME_HEAD_SIZE;
        g->have = 0;
        return judge_dependency(s, g->head);
    }
    h = parse_head(g->head);
    g->skip = h.len;
    if (h.type == NGHTTP2_PRIORITY && h.len == PRIORITY_SIZE) {
        g->look_len = H2_LOOK_SIZE;
        g->skip -= H2_LOOK_SIZE - H2_FRAME_HEAD_SIZE;
    } else {
        g->have = 0;
    }
    return judge(s, &h);
}

size_t h2_guard_scan(struct h2_session *s, const uint8_t *bytes, size_t len)
{
    struct h2_guard *g = &s->guard;
    size_t at = 0;

    while (at < len) {
        size_t begin = at;
        size_t n = len - at;
        size_t wanted = (size_t)g->look_len - g->have;

        if (g->have == 0 && g->skip > 0) {
            n = n < g->skip ? n : g->skip;
            g->skip -= (uint32_t)n;
            at += n;
            continue;
        }
        n = n < wanted ? n : wanted;
        memcpy(g->head + g->have, bytes + at, n);
        g->have = (uint8_t)(g->have + n);
        at += n;
        if (n == wanted && !look(s)) {
            return begin;
        }
    }
    return len;
}

void h2_guard_refuse(struct h2_session *s)
{
    h2_session_close(s, s->guard.refusal_error, s->guard.refusal);
}

bool h2_guard_field(struct h2_session *s, size_t bytes)
{
    struct h2_guard *g = &s->guard;

    g->block_decoded_bytes += bytes;
    if (g->block_decoded_bytes <= (size_t)H2_BLOCK_DECODED_FACTOR * s->options->max_header_list_bytes) {
        return true;
    }
    h2_session_close(s, H2_ENHANCE_YOUR_CALM, CLOSE_HEADER_LIMIT);
    return false;
}

bool h2_guard_padding(struct h2_session *s)
{
    if (take(s, FLOOD_EMPTY_DATA)) {
        return true;
    }
    h2_guard_refuse(s);
    return false;
}

/* --- what we send --- */

void h2_guard_request_sent(struct h2_session *s, int32_t id)
{
    stream_ids_open(&s->guard.ids, (uint32_t)id);
    flood_earn(&s->guard.flood, FLOOD_WINDOW_UPDATE, UPDATES_PER_HEADERS);
}

void h2_guard_data_sent(struct h2_session *s)
{
    flood_earn(&s->guard.flood, FLOOD_WINDOW_UPDATE, UPDATES_PER_DATA_SENT);
}

static bool is_fault(uint32_t error)
{
    return error == NGHTTP2_PROTOCOL_ERROR || error == NGHTTP2_FLOW_CONTROL_ERROR || error == NGHTTP2_STREAM_CLOSED ||
           error == NGHTTP2_FRAME_SIZE_ERROR;
}

void h2_guard_reset_sent(struct h2_session *s, const struct h2_stream *st, uint32_t error)
{
    bool is_over_offer = error == NGHTTP2_REFUSED_STREAM; /* ordinary until the peer knows our SETTINGS */

    if ((st != NULL && st->is_reset_ordered) || (!is_over_offer && !is_fault(error)) || !h2_session_is_live(s)) {
        return; /* an endpoint's reset passed on, or an order of ours: not the peer's doing */
    }
    if (s->ops->on_refused != NULL) {
        s->ops->on_refused(s, is_over_offer ? CLOSE_STREAM_LIMIT : CLOSE_PROTOCOL_ERROR);
    }
    if (!take(s, is_over_offer ? FLOOD_RESET : FLOOD_PROVOKED_RESET)) {
        h2_guard_refuse(s);
    }
}

/* --- stalls --- */

static bool has_waiting(const struct h2_stream *st)
{
    return st->out_bytes > 0 || st->trailers != NULL || !list_is_empty(&st->sending);
}

/* Notes what has moved by now; true once nothing has for as long as `limit`. */
static bool is_stalled(bool has_more, uint64_t progress, uint64_t *mark, struct usec *since, struct usec now, struct usec limit)
{
    if (!has_more || *mark != progress || since->v == 0) {
        *mark = progress;
        *since = now;
        return false;
    }
    return !usec_before(usec_since(now, *since), limit);
}

static void look_at_streams(struct h2_session *s, struct usec now)
{
    list_for_each(node, &s->streams) {
        struct h2_stream *st = list_entry(node, struct h2_stream, node);

        if (st->is_reset_ordered ||
            !is_stalled(has_waiting(st), st->sent_bytes, &st->stall_mark, &st->stalled_since, now, s->options->stall_timeout)) {
            continue;
        }
        st->end_reason = CLOSE_STALLED;
        h2_stream_reset(st, H2_ENHANCE_YOUR_CALM);
        if (s->ops->on_refused != NULL) {
            s->ops->on_refused(s, CLOSE_STALLED);
        }
    }
}

static void on_stall_timer(struct timer *t)
{
    struct h2_session *s = container_of(t, struct h2_session, guard.stall_timer);
    struct usec limit = s->options->stall_timeout;
    struct usec now = loop_now(s->loop);

    if (!h2_session_is_live(s) || s->stream_count == 0) {
        return;
    }
    if (is_stalled(s->out.end != s->out.start, s->socket_bytes, &s->guard.stall_mark, &s->guard.stalled_since, now, limit)) {
        s->is_write_broken = true; /* the resets of its streams would wait behind all the rest */
        h2_session_close(s, H2_NO_ERROR, CLOSE_STALLED);
        return;
    }
    look_at_streams(s, now);
    timer_set(t, (struct usec){limit.v / STALL_LOOKS});
}

void h2_guard_stream_opened(struct h2_session *s)
{
    if (s->options->stall_timeout.v != 0 && !timer_is_set(&s->guard.stall_timer)) {
        timer_set(&s->guard.stall_timer, (struct usec){s->options->stall_timeout.v / STALL_LOOKS});
    }
}

void h2_guard_init(struct h2_session *s)
{
    s->guard.look_len = H2_FRAME_HEAD_SIZE;
    s->guard.skip = s->role == H2_SERVER ? PREFACE_SIZE : 0;
    flood_init(&s->guard.flood, s->options->reset_rate, loop_now(s->loop));
    timer_init(&s->guard.stall_timer, s->loop, on_stall_timer);
}

void h2_guard_stop(struct h2_session *s)
{
    timer_stop(&s->guard.stall_timer);
}
