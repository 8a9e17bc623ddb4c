/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What balancing knows of one endpoint, and the set of one Service's endpoints that requests are balanced over. The set keeps what
 * concerns all of them: the common median of their latencies, and how many are ejected (never more than half).
 *
 *     endpoint_set ── members ─▶ endpoint_stats ── load ─▶ load (process-wide)
 *                                      └ embedded in the owner's endpoint, found by container_of
 *
 * Owner:   both are embedded. The set owns its arrays, never its members; stats are removed from the set before they are freed.
 * Threads: one worker's, except the load.
 * Errors:  none.
 * Limits:  as many members as one discovery message can list (its size is capped). Adding and removing is O(1), the median is
 *          O(members), but at most once in members / 2 picks or once in 100 ms: on average a constant for each pick.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/usec.h"
#include "policy/backoff.h"
#include "policy/ewma.h"
#include "policy/load.h"

/* The constants of the rule that are a matter of time scale. */
struct balance_policy {
    struct usec latency_decay;      /* of the latency average */
    struct usec forgive_decay;      /* what an endpoint did wrong fades with this when it is not asked */
    double failure_weight;          /* of one outcome in the failure average; in (0, 1) */
    unsigned ejection_failures;     /* in a row; ≥ 1 */
    struct backoff_policy ejection; /* how long an endpoint stays out */
    struct backoff_policy connect;  /* how long it is passed over after a failed connect */
};

extern const struct balance_policy balance_policy_default;

enum ejection_state {
    EJECTION_NONE,
    EJECTION_OUT,   /* until `ejected_until` */
    EJECTION_TRIAL, /* competes again: the first outcome decides */
};

struct endpoint_set;

struct endpoint_stats {
    const struct balance_policy *policy; /* link; outlives the stats */
    struct load *load;                   /* link; outlives the stats */
    struct endpoint_set *set;            /* link; NULL while in none */
    size_t index;                        /* in set->members */
    bool is_draining;                    /* written by the owner: serves what it has, gets nothing new */
    uint32_t weight;                     /* ≥ 1; its share compared with the others' (endpoint_set_weigh) */

    bool is_measured;    /* until then it counts as the median of its peers */
    struct ewma latency; /* time to first byte of successes; once measured */
    struct usec joined;  /* the seed's date */

    double failing; /* 1 − success ratio, at `failing_at` */
    struct usec failing_at;

    enum ejection_state ejection;
    unsigned failures; /* in a row */
    struct usec ejected_until;
    bool was_out; /* when it left its set */
    struct backoff ejections;

    struct usec connect_after; /* no new request before */
    struct backoff connects;
};

struct endpoint_set {
    struct endpoint_stats **members; /* in no particular order: picking shuffles them */
    double *scratch;                 /* one for each member */
    size_t count;
    size_t size;
    size_t ejected; /* members that are EJECTION_OUT; ≤ count / 2 */
    double median;  /* microseconds; 0 until anything was measured */
    size_t picks;   /* since the median was taken */
    struct usec median_at;
    uint32_t lightest; /* weight ≥ 1; as the next, of the last refresh */
    uint32_t heaviest;
    bool is_weight_stale; /* members or weights have changed since */
};

/* In no set, never measured, nothing held against it. */
void endpoint_stats_init(struct endpoint_stats *s, struct load *load, const struct balance_policy *policy, struct usec now);

void endpoint_set_init(struct endpoint_set *set);

/* Members that are left belong to no set afterwards. */
void endpoint_set_deinit(struct endpoint_set *set);

/* `s` is in no set. If it was ejected when it left one, it is so here for the rest of its time, if the floor allows. */
void endpoint_set_add(struct endpoint_set *set, struct endpoint_stats *s);

/* Nothing happens if `s` is in no set. What is known of it stays, but an ejection becomes a trial until it returns. */
void endpoint_set_remove(struct endpoint_set *set, struct endpoint_stats *s);

/* Changes a weight, in a set or not. */
void endpoint_set_weigh(struct endpoint_stats *s, uint32_t weight);

size_t endpoint_set_count(const struct endpoint_set *set);

/* Swaps two members' places. */
void endpoint_set_swap(struct endpoint_set *set, size_t a, size_t b);

/* For each pick: takes the median anew if it is due, and ends ejections that are over. */
void endpoint_set_refresh(struct endpoint_set *set, struct usec now);

/* Puts a member out. False if half of the members would not be left: then nothing changes. */
bool endpoint_set_eject(struct endpoint_set *set, struct endpoint_stats *s, struct usec until);

/* Whether `s` is out at `now`. An ejection that is over becomes a trial here. */
bool endpoint_set_is_ejected(struct endpoint_set *set, struct endpoint_stats *s, struct usec now);
