/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>

#include "base/container.h"
#include "flow/cluster.h"

#define NO_STATUS GRPC_STATUS_COUNT

void service_metrics_init(struct service_metrics *m, struct metric_shard *shard, enum direction d, const char *service)
{
    const char *labels[] = {direction_label(d), service};

    *m = (struct service_metrics){.direction = d, .service = service, .shard = shard};
    m->first_byte = metric_get(shard, METRIC_FIRST_BYTE, labels);
    m->duration = metric_get(shard, METRIC_DURATION, labels);
    m->in_flight = metric_get(shard, METRIC_IN_FLIGHT, labels);
}

void service_metrics_deinit(struct service_metrics *m)
{
    metric_put(&m->first_byte);
    metric_put(&m->duration);
    metric_end(&m->in_flight);
    for (unsigned i = 0; i <= GRPC_STATUS_COUNT; i++) {
        if (m->by_grpc_status[i] != NULL) {
            metric_put(&m->by_grpc_status[i]);
        }
    }
}

/* The status codes that are registered, from and to. What else an endpoint sends shares a series with its hundred: it could send any. */
static const struct {
    unsigned first;
    unsigned last;
} registered[] = {{200, 208}, {226, 226}, {300, 308}, {400, 418}, {421, 426},
                  {428, 429}, {431, 431}, {451, 451}, {500, 508}, {510, 511}};

static void http_label(unsigned status, char *label, size_t size)
{
    for (size_t i = 0; i < ARRAY_LEN(registered); i++) {
        if (status >= registered[i].first && status <= registered[i].last) {
            snprintf(label, size, "%u", status);
            return;
        }
    }
    snprintf(label, size, "%uxx", status / 100);
}

static struct metric *requests_series(struct service_metrics *m, int grpc_status, unsigned http_status)
{
    char grpc[12] = "";
    char http[12] = "";
    const char *labels[] = {direction_label(m->direction), m->service, grpc, http};

    if (grpc_status >= 0) {
        snprintf(grpc, sizeof grpc, "%d", grpc_status);
    }
    if (http_status > 0) {
        http_label(http_status, http, sizeof http);
    }
    return metric_get(m->shard, METRIC_REQUESTS, labels);
}

void service_metrics_started(struct service_metrics *m)
{
    metric_move(m->in_flight, 1);
}

void service_metrics_finished(struct service_metrics *m, int grpc_status, unsigned http_status, struct usec duration)
{
    /* An endpoint can invent any number; what the table of statuses does not have shares one series. */
    int status = grpc_status < GRPC_STATUS_COUNT ? grpc_status : 2;

    metric_move(m->in_flight, -1);
    metric_observe(m->duration, duration);
    if (http_status == 200) {
        struct metric **series = &m->by_grpc_status[status >= 0 ? status : NO_STATUS];

        if (*series == NULL) {
            *series = requests_series(m, status, 200);
        }
        metric_add(*series, 1);
    } else {
        struct metric *series = requests_series(m, status, http_status);

        metric_add(series, 1);
        metric_put(&series);
    }
}

void service_metrics_failed(struct service_metrics *m, enum close_reason reason)
{
    const char *labels[] = {direction_label(m->direction), m->service, close_reason_label(reason)};
    struct metric *series = metric_get(m->shard, METRIC_FAILURES, labels);

    metric_add(series, 1);
    metric_put(&series);
}
