/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One family of each kind, for the tests of the engine and of its output. */

#include "base/metric.h"

enum { SAMPLE_REQUESTS, SAMPLE_IN_FLIGHT, SAMPLE_UPTIME, SAMPLE_LATENCY, SAMPLE_FAMILY_COUNT };

static const struct metric_family sample_families[SAMPLE_FAMILY_COUNT] = {
    [SAMPLE_REQUESTS] = {METRIC_COUNTER, "requests_total", "Requests that ended", "direction,service"},
    [SAMPLE_IN_FLIGHT] = {METRIC_GAUGE, "requests_in_flight", "Requests that have not ended", "service"},
    [SAMPLE_UPTIME] = {METRIC_SECONDS, "oldest_request_seconds", "Age of the oldest request", ""},
    [SAMPLE_LATENCY] = {METRIC_HISTOGRAM, "request_duration_seconds", "Time to the first byte", "service"},
};
