/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/metrics.h"

#include "base/container.h"

const struct metric_family flow_families[FLOW_FAMILY_COUNT] = {
#define X(id, kind_, metric_, labels_, help_) [id] = {.kind = kind_, .name = #metric_, .help = help_, .labels = labels_},
#include "flow/metrics.def"
#undef X
};

const char *direction_label(enum direction d)
{
    return d == OUTBOUND ? "outbound" : "inbound";
}

static struct metric *get2(struct flow_metrics *m, enum flow_family family, const char *first, const char *second)
{
    const char *labels[] = {first, second};

    return metric_get(m->shard, family, labels);
}

void flow_metrics_init(struct flow_metrics *m, struct metric_shard *shard)
{
    *m = (struct flow_metrics){.shard = shard};
    m->buffered = metric_get(shard, METRIC_BUFFERED, NULL);
    m->withheld = metric_get(shard, METRIC_WITHHELD, NULL);
    m->buffer_refusals = metric_get(shard, METRIC_BUFFER_REFUSALS, NULL);
    m->buffer_evictions = metric_get(shard, METRIC_BUFFER_EVICTIONS, NULL);
    for (unsigned d = 0; d < DIRECTION_COUNT; d++) {
        struct direction_metrics *dm = &m->direction[d];
        const char *label = direction_label((enum direction)d);

        dm->http2_connections = get2(m, METRIC_CONNECTIONS, label, "http2");
        dm->tcp_connections = get2(m, METRIC_CONNECTIONS, label, "tcp");
        dm->refused_connections = get2(m, METRIC_CONNECTIONS, label, "none");
        dm->active = metric_get(m->shard, METRIC_CONNECTIONS_ACTIVE, &label);
        dm->to_server_bytes = get2(m, METRIC_TCP_BYTES, label, "to_server");
        dm->to_client_bytes = get2(m, METRIC_TCP_BYTES, label, "to_client");
        for (unsigned i = 0; i < DETECT_LABEL_COUNT; i++) {
            dm->detections[i] = get2(m, METRIC_DETECTIONS, label, detect_label_text((enum detect_label)i));
        }
    }
}

void flow_metrics_deinit(struct flow_metrics *m)
{
    metric_put(&m->buffered);
    metric_put(&m->withheld);
    metric_put(&m->buffer_refusals);
    metric_put(&m->buffer_evictions);
    for (unsigned d = 0; d < DIRECTION_COUNT; d++) {
        struct direction_metrics *dm = &m->direction[d];

        metric_put(&dm->http2_connections);
        metric_put(&dm->tcp_connections);
        metric_put(&dm->refused_connections);
        metric_put(&dm->active);
        metric_put(&dm->to_server_bytes);
        metric_put(&dm->to_client_bytes);
        for (unsigned i = 0; i < DETECT_LABEL_COUNT; i++) {
            metric_put(&dm->detections[i]);
        }
        for (unsigned i = 0; i < CLOSE_REASON_COUNT; i++) {
            if (dm->closes[i] != NULL) {
                metric_put(&dm->closes[i]);
            }
            if (dm->refusals[i] != NULL) {
                metric_put(&dm->refusals[i]);
            }
        }
    }
}

static void raise_to(struct metric *counter, uint64_t value)
{
    metric_add(counter, value - metric_value(counter));
}

void flow_metrics_buffers(struct flow_metrics *m, const struct h2_host *host)
{
    metric_set(m->buffered, (int64_t)host->waiting_bytes);
    raise_to(m->withheld, host->counts.withheld);
    raise_to(m->buffer_refusals, host->counts.refused);
    raise_to(m->buffer_evictions, host->counts.evicted);
}

static void count_reason(struct flow_metrics *m, enum flow_family family, enum direction d, enum close_reason reason,
                         struct metric **series)
{
    if (*series == NULL) {
        *series = get2(m, family, direction_label(d), close_reason_label(reason));
    }
    metric_add(*series, 1);
}

void flow_metrics_closed(struct flow_metrics *m, enum direction d, enum close_reason reason)
{
    count_reason(m, METRIC_CLOSES, d, reason, &m->direction[d].closes[reason]);
}

void flow_metrics_refused(struct flow_metrics *m, enum direction d, enum close_reason reason)
{
    count_reason(m, METRIC_REFUSALS, d, reason, &m->direction[d].refusals[reason]);
}
