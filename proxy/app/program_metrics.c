/* SPDX-License-Identifier: Apache-2.0 */

#include "app/program_metrics.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/socket.h"
#include "version.h"

const struct metric_family program_families[PROGRAM_FAMILY_COUNT] = {
#define X(id, kind_, metric_, labels_, help_) [id] = {.kind = kind_, .name = #metric_, .help = help_, .labels = labels_},
#include "app/metrics.def"
#include "flow/metrics.def"
#undef X
};

static struct metric **series_of(struct program_metrics *m, enum program_family family)
{
    return &m->series[(unsigned)family - FLOW_FAMILY_COUNT];
}

void program_metrics_init(struct program_metrics *m, struct metric_shard *shard)
{
    *m = (struct program_metrics){0};
    for (unsigned f = FLOW_FAMILY_COUNT; f < PROGRAM_FAMILY_COUNT; f++) {
        if (program_families[f].labels[0] == '\0') {
            m->series[f - FLOW_FAMILY_COUNT] = metric_get(shard, f, NULL);
        }
    }
    *series_of(m, METRIC_BUILD_INFO) = metric_get(shard, METRIC_BUILD_INFO, (const char *[]){OUTRIGGER_VERSION});
    metric_set(*series_of(m, METRIC_BUILD_INFO), 1);
    for (unsigned i = 0; i < OBJECT_KIND_COUNT; i++) {
        m->objects[i] = metric_get(shard, METRIC_OBJECTS, (const char *[]){object_label((enum object_kind)i)});
    }
}

void program_metrics_deinit(struct program_metrics *m)
{
    for (unsigned i = 0; i < ARRAY_LEN(m->series); i++) {
        if (m->series[i] != NULL) {
            metric_put(&m->series[i]);
        }
    }
    for (unsigned i = 0; i < OBJECT_KIND_COUNT; i++) {
        metric_put(&m->objects[i]);
    }
}

static int64_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    char line[200] = ""; /* seven numbers; the second is resident pages */
    struct str total = {0};
    struct str resident = {0};
    uint64_t pages = 0;

    if (f == NULL) {
        return 0;
    }
    struct str rest = str_from(fgets(line, sizeof line, f));

    fclose(f);
    if (!str_split(&rest, ' ', &total) || !str_split(&rest, ' ', &resident) || !str_to_u64(resident, INT32_MAX, &pages)) {
        return 0;
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static struct usec cpu_used(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (struct usec){(uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)};
}

static void raise_to(struct metric *counter, uint64_t value)
{
    metric_add(counter, value - metric_value(counter));
}

void program_metrics_refresh(struct program_metrics *m, bool is_ready, const struct discovery_status *discovery)
{
    metric_set(*series_of(m, METRIC_READY), is_ready);
    metric_set(*series_of(m, METRIC_DISCOVERY_CONNECTED), discovery->is_connected);
    metric_set(*series_of(m, METRIC_DISCOVERY_SUBSCRIPTIONS), (int64_t)discovery->subscriptions);
    raise_to(*series_of(m, METRIC_DISCOVERY_CONNECTS), discovery->connects);
    raise_to(*series_of(m, METRIC_DISCOVERY_DISCONNECTS), discovery->disconnects);
    raise_to(*series_of(m, METRIC_DISCOVERY_UPDATES), discovery->updates);
    raise_to(*series_of(m, METRIC_DISCOVERY_NACKS), discovery->nacks);
    metric_set(*series_of(m, METRIC_OPEN_FDS), socket_count_open_fds());
    metric_set(*series_of(m, METRIC_MEMORY), resident_bytes());
    metric_set_time(*series_of(m, METRIC_CPU), cpu_used());
    for (unsigned i = 0; i < OBJECT_KIND_COUNT; i++) {
        metric_set(m->objects[i], object_live((enum object_kind)i));
    }
}
