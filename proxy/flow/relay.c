/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each direction is in one of two modes. Copying: recv into the loop's buffer, send at once, keep what is not taken. Bulk: after
 * RELAY_FULL_READS full buffers in a row the direction borrows a pipe and splices; when a read brings less than a pipe's worth of
 * momentum the pipe goes back. A direction reads only while it holds nothing, so what it holds is bounded.
 */

#include "flow/relay.h"

#include <errno.h>
#include <string.h>

#include "base/metric.h"
#include "base/object.h"

struct direction_flow {
    struct relay *relay;
    struct stream *from;
    struct stream *to;
    struct metric *bytes;
    uint8_t *held; /* bytes `to` has not taken; NULL when none */
    size_t held_len;
    size_t held_sent;
    unsigned full_reads;      /* in a row */
    struct splice_pipe *pipe; /* in bulk mode */
    bool is_ended;            /* FIN read */
    bool is_shut;             /* FIN passed on */
};

struct relay {
    struct grave grave;
    struct loop *loop;
    struct splice_pool *pipes;
    struct stream client;
    struct stream server;
    struct direction_flow to_server;
    struct direction_flow to_client;
    void (*on_end)(void *ctx, enum close_reason reason); /* NULL once told */
    void *ctx;
    struct deferred begin; /* the held bytes go out after relay_new has returned */
};

enum step { STEP_WAIT, STEP_MORE, STEP_OVER };

/* --- the end --- */

static void end(struct relay *r, enum close_reason reason)
{
    void (*on_end)(void *ctx, enum close_reason reason) = r->on_end;

    if (on_end != NULL) {
        r->on_end = NULL;
        on_end(r->ctx, reason);
    }
}

static enum step fail(struct direction_flow *f, int error)
{
    end(f->relay, error == -ECONNRESET || error == -EPIPE ? CLOSE_PEER_RESET : CLOSE_IO_ERROR);
    return STEP_OVER;
}

/* FIN is passed on once everything before it is. */
static enum step pass_end(struct direction_flow *f)
{
    struct relay *r = f->relay;

    stream_want_read(f->from, false);
    if (!f->is_shut) {
        f->is_shut = true;
        stream_shutdown_write(f->to);
    }
    if (r->to_server.is_shut && r->to_client.is_shut) {
        end(r, CLOSE_DONE);
        return STEP_OVER;
    }
    return STEP_WAIT;
}

/* --- copying --- */

static void hold(struct direction_flow *f, const uint8_t *data, size_t len)
{
    f->held = slab_alloc_raw(loop_slab(f->relay->loop), len);
    memcpy(f->held, data, len);
    f->held_len = len;
    f->held_sent = 0;
    f->full_reads = 0;
    stream_want_read(f->from, false);
    stream_want_write(f->to, true);
}

static void release_held(struct direction_flow *f)
{
    slab_release(loop_slab(f->relay->loop), f->held);
    f->held = NULL;
    f->held_len = 0;
    f->held_sent = 0;
}

static enum step flush_held(struct direction_flow *f)
{
    while (f->held_sent < f->held_len) {
        ssize_t n = stream_send(f->to, f->held + f->held_sent, f->held_len - f->held_sent);

        if (n == -EAGAIN) {
            stream_want_write(f->to, true);
            return STEP_WAIT;
        }
        if (n < 0) {
            return fail(f, (int)n);
        }
        f->held_sent += (size_t)n;
        metric_add(f->bytes, (uint64_t)n);
    }
    release_held(f);
    return STEP_MORE;
}

static enum step copy_some(struct direction_flow *f)
{
    uint8_t *buffer = loop_read_buffer(f->relay->loop);
    ssize_t got = stream_recv(f->from, buffer, LOOP_READ_BUFFER_SIZE);
    ssize_t sent;

    if (got == -EAGAIN) {
        return STEP_WAIT;
    }
    if (got < 0) {
        return fail(f, (int)got);
    }
    if (got == 0) {
        f->is_ended = true;
        return pass_end(f);
    }
    f->full_reads = (size_t)got == LOOP_READ_BUFFER_SIZE ? f->full_reads + 1 : 0;
    sent = stream_send(f->to, buffer, (size_t)got);
    if (sent < 0 && sent != -EAGAIN) {
        return fail(f, (int)sent);
    }
    if (sent > 0) {
        metric_add(f->bytes, (uint64_t)sent);
    }
    if (sent < got) {
        size_t taken = sent > 0 ? (size_t)sent : 0;
        unsigned full_reads = f->full_reads;

        hold(f, buffer + taken, (size_t)got - taken);
        f->full_reads = full_reads;
        return STEP_WAIT;
    }
    return (size_t)got == LOOP_READ_BUFFER_SIZE ? STEP_MORE : STEP_WAIT;
}

/* --- splicing --- */

static enum step drain_pipe(struct direction_flow *f)
{
    while (splice_pending(f->pipe) > 0) {
        ssize_t n = splice_out(f->pipe, f->to);

        if (n == -EAGAIN) {
            stream_want_read(f->from, false);
            stream_want_write(f->to, true);
            return STEP_WAIT;
        }
        if (n < 0) {
            return fail(f, (int)n);
        }
        metric_add(f->bytes, (uint64_t)n);
    }
    return STEP_MORE;
}

static void leave_bulk(struct direction_flow *f)
{
    f->full_reads = 0;
    splice_pipe_put(f->relay->pipes, &f->pipe);
}

static enum step splice_some(struct direction_flow *f)
{
    ssize_t got = splice_in(f->pipe, f->from);
    enum step step;

    if (got == -EAGAIN) {
        leave_bulk(f);
        return STEP_WAIT;
    }
    if (got < 0) {
        return fail(f, (int)got);
    }
    if (got == 0) {
        leave_bulk(f);
        f->is_ended = true;
        return pass_end(f);
    }
    step = drain_pipe(f);
    if (step == STEP_MORE && (size_t)got < LOOP_READ_BUFFER_SIZE) {
        leave_bulk(f); /* the sender does not keep up: small pieces are cheaper to copy */
        return STEP_WAIT;
    }
    return step;
}

/* --- a direction's turn --- */

#define STEPS_MAX 8 /* in one event, so that one bulk stream does not starve the loop */

static void run(struct direction_flow *f)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        enum step step = STEP_MORE;

        if (f->held != NULL) {
            step = flush_held(f);
        } else if (f->pipe != NULL && splice_pending(f->pipe) > 0) {
            step = drain_pipe(f);
        } else if (f->is_ended) {
            step = pass_end(f);
        } else if (f->pipe != NULL) {
            step = splice_some(f);
        } else {
            if (f->full_reads >= RELAY_FULL_READS) {
                f->full_reads = 0;
                f->pipe = splice_pipe_get(f->relay->pipes); /* none to be had: goes on copying */
            }
            step = f->pipe != NULL ? splice_some(f) : copy_some(f);
        }
        if (step == STEP_OVER) {
            return;
        }
        if (step == STEP_WAIT) {
            break;
        }
    }
    if (f->held == NULL && (f->pipe == NULL || splice_pending(f->pipe) == 0)) {
        stream_want_write(f->to, false);
        stream_want_read(f->from, !f->is_ended);
    }
}

static void on_client_readable(struct stream *s)
{
    run(&container_of(s, struct relay, client)->to_server);
}

static void on_client_writable(struct stream *s)
{
    run(&container_of(s, struct relay, client)->to_client);
}

static void on_server_readable(struct stream *s)
{
    run(&container_of(s, struct relay, server)->to_client);
}

static void on_server_writable(struct stream *s)
{
    run(&container_of(s, struct relay, server)->to_server);
}

/* --- life --- */

static void begin(struct deferred *d)
{
    struct relay *r = container_of(d, struct relay, begin);

    run(&r->to_server);
    if (r->on_end != NULL) {
        run(&r->to_client);
    }
}

static void start_flow(struct direction_flow *f, const void *held, size_t held_len, bool is_ended)
{
    f->is_ended = is_ended;
    if (held_len > 0) {
        hold(f, held, held_len);
    }
}

struct relay *relay_new(const struct relay_start *start, void (*on_end)(void *ctx, enum close_reason reason), void *ctx)
{
    struct loop *l = start->client->loop;
    struct relay *r = slab_alloc(loop_slab(l), sizeof *r);

    object_created(OBJECT_RELAY);
    r->loop = l;
    r->pipes = start->pipes;
    r->on_end = on_end;
    r->ctx = ctx;
    stream_move(&r->client, start->client);
    stream_move(&r->server, start->server);
    stream_set_handlers(&r->client, on_client_readable, on_client_writable);
    stream_set_handlers(&r->server, on_server_readable, on_server_writable);
    r->to_server = (struct direction_flow){.relay = r, .from = &r->client, .to = &r->server, .bytes = start->to_server_bytes};
    r->to_client = (struct direction_flow){.relay = r, .from = &r->server, .to = &r->client, .bytes = start->to_client_bytes};
    start_flow(&r->to_server, start->from_client, start->from_client_len, start->is_client_ended);
    start_flow(&r->to_client, start->from_server, start->from_server_len, start->is_server_ended);
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

void relay_close(struct relay **link, bool is_abort)
{
    struct relay *r = *link;

    if (r == NULL) {
        return;
    }
    *link = NULL;
    r->on_end = NULL;
    loop_undefer(&r->begin);
    if (is_abort) {
        stream_abort(&r->client);
        stream_abort(&r->server);
    } else {
        stream_close(&r->client);
        stream_close(&r->server);
    }
    release_held(&r->to_server);
    release_held(&r->to_client);
    splice_pipe_put(r->pipes, &r->to_server.pipe);
    splice_pipe_put(r->pipes, &r->to_client.pipe);
    loop_bury(r->loop, &r->grave, relay_reap);
}
