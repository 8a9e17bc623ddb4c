/* SPDX-License-Identifier: Apache-2.0 */

/*
 * It reads only while it holds nothing, so what it holds is bounded. When a read in bulk mode brings less than a buffer the pipe goes
 * back: small pieces are cheaper to copy.
 */

#include "flow/one_way.h"

#include <errno.h>
#include <string.h>

#include "base/metric.h"

#define STEPS_MAX 8 /* in one event, so that one bulk stream does not starve the loop */

enum step { STEP_MORE, STEP_WAIT, STEP_ENDED, STEP_READ_FAILED, STEP_WRITE_FAILED };

static bool is_piped(const struct one_way *w)
{
    return w->pipe != NULL && splice_pending(w->pipe) > 0;
}

static void count(struct one_way *w, size_t len)
{
    w->moved += len;
    metric_add(w->bytes, len);
}

static enum step read_failed(struct one_way *w, ssize_t error)
{
    w->is_ended = true;
    w->error = (int)error;
    return STEP_READ_FAILED;
}

static enum step write_failed(struct one_way *w, ssize_t error)
{
    w->error = (int)error;
    return STEP_WRITE_FAILED;
}

static enum step wait_for_room(struct one_way *w)
{
    stream_want_read(w->from, false);
    stream_want_write(w->to, true);
    return STEP_WAIT;
}

/* --- copying --- */

static void hold(struct one_way *w, const uint8_t *data, size_t len)
{
    w->held = slab_alloc_raw(loop_slab(w->loop), len);
    memcpy(w->held, data, len);
    w->held_len = len;
    w->held_sent = 0;
}

static void release_held(struct one_way *w)
{
    slab_release(loop_slab(w->loop), w->held);
    w->held = NULL;
    w->held_len = 0;
    w->held_sent = 0;
}

static enum step flush_held(struct one_way *w)
{
    while (w->held_sent < w->held_len) {
        ssize_t n = stream_send(w->to, w->held + w->held_sent, w->held_len - w->held_sent);

        if (n == -EAGAIN) {
            return wait_for_room(w);
        }
        if (n < 0) {
            return write_failed(w, n);
        }
        w->held_sent += (size_t)n;
        count(w, (size_t)n);
    }
    release_held(w);
    return STEP_MORE;
}

static enum step copy_some(struct one_way *w)
{
    uint8_t *buffer = loop_read_buffer(w->loop);
    ssize_t got = stream_recv(w->from, buffer, LOOP_READ_BUFFER_SIZE);
    ssize_t sent;

    if (got == -EAGAIN) {
        return STEP_WAIT;
    }
    if (got < 0) {
        return read_failed(w, got);
    }
    if (got == 0) {
        w->is_ended = true;
        return STEP_ENDED;
    }
    w->full_reads = (size_t)got == LOOP_READ_BUFFER_SIZE ? w->full_reads + 1 : 0;
    sent = stream_send(w->to, buffer, (size_t)got);
    if (sent < 0 && sent != -EAGAIN) {
        return write_failed(w, sent);
    }
    if (sent > 0) {
        count(w, (size_t)sent);
    }
    if (sent < got) {
        size_t taken = sent > 0 ? (size_t)sent : 0;

        hold(w, buffer + taken, (size_t)got - taken);
        return wait_for_room(w);
    }
    return (size_t)got == LOOP_READ_BUFFER_SIZE ? STEP_MORE : STEP_WAIT;
}

/* --- splicing --- */

static enum step drain_pipe(struct one_way *w)
{
    while (splice_pending(w->pipe) > 0) {
        ssize_t n = splice_out(w->pipe, w->to);

        if (n == -EAGAIN) {
            return wait_for_room(w);
        }
        if (n < 0) {
            return write_failed(w, n);
        }
        count(w, (size_t)n);
    }
    return STEP_MORE;
}

static void leave_bulk(struct one_way *w)
{
    w->full_reads = 0;
    splice_pipe_put(w->pipes, &w->pipe);
}

static enum step splice_some(struct one_way *w)
{
    ssize_t got = splice_in(w->pipe, w->from);
    enum step step;

    if (got <= 0) {
        leave_bulk(w);
    }
    if (got == -EAGAIN) {
        return STEP_WAIT;
    }
    if (got < 0) {
        return read_failed(w, got);
    }
    if (got == 0) {
        w->is_ended = true;
        return STEP_ENDED;
    }
    step = drain_pipe(w);
    if (step == STEP_MORE && (size_t)got < LOOP_READ_BUFFER_SIZE) {
        leave_bulk(w); /* the sender does not keep up */
        return STEP_WAIT;
    }
    return step;
}

/* --- a turn --- */

static enum step next_step(struct one_way *w)
{
    if (w->held != NULL) {
        return flush_held(w);
    }
    if (is_piped(w)) {
        return drain_pipe(w);
    }
    if (w->is_ended) {
        return STEP_ENDED;
    }
    if (w->pipe == NULL && w->full_reads >= ONE_WAY_FULL_READS) {
        w->full_reads = 0;
        w->pipe = splice_pipe_get(w->pipes); /* none to be had: goes on copying */
    }
    return w->pipe != NULL ? splice_some(w) : copy_some(w);
}

enum one_way_outcome one_way_run(struct one_way *w)
{
    enum step step = STEP_MORE;

    for (unsigned i = 0; i < STEPS_MAX && step == STEP_MORE; i++) {
        step = next_step(w);
    }
    switch (step) {
    case STEP_READ_FAILED:
        return ONE_WAY_READ_FAILED;
    case STEP_WRITE_FAILED:
        return ONE_WAY_WRITE_FAILED;
    case STEP_ENDED:
        stream_want_write(w->to, false);
        return ONE_WAY_ENDED;
    case STEP_MORE:
    case STEP_WAIT:
        break;
    }
    if (w->held == NULL && !is_piped(w)) {
        stream_want_write(w->to, false);
        stream_want_read(w->from, true);
    }
    return ONE_WAY_WAITS;
}

void one_way_start(struct one_way *w, const void *held, size_t held_len, bool is_ended)
{
    w->is_ended = is_ended;
    if (held_len > 0) {
        hold(w, held, held_len);
    }
}

void one_way_stop(struct one_way *w)
{
    w->is_ended = true;
    release_held(w);
    splice_pipe_put(w->pipes, &w->pipe);
    stream_want_write(w->to, false);
    stream_want_read(w->from, false);
}
