/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The program's own metric families (metrics.def), after those of the data path in one table.
 *
 * Owner:   embedded in the program.
 * Threads: the control thread's shard.
 */

#include <stdbool.h>

#include "base/metric.h"
#include "base/object.h"
#include "flow/metrics.h"
#include "xds/discovery.h"

enum program_family {
    PROGRAM_FAMILY_BEFORE_FIRST = FLOW_FAMILY_COUNT - 1,
#define X(name, kind, metric, labels, help) name,
#include "app/metrics.def"
#undef X
    PROGRAM_FAMILY_COUNT
};

extern const struct metric_family program_families[PROGRAM_FAMILY_COUNT];

#define PROGRAM_METRIC_PREFIX "outrigger_proxy_"

struct program_metrics {
    struct metric
        *series[(unsigned)PROGRAM_FAMILY_COUNT - (unsigned)FLOW_FAMILY_COUNT]; /* those without labels, and build_info */
    struct metric *objects[OBJECT_KIND_COUNT];
};

void program_metrics_init(struct program_metrics *m, struct metric_shard *shard);
void program_metrics_deinit(struct program_metrics *m);

/* Brings them up to date before a scrape. */
void program_metrics_refresh(struct program_metrics *m, bool is_ready, const struct discovery_status *discovery);
