/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/app_load.h"

#include "flow/metrics.h"

void app_load_init(struct app_load *a, struct load_registry *registry, struct metric_shard *shard, const struct addr *app)
{
    char text[ADDR_TEXT_SIZE];
    const char *label = addr_format(app, text);

    a->registry = registry;
    a->load = load_registry_get(registry, "app", app, "");
    a->in_flight = metric_get(shard, METRIC_APP_IN_FLIGHT, &label);
}

void app_load_deinit(struct app_load *a)
{
    if (a->load == NULL) {
        return;
    }
    load_registry_put(a->registry, &a->load);
    metric_end(&a->in_flight);
}

void app_load_started(struct app_load *a)
{
    if (a->load != NULL) {
        load_add(a->load);
        metric_move(a->in_flight, 1);
    }
}

void app_load_ended(struct app_load *a)
{
    if (a->load != NULL) {
        load_sub(a->load);
        metric_move(a->in_flight, -1);
    }
}
