/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes from one socket to another, one direction of a relay.
 *
 *     from ──▶ recv into the loop's buffer ──▶ send              what `to` does not take is held, and stops the reading
 *     from ──▶ splice through a borrowed pipe ──▶ to             once ONE_WAY_FULL_READS full buffers in a row have shown bulk
 *
 * Owner:   embedded in a side of a relay, which calls one_way_run from the sockets' events.
 * Threads: the worker's.
 * Errors:  an outcome says which socket failed; nothing is called back.
 * Limits:  ONE_WAY_HELD_MAX bytes in memory, or one pipe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/splice.h"
#include "net/stream.h"

#define ONE_WAY_HELD_MAX LOOP_READ_BUFFER_SIZE
#define ONE_WAY_FULL_READS 4 /* in a row make it bulk */

struct metric;

struct one_way {
    struct loop *loop;
    struct splice_pool *pipes;
    struct stream *from;
    struct stream *to;
    struct metric *bytes; /* counts what `to` took */
    uint64_t moved;       /* the same */
    uint8_t *held;        /* bytes `to` has not taken; NULL when none */
    size_t held_len;
    size_t held_sent;
    unsigned full_reads;      /* in a row */
    struct splice_pipe *pipe; /* in bulk mode */
    int error;                /* of the last failure; negative errno */
    bool is_ended;            /* nothing more will be read */
};

enum one_way_outcome {
    ONE_WAY_WAITS,       /* for an event of either socket */
    ONE_WAY_ENDED,       /* the end of `from` was read (now or before), and `to` has taken all that came before it */
    ONE_WAY_READ_FAILED, /* the same, but it was an error */
    ONE_WAY_WRITE_FAILED
};

/* `held` goes first (copied). `is_ended`: the FIN was read already. */
void one_way_start(struct one_way *w, const void *held, size_t held_len, bool is_ended);

/* Moves what can be moved; wants the right events afterwards. */
enum one_way_outcome one_way_run(struct one_way *w) MUST_CHECK;

/* What is held is dropped and nothing more is read. */
void one_way_stop(struct one_way *w);
