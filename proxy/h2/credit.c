/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Window credit. The connection's goes back as soon as its bytes are in a stream's hands; the stream's when its handler gives them back,
 * that is when they have left to the other side. So a reader that stalls stops its own stream's sender and nobody else on a connection
 * that many share, and what one stream can hold is its window. Windows start small and follow the connection's bandwidth-delay product
 * (policy/window.h).
 */

#include "h2/session_internal.h"

void h2_credit_received(struct h2_session *s, size_t len)
{
    if (h2_host_is_at(s, BUDGET_WITHHOLD)) {
        s->withheld += len;
        h2_host_withhold(s);
    } else {
        nghttp2_session_consume_connection(s->ng, len);
    }
    if (window_received(&s->window, len, loop_now(s->loop))) {
        nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, H2_PING_WINDOW);
        window_asked(&s->window, loop_clock());
    }
}

void h2_credit_release(struct h2_session *s)
{
    nghttp2_session_consume_connection(s->ng, s->withheld);
    s->withheld = 0;
    h2_session_dirty(s);
}

void h2_credit_answered(struct h2_session *s)
{
    bool has_grown = window_answered(&s->window, loop_clock());

    if (has_grown && s->window.bytes > s->options->connection_window_bytes && !h2_host_is_at(s, BUDGET_TIGHT)) {
        nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)s->window.bytes);
    }
}

/* Only a stream that is being read gets the larger window: a stalled one holds no more than it did. */
static void grow(struct h2_session *s, struct h2_stream *st)
{
    if (st->window_bytes < s->window.bytes && !st->is_in_ended && !st->is_reset_ordered && !h2_host_is_at(s, BUDGET_TIGHT)) {
        st->window_bytes = s->window.bytes;
        nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, st->id, (int32_t)s->window.bytes);
    }
}

void h2_stream_consume(struct h2_stream *st, size_t len)
{
    struct h2_session *s = st->session;

    assert(len <= st->unconsumed);
    st->unconsumed -= len;
    if (len > 0 && h2_session_is_live(s)) {
        nghttp2_session_consume_stream(s->ng, st->id, len);
        grow(s, st);
        h2_session_dirty(s);
    }
}

void h2_stream_discard(struct h2_stream *st, size_t len)
{
    st->unconsumed += len;
    h2_stream_consume(st, len);
}
