/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What happens to a side is recorded in it; settle() alone decides whether the relay is over.
 *
 * TCP has no event for "the peer has acknowledged everything", and closing with a RST throws away what it has not. So the last bytes
 * before a RST are waited for with a timer that asks the kernel, in steps from 1 ms up. The same timer keeps a relay whose FINs have
 * both been passed on while bytes wait for a slow reader: a socket that nobody owns is given up by the kernel after about 100 s.
 */

#include "flow/relay.h"

#include <errno.h>

#include "base/object.h"
#include "flow/one_way.h"
#include "net/timer.h"

#define POLL_FIRST usec_from_ms(1)
#define POLL_MAX usec_from_ms(100)

struct side {
    struct relay *relay;
    struct side *other;
    struct stream stream;
    struct one_way sends; /* to the other side */
    int error;            /* negative errno once it is broken */
    bool is_done;         /* all it had to send has been passed on, its FIN too if it sent one */
};

struct relay {
    struct grave grave;
    struct loop *loop;
    struct side client;
    struct side server;
    void (*on_end)(void *ctx, enum close_reason reason); /* NULL once told */
    void *ctx;
    struct deferred begin; /* the held bytes go out after relay_new has returned */

    struct usec keepalive;
    struct timer pulse; /* are both peers still there? */

    struct usec reset_patience;
    struct timer poll; /* while waiting for what only the kernel knows */
    struct usec poll_delay;
    struct usec progress_at;
    uint64_t acknowledged; /* at progress_at */
};

/* --- the end --- */

static void end(struct relay *r, enum close_reason reason)
{
    void (*on_end)(void *ctx, enum close_reason reason) = r->on_end;

    if (on_end != NULL) {
        r->on_end = NULL;
        on_end(r->ctx, reason);
    }
}

static struct side *broken_side(struct relay *r)
{
    if (r->client.error != 0) {
        return &r->client;
    }
    return r->server.error != 0 ? &r->server : NULL;
}

static bool is_over(const struct relay *r, const struct side *broken)
{
    if (broken == NULL) {
        return r->client.is_done && r->server.is_done && stream_unsent(&r->client.stream) == 0 &&
               stream_unsent(&r->server.stream) == 0;
    }
    return broken->other->error != 0 || (broken->is_done && stream_unacknowledged(&broken->other->stream) == 0);
}

static void settle(struct relay *r)
{
    struct side *broken = broken_side(r);

    if (is_over(r, broken)) {
        end(r, broken != NULL ? close_reason_of_io(broken->error) : CLOSE_DONE);
    } else if ((broken != NULL || (r->client.is_done && r->server.is_done)) && !timer_is_set(&r->poll)) {
        r->poll_delay = POLL_FIRST;
        r->progress_at = loop_now(r->loop);
        timer_set(&r->poll, r->poll_delay);
    }
}

/* Has the receiver of a broken side's last bytes stopped taking them? */
static bool is_stuck(struct relay *r, const struct side *broken)
{
    uint64_t acknowledged = broken->sends.moved - stream_unacknowledged(&broken->other->stream);

    if (acknowledged != r->acknowledged) {
        r->acknowledged = acknowledged;
        r->progress_at = loop_now(r->loop);
    }
    return usec_since(loop_now(r->loop), r->progress_at).v >= r->reset_patience.v;
}

static void on_poll(struct timer *t)
{
    struct relay *r = container_of(t, struct relay, poll);
    const struct side *broken = broken_side(r);

    if (is_over(r, broken) || (broken != NULL && is_stuck(r, broken))) {
        end(r, broken != NULL ? close_reason_of_io(broken->error) : CLOSE_DONE);
        return;
    }
    r->poll_delay.v = r->poll_delay.v * 2 < POLL_MAX.v ? r->poll_delay.v * 2 : POLL_MAX.v;
    timer_set(&r->poll, r->poll_delay);
}

/* --- what happens to a side --- */

/*
 * All it sent has been passed on. A broken side's socket reads as ended whether a FIN had come or not, and an end that is none must
 * not look like one; the kernel's error for a reset after a FIN is EPIPE.
 */
static void sent_all(struct side *s)
{
    if (!s->is_done) {
        s->is_done = true;
        if (s->error == 0 || s->error == -EPIPE) {
            stream_shutdown_write(&s->other->stream);
        }
    }
    settle(s->relay);
    if (s->relay->on_end != NULL) {
        stream_want_read(&s->stream, false);
    }
}

static void run(struct side *s);

/* Nobody takes what goes to it any more; what it has sent before goes on. */
static void broke(struct side *s, int error)
{
    if (s->error != 0) {
        return;
    }
    s->error = error;
    one_way_stop(&s->other->sends);
    run(s);
    if (s->relay->on_end != NULL) {
        settle(s->relay);
    }
}

static void run(struct side *s)
{
    switch (one_way_run(&s->sends)) {
    case ONE_WAY_WAITS:
        return;
    case ONE_WAY_ENDED:
        sent_all(s);
        return;
    case ONE_WAY_READ_FAILED:
        broke(s, s->sends.error);
        return;
    case ONE_WAY_WRITE_FAILED:
        broke(s->other, s->sends.error);
        return;
    }
}

static void on_readable(struct stream *stream)
{
    run(container_of(stream, struct side, stream));
}

static void on_writable(struct stream *stream)
{
    run(container_of(stream, struct side, stream)->other);
}

static void on_hangup(struct stream *stream)
{
    struct side *s = container_of(stream, struct side, stream);
    int error = s->relay->on_end != NULL ? stream_take_error(stream) : 0;

    if (error != 0) {
        broke(s, error);
    }
}

static void on_pulse(struct timer *t)
{
    struct relay *r = container_of(t, struct relay, pulse);
    struct usec limit = {2 * r->keepalive.v};

    timer_set(t, r->keepalive);
    if (stream_peer_is_gone(&r->client.stream, limit)) {
        broke(&r->client, -ETIMEDOUT);
    } else if (stream_peer_is_gone(&r->server.stream, limit)) {
        broke(&r->server, -ETIMEDOUT);
    }
}

/* --- life --- */

static void begin(struct deferred *d)
{
    struct relay *r = container_of(d, struct relay, begin);

    run(&r->client);
    if (r->on_end != NULL) {
        run(&r->server);
    }
}

static void side_init(struct side *s, struct relay *r, struct side *other, struct stream *socket)
{
    s->relay = r;
    s->other = other;
    stream_move(&s->stream, socket);
    stream_set_handlers(&s->stream, on_readable, on_writable);
    stream_set_hangup_handler(&s->stream, on_hangup);
}

static void sends_init(struct side *s, const struct relay_start *start, struct metric *bytes)
{
    s->sends = (struct one_way){
        .loop = s->relay->loop, .pipes = start->pipes, .from = &s->stream, .to = &s->other->stream, .bytes = bytes};
}

struct relay *relay_new(const struct relay_start *start, void (*on_end)(void *ctx, enum close_reason reason), void *ctx)
{
    struct loop *l = start->client->loop;
    struct relay *r = slab_alloc(loop_slab(l), sizeof *r);

    object_created(OBJECT_RELAY);
    r->loop = l;
    r->on_end = on_end;
    r->ctx = ctx;
    r->reset_patience = start->reset_patience;
    side_init(&r->client, r, &r->server, start->client);
    side_init(&r->server, r, &r->client, start->server);
    sends_init(&r->client, start, start->to_server_bytes);
    sends_init(&r->server, start, start->to_client_bytes);
    one_way_start(&r->client.sends, start->from_client, start->from_client_len, start->is_client_ended);
    one_way_start(&r->server.sends, start->from_server, start->from_server_len, start->is_server_ended);
    timer_init(&r->poll, l, on_poll);
    timer_init(&r->pulse, l, on_pulse);
    r->keepalive = start->keepalive;
    if (r->keepalive.v > 0) {
        timer_set(&r->pulse, r->keepalive);
    }
    deferred_init(&r->begin, begin);
    loop_defer(l, &r->begin);
    return r;
}

static void relay_reap(struct grave *g)
{
    struct relay *r = container_of(g, struct relay, grave);

    slab_release(loop_slab(r->loop), r);
    object_destroyed(OBJECT_RELAY);
}

static void side_close(struct side *s, bool is_abort)
{
    one_way_stop(&s->sends);
    if (is_abort) {
        stream_abort(&s->stream);
    } else {
        stream_close(&s->stream);
    }
}

void relay_close(struct relay **link, bool is_abort)
{
    struct relay *r = *link;

    if (r == NULL) {
        return;
    }
    *link = NULL;
    r->on_end = NULL;
    loop_undefer(&r->begin);
    timer_stop(&r->poll);
    timer_stop(&r->pulse);
    stream_set_hangup_handler(&r->client.stream, NULL); /* closing stops the reading: no reason to watch the socket for that */
    stream_set_hangup_handler(&r->server.stream, NULL);
    side_close(&r->client, is_abort);
    side_close(&r->server, is_abort);
    loop_bury(r->loop, &r->grave, relay_reap);
}
