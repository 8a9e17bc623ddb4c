/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a peer may still send on a stream, told from its own frames alone: which of the client's streams were ever opened, and on which
 * of them the peer has finished (END_STREAM or RST_STREAM). nghttp2 forgets a stream when it is closed and then ignores what comes for
 * it; RFC 9113 §5.1 wants a peer that goes on sending refused.
 *
 * A frame for a stream that we have reset is no mistake, the peer may not have heard of it: nothing of ours is noted here.
 *
 * Owner:   embedded, one for each connection.
 * Errors:  none.
 * Limits:  remembers the last STREAM_IDS_MEMORY ids; older ones may be anything.
 */

#include <stdbool.h>
#include <stdint.h>

#define STREAM_IDS_MEMORY 1024

struct stream_ids {
    uint32_t highest; /* opened so far; 0: none */
    uint64_t opened[STREAM_IDS_MEMORY / 64];
    uint64_t finished[STREAM_IDS_MEMORY / 64];
};

/* The client has opened stream `id`, an odd one above `highest`. */
void stream_ids_open(struct stream_ids *ids, uint32_t id);

/* The peer will send nothing more on it. */
void stream_ids_finish(struct stream_ids *ids, uint32_t id);

/* Certain to have been passed over: lower than `highest`, never opened (RFC 9113 §5.1.1). */
bool stream_ids_is_skipped(const struct stream_ids *ids, uint32_t id);

/* The peer has finished on it. */
bool stream_ids_is_finished(const struct stream_ids *ids, uint32_t id);
