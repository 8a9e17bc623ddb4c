/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Prometheus text format 0.0.4 of one family, from samples that the engine (metric.c) copied out of its shards.
 *
 * Owner:   the caller owns the samples; merging reorders and shortens them.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/metric.h"
#include "base/str.h"

#define METRIC_BUCKET_COUNT 15 /* the last one is +Inf */
#define METRIC_LABEL_VALUE_MAX 256

/* Upper limits in microseconds, of all buckets but +Inf. */
extern const uint64_t metric_bucket_limits[METRIC_BUCKET_COUNT - 1];

struct metric_sample {
    char *key; /* the label values, each followed by a NUL */
    size_t key_len;
    uint64_t value;                        /* counter; gauge by its bits; microseconds; a histogram's sum in microseconds */
    uint64_t buckets[METRIC_BUCKET_COUNT]; /* not cumulative */
};

struct metric_samples {
    struct metric_sample *rows;
    size_t count;
    size_t size;
};

size_t metric_label_count(const struct metric_family *family);

/* Sorts the samples, merges those with the same key and appends HELP, TYPE and the series. */
void metric_write_family(const char *prefix, const struct metric_family *family, struct metric_samples *samples,
                         struct text *out);
