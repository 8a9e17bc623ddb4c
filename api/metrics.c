/* SPDX-License-Identifier: Apache-2.0 */

#include "api/metrics.h"

#include "net/socket.h"

#include <stdio.h>

#include "base/object.h"

const struct metric_family api_families[API_FAMILY_COUNT] = {
#define X(id, kind_, metric_, labels_, help_) [id] = {.kind = kind_, .name = #metric_, .help = help_, .labels = labels_},
#include "api/metrics.def"
#undef X
};

static struct metric *get(struct api_metrics *m, enum api_family family)
{
    return metric_get(m->shard, family, NULL);
}

static struct metric *get_labelled(struct api_metrics *m, enum api_family family, const char *label)
{
    return metric_get(m->shard, family, &label);
}

void api_metrics_init(struct api_metrics *m)
{
    *m = (struct api_metrics){.engine = metrics_new(API_METRIC_PREFIX, api_families, API_FAMILY_COUNT, 1)};
    m->shard = metrics_shard(m->engine, 0);
    m->connections = get(m, API_CONNECTIONS);
    m->connections_refused = get(m, API_CONNECTIONS_REFUSED);
    m->streams = get(m, API_STREAMS);
    m->pushes = get(m, API_PUSHES);
    m->synced = get(m, API_SYNCED);
    m->services = get(m, API_SERVICES);
    m->slices = get(m, API_SLICES);
    m->open_fds = get(m, API_OPEN_FDS);
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        const char *label = resource_type_label((enum resource_type)i);

        m->type[i] = (struct api_type_metrics){
            .subscriptions = get_labelled(m, API_SUBSCRIPTIONS, label),
            .requests = get_labelled(m, API_REQUESTS, label),
            .responses = get_labelled(m, API_RESPONSES, label),
            .sent = get_labelled(m, API_RESOURCES_SENT, label),
            .removed = get_labelled(m, API_RESOURCES_REMOVED, label),
            .nacks = get_labelled(m, API_NACKS, label),
        };
    }
}

void api_metrics_deinit(struct api_metrics *m)
{
    metric_put(&m->connections);
    metric_put(&m->connections_refused);
    metric_put(&m->streams);
    metric_put(&m->pushes);
    metric_put(&m->synced);
    metric_put(&m->services);
    metric_put(&m->slices);
    metric_put(&m->open_fds);
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        struct api_type_metrics *t = &m->type[i];

        metric_put(&t->subscriptions);
        metric_put(&t->requests);
        metric_put(&t->responses);
        metric_put(&t->sent);
        metric_put(&t->removed);
        metric_put(&t->nacks);
    }
    metrics_free(m->engine);
}

void api_metrics_stream_ended(struct api_metrics *m, int grpc_status)
{
    char label[16];
    struct metric *ended;

    snprintf(label, sizeof label, "%d", grpc_status);
    ended = get_labelled(m, API_STREAMS_TOTAL, label);
    metric_add(ended, 1);
    metric_put(&ended);
}

void api_metrics_write(struct api_metrics *m, struct text *out)
{
    metric_set(m->open_fds, socket_count_open_fds());
    for (unsigned i = 0; i < OBJECT_KIND_COUNT; i++) {
        struct metric *objects = get_labelled(m, API_OBJECTS, object_label((enum object_kind)i));

        metric_set(objects, object_live((enum object_kind)i));
        metric_put(&objects);
    }
    metrics_write(m->engine, out);
}
