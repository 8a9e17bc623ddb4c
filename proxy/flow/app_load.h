/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an app of this pod has in flight, counted where requests are handed to it: those of peers (inbound) and those of its own pod,
 * which reach it without passing the inbound side. One count for each address of the app, over all workers; the series says the same.
 *
 * Owner:   embedded in an inbound connection's HTTP side, or in the endpoint that is this pod.
 * Threads: the worker's; the load behind it is shared.
 */

#include "base/metric.h"
#include "flow/load_registry.h"

struct app_load {
    struct load_registry *registry; /* link */
    struct load *load;              /* NULL: not in use */
    struct metric *in_flight;
};

void app_load_init(struct app_load *a, struct load_registry *registry, struct metric_shard *shard, const struct addr *app);
void app_load_deinit(struct app_load *a); /* accepts one that is all zero */

/* Both accept one that is all zero, and count nothing. */
void app_load_started(struct app_load *a);
void app_load_ended(struct app_load *a);
