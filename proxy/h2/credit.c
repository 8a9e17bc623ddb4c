/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Window credit. The connection's goes back as soon as its bytes are in a stream's hands; the stream's when its handler gives them back,
 * that is when they have left to the other side. So a reader that stalls stops its own stream's sender and nobody else on a connection
 * that many share, and what one stream can hold is its window.
 */

#include "h2/session_internal.h"

void h2_credit_received(struct h2_session *s, size_t len)
{
    nghttp2_session_consume_connection(s->ng, len);
}

void h2_stream_consume(struct h2_stream *st, size_t len)
{
    struct h2_session *s = st->session;

    assert(len <= st->unconsumed);
    st->unconsumed -= len;
    if (len > 0 && h2_session_is_live(s)) {
        nghttp2_session_consume_stream(s->ng, st->id, len);
        h2_session_dirty(s);
    }
}

void h2_stream_discard(struct h2_stream *st, size_t len)
{
    st->unconsumed += len;
    h2_stream_consume(st, len);
}
