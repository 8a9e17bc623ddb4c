/* SPDX-License-Identifier: Apache-2.0 */

/* Two rings of bits, one bit for each odd id; opening an id clears what the ring knew of those it passes over. */

#include "h2/stream_ids.h"

#include <string.h>

static uint64_t *word_of(uint64_t *ring, uint32_t id)
{
    return &ring[id / 2 % STREAM_IDS_MEMORY / 64];
}

static uint64_t bit_of(uint32_t id)
{
    return (uint64_t)1 << id / 2 % 64;
}

static bool is_set(const uint64_t *ring, uint32_t id)
{
    return (ring[id / 2 % STREAM_IDS_MEMORY / 64] & bit_of(id)) != 0;
}

/* Whether the rings have a place for it: client's, not above the highest, and recent. */
static bool is_remembered(const struct stream_ids *ids, uint32_t id)
{
    return id % 2 == 1 && id <= ids->highest && (ids->highest - id) / 2 < STREAM_IDS_MEMORY;
}

void stream_ids_open(struct stream_ids *ids, uint32_t id)
{
    uint32_t first = ids->highest == 0 ? 1 : ids->highest + 2;

    if (id % 2 == 0 || id <= ids->highest) {
        return;
    }
    if ((id - first) / 2 >= STREAM_IDS_MEMORY) {
        memset(ids->opened, 0, sizeof ids->opened);
        memset(ids->finished, 0, sizeof ids->finished);
        first = id;
    }
    for (uint32_t passed = first; passed <= id; passed += 2) {
        *word_of(ids->opened, passed) &= ~bit_of(passed);
        *word_of(ids->finished, passed) &= ~bit_of(passed);
    }
    *word_of(ids->opened, id) |= bit_of(id);
    ids->highest = id;
}

void stream_ids_finish(struct stream_ids *ids, uint32_t id)
{
    if (is_remembered(ids, id)) {
        *word_of(ids->finished, id) |= bit_of(id);
    }
}

bool stream_ids_is_skipped(const struct stream_ids *ids, uint32_t id)
{
    return is_remembered(ids, id) && !is_set(ids->opened, id);
}

bool stream_ids_is_finished(const struct stream_ids *ids, uint32_t id)
{
    return is_remembered(ids, id) && is_set(ids->finished, id);
}
