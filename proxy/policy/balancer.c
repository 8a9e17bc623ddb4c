/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Sampling without replacement is the start of a shuffle: the members' order means nothing, so the sample is swapped to the front of
 * the set's own array and needs neither memory nor a test for repeats. Equal costs go to the one drawn first, which is fair.
 *
 * Where weights differ, a draw is thrown back with the probability that its weight falls short of the heaviest; after some draws the
 * heaviest of them is taken, so that one heavy endpoint among thousands of light ones costs no more than that.
 *
 * The cube makes queues count more than speed: latency already contains some of the queue, but seconds late, while in-flight is exact.
 */

#include "policy/balancer.h"

#include <math.h>

#define CHOICES 5
#define LOOKS_MAX 64
#define DRAWS_MAX 32
#define BAND 1.25            /* within m / BAND … m · BAND an average counts as m */
#define SUCCESS_LEAST 0.02   /* keeps the cost finite */
#define FAILING_LEAST 0.0001 /* below this an endpoint counts as faultless, and picking needs no exp() for it */

static double faded(double value, struct usec age, struct usec decay)
{
    return value * exp(-usec_seconds(age) / usec_seconds(decay));
}

static double success_ratio(const struct endpoint_stats *s, struct usec now)
{
    if (s->failing < FAILING_LEAST) {
        return 1;
    }
    return 1 - faded(s->failing, usec_since(now, s->failing_at), s->policy->forgive_decay);
}

/* The latency this endpoint is judged by, with m the median of all. */
static double judged_latency(const struct endpoint_stats *s, double m, struct usec now)
{
    if (!s->is_measured || m <= 0) {
        return m;
    }
    double ratio = s->latency.value / m;
    if (ratio < 1 / BAND || ratio > BAND) { /* fading only moves it closer to m: inside the band there is nothing to compute */
        ratio = 1 + faded(ratio - 1, usec_since(now, s->latency.updated), s->policy->forgive_decay);
    }
    if (ratio < 1 / BAND) {
        return m * ratio * BAND;
    }
    return ratio > BAND ? m * ratio / BAND : m;
}

static double cost(const struct endpoint_stats *s, double queue, double m, struct usec now)
{
    double success = fmax(success_ratio(s, now), SUCCESS_LEAST);
    double latency = m > 0 ? judged_latency(s, m, now) : 1; /* nothing measured yet: only the queue counts */

    return latency * queue * queue * queue / (success * success);
}

static bool is_backing_off(const struct endpoint_stats *s, struct usec now)
{
    return usec_before(now, s->connect_after);
}

static bool is_usable(const struct endpoint_stats *s, struct usec now, struct endpoint_stats *const *tried, size_t tried_count)
{
    if (s->is_draining || is_backing_off(s, now)) {
        return false;
    }
    for (size_t i = 0; i < tried_count; i++) {
        if (tried[i] == s) {
            return false;
        }
    }
    return true;
}

struct best {
    struct endpoint_stats *stats;
    double cost;
};

/* In flight and one more; of a heavy endpoint, on one of as many light ones as it weighs. */
static double queue_of(const struct endpoint_stats *s, struct rng *rng)
{
    double in_flight = load_queue(s->load);

    if (s->weight > s->set->lightest) {
        double each = in_flight * s->set->lightest / s->weight;

        in_flight = floor(each + (double)rng_below(rng, 1u << 20) / (1u << 20));
    }
    return in_flight + 1;
}

static void consider(struct best *best, struct endpoint_stats *s, struct usec now, struct rng *rng)
{
    double c = cost(s, queue_of(s, rng), s->set->median, now);

    if (best->stats == NULL || c < best->cost) {
        *best = (struct best){s, c};
    }
}

/* The place of the next one of the sample, among those from `first` on. */
static size_t draw(const struct endpoint_set *set, size_t first, struct rng *rng)
{
    size_t heaviest = first + (size_t)rng_below(rng, set->count - first);

    for (unsigned draws = 0; set->lightest < set->heaviest && draws < DRAWS_MAX; draws++) {
        size_t drawn = first + (size_t)rng_below(rng, set->count - first);

        if (rng_below(rng, set->heaviest) < set->members[drawn]->weight) {
            return drawn;
        }
        heaviest = set->members[drawn]->weight > set->members[heaviest]->weight ? drawn : heaviest;
    }
    return heaviest;
}

struct endpoint_stats *balancer_pick(struct endpoint_set *set, struct usec now, struct rng *rng,
                                     struct endpoint_stats *const *tried, size_t tried_count)
{
    struct best best = {0};
    struct best ejected = {0}; /* better than none */
    unsigned choices = 0;

    endpoint_set_refresh(set, now);
    for (size_t i = 0; i < set->count && choices < CHOICES; i++) {
        if (i >= LOOKS_MAX && best.stats != NULL) {
            break;
        }
        endpoint_set_swap(set, i, draw(set, i, rng));
        struct endpoint_stats *s = set->members[i];

        if (!is_usable(s, now, tried, tried_count)) {
            continue;
        }
        if (endpoint_set_is_ejected(set, s, now)) {
            consider(&ejected, s, now, rng);
            continue;
        }
        consider(&best, s, now, rng);
        choices++;
    }
    return best.stats != NULL ? best.stats : ejected.stats;
}

void balancer_started(struct endpoint_stats *s)
{
    load_add(s->load);
}

void balancer_streaming(struct endpoint_stats *s)
{
    load_stream_begun(s->load);
}

void balancer_ended(struct endpoint_stats *s, bool was_streaming)
{
    if (was_streaming) {
        load_stream_over(s->load);
    }
    load_sub(s->load);
}

void balancer_latency(struct endpoint_set *set, struct endpoint_stats *s, struct usec first_byte, struct usec now)
{
    if (!s->is_measured) {
        ewma_init(&s->latency, set->median > 0 ? set->median : (double)first_byte.v, s->joined);
        s->is_measured = true;
    }
    ewma_add(&s->latency, first_byte, s->policy->latency_decay, now);
    if (set->median <= 0) {
        set->median = s->latency.value;
    }
}

static void count_outcome(struct endpoint_stats *s, bool is_failure, struct usec now)
{
    double weight = s->policy->failure_weight;
    double failing = 1 - success_ratio(s, now);

    failing = (1 - weight) * failing + (is_failure ? weight : 0);
    s->failing = failing < FAILING_LEAST ? 0 : failing;
    s->failing_at = now;
}

void balancer_succeeded(struct endpoint_set *set, struct endpoint_stats *s, struct usec now)
{
    count_outcome(s, false, now);
    if (endpoint_set_is_ejected(set, s, now)) {
        return; /* sent before the ejection: says nothing about its end */
    }
    s->failures = 0;
    if (s->ejection == EJECTION_TRIAL) {
        s->ejection = EJECTION_NONE;
        backoff_succeeded(&s->ejections);
    }
}

static void eject(struct endpoint_set *set, struct endpoint_stats *s, struct usec now, struct rng *rng)
{
    struct backoff longer = s->ejections;
    struct usec until = usec_add(now, backoff_failed(&longer, rng));

    if (endpoint_set_eject(set, s, until)) {
        s->ejections = longer;
        s->failures = 0;
    }
}

void balancer_failed(struct endpoint_set *set, struct endpoint_stats *s, struct usec now, struct rng *rng)
{
    count_outcome(s, true, now);
    if (s->set == NULL || endpoint_set_is_ejected(set, s, now)) {
        return; /* left, or sent before the ejection: one burst of failures is one ejection */
    }
    s->failures++;
    if (s->ejection == EJECTION_TRIAL || s->failures >= s->policy->ejection_failures) {
        eject(set, s, now, rng);
    }
}

void balancer_connect_failed(struct endpoint_stats *s, struct usec now, struct rng *rng)
{
    if (!is_backing_off(s, now)) {
        s->connect_after = usec_add(now, backoff_failed(&s->connects, rng));
    }
}

void balancer_connected(struct endpoint_stats *s)
{
    backoff_succeeded(&s->connects);
    s->connect_after = (struct usec){0};
}

void balancer_view(const struct endpoint_stats *s, const struct endpoint_set *set, struct usec now,
                   struct balancer_view *ret_view)
{
    bool is_ejected = s->ejection == EJECTION_OUT && usec_before(now, s->ejected_until);
    bool backing_off = is_backing_off(s, now);
    double queue = load_queue(s->load) * set->lightest / s->weight + 1;

    *ret_view = (struct balancer_view){
        .latency = {(uint64_t)(s->is_measured ? s->latency.value : set->median)},
        .is_measured = s->is_measured,
        .success = success_ratio(s, now),
        .in_flight = load_in_flight(s->load),
        .is_ejected = is_ejected,
        .ejected_until = is_ejected ? s->ejected_until : (struct usec){0},
        .is_backing_off = backing_off,
        .connect_after = backing_off ? s->connect_after : (struct usec){0},
        .is_draining = s->is_draining,
        .cost = cost(s, queue, set->median, now),
    };
}
