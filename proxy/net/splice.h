/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Moving bytes from one socket to another inside the kernel, through a pipe. Pays for bulk (0.4 of the CPU of a 64 KiB copy), costs
 * for small messages: the relay copies first and switches when a direction proves to be bulk.
 *
 * Owner:   the pool belongs to a worker; a pipe to one direction of one relay while it holds bytes or is in use.
 * Threads: the loop's.
 * Errors:  negative errno.
 * Limits:  SPLICE_POOL_MAX pipes of SPLICE_PIPE_BYTES a worker (fs.pipe-user-pages-soft is 64 MiB a user); beyond it: no pipe, copy.
 */

#include <stddef.h>
#include <sys/types.h>

#include "base/container.h"
#include "net/stream.h"

#define SPLICE_POOL_MAX 64
#define SPLICE_PIPE_BYTES ((size_t)256 * 1024)

struct splice_pool;
struct splice_pipe;

struct splice_pool *splice_pool_new(void);
void splice_pool_free(struct splice_pool *p);

/* NULL when none is to be had. */
struct splice_pipe *splice_pipe_get(struct splice_pool *p);

/* A pipe with bytes left in it is closed, not reused. Nulls the caller's link; accepts NULL inside. */
void splice_pipe_put(struct splice_pool *p, struct splice_pipe **pipe);

/* Socket → pipe. Bytes (> 0), 0 at FIN, -EAGAIN when the socket is empty or the pipe is full. */
ssize_t splice_in(struct splice_pipe *pipe, struct stream *from) MUST_CHECK;

/* Pipe → socket. Bytes (> 0) or -EAGAIN, … Not to be called with an empty pipe. */
ssize_t splice_out(struct splice_pipe *pipe, struct stream *to) MUST_CHECK;

size_t splice_pending(const struct splice_pipe *pipe); /* bytes in the pipe */
