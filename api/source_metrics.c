/* SPDX-License-Identifier: Apache-2.0 */

#include "api/source_metrics.h"

static const char *const labels[KUBERNETES_KIND_COUNT] = {"services", "endpointslices"};

static void init_kubernetes(struct source_metrics *m, struct metric_shard *shard)
{
    m->skipped = metric_get(shard, API_SOURCE_SKIPPED, NULL);
    for (unsigned i = 0; i < KUBERNETES_KIND_COUNT; i++) {
        m->kind[i] = (struct source_kind_metrics){
            .objects = metric_get(shard, API_SOURCE_OBJECTS, &labels[i]),
            .lists = metric_get(shard, API_SOURCE_LISTS, &labels[i]),
            .events = metric_get(shard, API_SOURCE_EVENTS, &labels[i]),
            .failures = metric_get(shard, API_SOURCE_FAILURES, &labels[i]),
            .watching = metric_get(shard, API_SOURCE_WATCHING, &labels[i]),
        };
    }
}

void source_metrics_init(struct source_metrics *m, struct metric_shard *shard, const struct source *source)
{
    *m = (struct source_metrics){0};
    if (source->manifests != NULL) {
        m->wrong_files = metric_get(shard, API_WRONG_FILES, NULL);
    } else {
        init_kubernetes(m, shard);
    }
}

void source_metrics_deinit(struct source_metrics *m)
{
    metric_put(&m->wrong_files);
    metric_put(&m->skipped);
    for (unsigned i = 0; i < KUBERNETES_KIND_COUNT; i++) {
        metric_put(&m->kind[i].objects);
        metric_put(&m->kind[i].lists);
        metric_put(&m->kind[i].events);
        metric_put(&m->kind[i].failures);
        metric_put(&m->kind[i].watching);
    }
}

static void refresh_kubernetes(struct source_metrics *m, const struct kubernetes *k)
{
    metric_set(m->skipped, (int64_t)kubernetes_skipped(k));
    for (unsigned i = 0; i < KUBERNETES_KIND_COUNT; i++) {
        struct kube_reflector_status status = kubernetes_status(k, (enum kubernetes_kind)i);

        metric_set(m->kind[i].objects, (int64_t)status.objects);
        metric_set(m->kind[i].lists, (int64_t)status.lists);
        metric_set(m->kind[i].events, (int64_t)status.events);
        metric_set(m->kind[i].failures, (int64_t)status.failures);
        metric_set(m->kind[i].watching, status.is_watching);
    }
}

void source_metrics_refresh(struct source_metrics *m, const struct source *source)
{
    if (source->manifests != NULL) {
        metric_set(m->wrong_files, (int64_t)manifests_status(source->manifests).wrong_files);
    } else {
        refresh_kubernetes(m, source->kubernetes);
    }
}
