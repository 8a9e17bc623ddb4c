/* SPDX-License-Identifier: Apache-2.0 */

/*
 * No SPLICE_F_MORE: it corks the connection and holds small messages back for 200 ms. Emptied pipes are kept for the next relay,
 * because opening one and growing it costs more than moving a few of them full.
 */

#include "net/splice.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/object.h"

/* What the kernel gives unasked. Past the user's page limit it gives a page or two, with which splice costs more than a copy. */
#define PIPE_BYTES_MIN 65536

struct splice_pipe {
    struct list node; /* in `idle` while not in use */
    int out;
    int in;
    size_t pending;
};

struct splice_pool {
    struct list idle;
    size_t count; /* idle and in use */
};

struct splice_pool *splice_pool_new(void)
{
    struct splice_pool *p = mem_alloc(sizeof *p);

    list_init(&p->idle);
    return p;
}

static void close_pipe(struct splice_pool *p, struct splice_pipe *pipe)
{
    close(pipe->in);
    close(pipe->out);
    mem_free(pipe);
    p->count--;
}

void splice_pool_free(struct splice_pool *p)
{
    struct list *node = NULL;

    if (p == NULL) {
        return;
    }
    while ((node = list_pop_front(&p->idle)) != NULL) {
        close_pipe(p, list_entry(node, struct splice_pipe, node));
    }
    assert(p->count == 0); /* every pipe has been put back */
    mem_free(p);
}

static struct splice_pipe *open_pipe(struct splice_pool *p)
{
    int fds[2];

    if (p->count >= SPLICE_POOL_MAX || pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
        return NULL;
    }
    int size = fcntl(fds[1], F_SETPIPE_SZ, (int)SPLICE_PIPE_BYTES);

    if (size < 0) {
        size = fcntl(fds[1], F_GETPIPE_SZ);
    }
    if (size < PIPE_BYTES_MIN) {
        close(fds[0]);
        close(fds[1]);
        return NULL;
    }
    struct splice_pipe *pipe = mem_alloc(sizeof *pipe);

    list_init(&pipe->node);
    pipe->out = fds[0];
    pipe->in = fds[1];
    p->count++;
    return pipe;
}

struct splice_pipe *splice_pipe_get(struct splice_pool *p)
{
    struct list *node = list_pop_front(&p->idle);
    struct splice_pipe *pipe = node != NULL ? list_entry(node, struct splice_pipe, node) : open_pipe(p);

    if (pipe != NULL) {
        object_created(OBJECT_PIPE);
    }
    return pipe;
}

void splice_pipe_put(struct splice_pool *p, struct splice_pipe **pipe)
{
    struct splice_pipe *done = *pipe;

    if (done == NULL) {
        return;
    }
    *pipe = NULL;
    object_destroyed(OBJECT_PIPE);
    if (done->pending > 0) {
        close_pipe(p, done);
    } else {
        list_push_front(&p->idle, &done->node);
    }
}

ssize_t splice_in(struct splice_pipe *pipe, struct stream *from)
{
    ssize_t n = splice(stream_fd(from), NULL, pipe->in, NULL, SPLICE_PIPE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    if (n < 0) {
        return -errno;
    }
    pipe->pending += (size_t)n;
    return n;
}

ssize_t splice_out(struct splice_pipe *pipe, struct stream *to)
{
    assert(pipe->pending > 0);
    ssize_t n = splice(pipe->out, NULL, stream_fd(to), NULL, pipe->pending, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    if (n < 0) {
        return -errno;
    }
    assert((size_t)n <= pipe->pending);
    pipe->pending -= (size_t)n;
    return n;
}

size_t splice_pending(const struct splice_pipe *pipe)
{
    return pipe->pending;
}
