/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the source says of itself, as metrics. Brought up to date before a scrape.
 *
 * Owner:   embedded in the program.
 * Threads: the loop's.
 */

#include "api/metrics.h"
#include "api/source/source.h"

struct source_metrics {
    struct metric *wrong_files; /* manifests */
    struct metric *skipped;     /* Kubernetes, as the following */
    struct source_kind_metrics {
        struct metric *objects;
        struct metric *lists;
        struct metric *events;
        struct metric *failures;
        struct metric *watching;
    } kind[KUBERNETES_KIND_COUNT];
};

void source_metrics_init(struct source_metrics *m, struct metric_shard *shard, const struct source *source);
void source_metrics_deinit(struct source_metrics *m); /* accepts one that is all zero */
void source_metrics_refresh(struct source_metrics *m, const struct source *source);
