/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An array with holes closed by the last member. Every change of the number of members or of ejected ones restores
 * `ejected ≤ count / 2`, so that no other place needs to think of the floor.
 */

#include "policy/endpoint_set.h"

#include <assert.h>

#include "base/mem.h"
#include "policy/median.h"

#define FIRST_SIZE 8
#define MEDIAN_AGE \
    (struct usec)  \
    {              \
        100 * 1000 \
    }

/* Time constants and their effect: simulated against real-life mixes of load, speed, pauses and failures. */
const struct balance_policy balance_policy_default = {
    .latency_decay = {2 * 1000 * 1000},
    .forgive_decay = {10 * 1000 * 1000},
    .failure_weight = 0.1,
    .ejection_failures = 5,
    .ejection = {.first = {5 * 1000 * 1000}, .max = {80 * 1000 * 1000}, .jitter_percent = 25},
    .connect = {.first = {100 * 1000}, .max = {10 * 1000 * 1000}, .jitter_percent = 20},
};

void endpoint_stats_init(struct endpoint_stats *s, struct load *load, const struct balance_policy *policy, struct usec now)
{
    *s = (struct endpoint_stats){.policy = policy, .load = load, .weight = 1, .joined = now, .failing_at = now};
    backoff_init(&s->ejections, &policy->ejection);
    backoff_init(&s->connects, &policy->connect);
}

void endpoint_set_init(struct endpoint_set *set)
{
    *set = (struct endpoint_set){.lightest = 1, .heaviest = 1};
}

void endpoint_set_deinit(struct endpoint_set *set)
{
    while (set->count > 0) {
        endpoint_set_remove(set, set->members[set->count - 1]);
    }
    mem_free(set->members);
    mem_free(set->scratch);
    endpoint_set_init(set);
}

void endpoint_set_add(struct endpoint_set *set, struct endpoint_stats *s)
{
    assert(s->set == NULL);
    if (set->count == set->size) {
        set->size = set->size == 0 ? FIRST_SIZE : set->size * 2;
        set->members = mem_realloc_array(set->members, set->size, sizeof *set->members);
        set->scratch = mem_realloc_array(set->scratch, set->size, sizeof *set->scratch);
    }
    s->set = set;
    s->index = set->count;
    set->members[set->count++] = s;
    set->is_weight_stale = true;
    if (s->was_out && s->ejection == EJECTION_TRIAL) {
        s->ejection = EJECTION_NONE;
        if (!endpoint_set_eject(set, s, s->ejected_until)) {
            s->ejection = EJECTION_TRIAL;
        }
    }
    s->was_out = false;
}

static void readmit(struct endpoint_set *set, struct endpoint_stats *s)
{
    assert(s->ejection == EJECTION_OUT && set->ejected > 0);
    s->ejection = EJECTION_TRIAL;
    set->ejected--;
}

/* The ejected one whose time would end first; there is one. */
static struct endpoint_stats *first_to_return(const struct endpoint_set *set)
{
    struct endpoint_stats *found = NULL;

    for (size_t i = 0; i < set->count; i++) {
        struct endpoint_stats *s = set->members[i];

        if (s->ejection == EJECTION_OUT && (found == NULL || usec_before(s->ejected_until, found->ejected_until))) {
            found = s;
        }
    }
    assert(found != NULL);
    return found;
}

void endpoint_set_remove(struct endpoint_set *set, struct endpoint_stats *s)
{
    if (s->set == NULL) {
        return;
    }
    assert(s->set == set && set->members[s->index] == s);
    s->was_out = s->ejection == EJECTION_OUT;
    if (s->was_out) {
        readmit(set, s);
    }
    endpoint_set_swap(set, s->index, set->count - 1);
    set->count--;
    set->is_weight_stale = true;
    s->set = NULL;
    if (set->ejected > set->count / 2) {
        readmit(set, first_to_return(set));
    }
}

size_t endpoint_set_count(const struct endpoint_set *set)
{
    return set->count;
}

void endpoint_set_swap(struct endpoint_set *set, size_t a, size_t b)
{
    struct endpoint_stats *held = set->members[a];

    set->members[a] = set->members[b];
    set->members[b] = held;
    set->members[a]->index = a;
    set->members[b]->index = b;
}

void endpoint_set_weigh(struct endpoint_stats *s, uint32_t weight)
{
    assert(weight >= 1);
    if (s->weight != weight && s->set != NULL) {
        s->set->is_weight_stale = true;
    }
    s->weight = weight;
}

static void refresh_weights(struct endpoint_set *set)
{
    set->lightest = set->count > 0 ? UINT32_MAX : 1;
    set->heaviest = 1;
    for (size_t i = 0; i < set->count; i++) {
        uint32_t weight = set->members[i]->weight;

        set->heaviest = weight > set->heaviest ? weight : set->heaviest;
        set->lightest = weight < set->lightest ? weight : set->lightest;
    }
    set->is_weight_stale = false;
}

void endpoint_set_refresh(struct endpoint_set *set, struct usec now)
{
    size_t measured = 0;

    if (set->is_weight_stale) {
        refresh_weights(set);
    }
    set->picks++;
    if (set->picks < set->count / 2 && usec_before(usec_since(now, set->median_at), MEDIAN_AGE)) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        struct endpoint_stats *s = set->members[i];

        (void)endpoint_set_is_ejected(set, s, now);
        if (s->is_measured) {
            set->scratch[measured++] = s->latency.value;
        }
    }
    if (measured > 0) {
        set->median = median_select(set->scratch, measured);
    }
    set->picks = 0;
    set->median_at = now;
}

bool endpoint_set_eject(struct endpoint_set *set, struct endpoint_stats *s, struct usec until)
{
    assert(s->set == set && s->ejection != EJECTION_OUT);
    if (set->ejected >= set->count / 2) {
        return false;
    }
    s->ejection = EJECTION_OUT;
    s->ejected_until = until;
    set->ejected++;
    return true;
}

bool endpoint_set_is_ejected(struct endpoint_set *set, struct endpoint_stats *s, struct usec now)
{
    if (s->ejection == EJECTION_OUT && !usec_before(now, s->ejected_until)) {
        readmit(set, s);
    }
    return s->ejection == EJECTION_OUT;
}
