/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The metrics engine: families come from a program's metrics.def, series appear when first asked for and end when released.
 *
 *     worker 0 ─▶ shard 0 ┐
 *     worker 1 ─▶ shard 1 ├─▶ metrics_write: same labels summed ─▶ Prometheus text format 0.0.4
 *     control  ─▶ shard 2 ┘
 *
 * Owner:   the program owns `struct metrics`; each thread uses its own shard.
 * Threads: a series is written by its shard's thread only (relaxed stores, no lock); metrics_write may run on any thread. Getting and
 *          putting a series takes the shard's lock, which only a scrape contends for.
 * Errors:  none.
 * Limits:  METRIC_SERIES_MAX series a family and shard; past it metric_get returns the family's overflow series, all of whose label
 *          values are "overflow".
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "base/usec.h"

#define METRIC_SERIES_MAX 10000
#define METRIC_LABELS_MAX 6

enum metric_kind {
    METRIC_COUNTER,   /* u64 */
    METRIC_GAUGE,     /* i64, summed over shards */
    METRIC_SECONDS,   /* a gauge held in microseconds, printed in seconds; over shards the maximum */
    METRIC_HISTOGRAM, /* of struct usec, printed in seconds */
};

struct metric_family {
    enum metric_kind kind;
    const char *name; /* without the program's prefix: "requests_total" */
    const char *help;
    const char *labels; /* "direction,service"; "" for none */
};

struct metrics;
struct metric_shard;
struct metric; /* one series in one shard */

/* `families` is static. `prefix` ("outrigger_proxy_") is put before each name. */
struct metrics *metrics_new(const char *prefix, const struct metric_family *families, size_t family_count, unsigned shard_count);
void metrics_free(struct metrics *m);
struct metric_shard *metrics_shard(struct metrics *m, unsigned index);

/* The series with these label values, one for each label of the family, in order; created at 0. One reference; give it back. */
struct metric *metric_get(struct metric_shard *shard, unsigned family, const char *const *label_values);

/* Counters and histograms stay visible after the last reference for as long as the shard lives, unless `metric_end` ended them. */
void metric_put(struct metric **m);

/* Gives the reference back and, when it was the last, removes the series from the scrape (its endpoint is gone). */
void metric_end(struct metric **m);

void metric_add(struct metric *m, uint64_t n);     /* counter */
void metric_move(struct metric *m, int64_t delta); /* gauge */
void metric_set(struct metric *m, int64_t value);  /* gauge */
void metric_set_time(struct metric *m, struct usec value);
void metric_observe(struct metric *m, struct usec value);
uint64_t metric_value(const struct metric *m); /* counter value, gauge value or histogram count of this shard */

/* Prometheus text format 0.0.4: HELP, TYPE, series sorted by labels; families without a series print their HELP and TYPE only. */
void metrics_write(struct metrics *m, struct text *out);

/* A Markdown table of the families, for the documentation. */
void metrics_write_docs(const char *prefix, const struct metric_family *families, size_t family_count, struct text *out);
