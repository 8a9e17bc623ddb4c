/* SPDX-License-Identifier: Apache-2.0 */

/* A foreign judge of the text format. Without promtool (Debian's prometheus package) the test is skipped, as status 77 says. */

#include <stdio.h>
#include <stdlib.h>

#include "metric_sample.h"

static const char *const awkward[] = {"cart", "a\"b\\c\nd", "\xff\xfe", "", "{}=,"};

static void fill(struct metric_shard *shard)
{
    for (size_t i = 0; i < sizeof awkward / sizeof *awkward; i++) {
        struct metric *requests = metric_get(shard, SAMPLE_REQUESTS, (const char *const[]){"inbound", awkward[i]});
        struct metric *latency = metric_get(shard, SAMPLE_LATENCY, (const char *const[]){awkward[i]});

        metric_add(requests, i);
        metric_observe(latency, usec_from_ms(7 * i));
        metric_put(&requests);
        metric_put(&latency);
    }
}

int main(void)
{
    struct metrics *metrics = metrics_new("outrigger_test_", sample_families, SAMPLE_FAMILY_COUNT, 2);
    struct text out;

    if (system("command -v promtool >/dev/null") != 0) {
        puts("promtool is not installed");
        metrics_free(metrics);
        return 77;
    }
    text_init(&out, (size_t)1 << 20);
    fill(metrics_shard(metrics, 0));
    fill(metrics_shard(metrics, 1));

    struct metric *uptime = metric_get(metrics_shard(metrics, 0), SAMPLE_UPTIME, NULL);
    struct metric *in_flight = metric_get(metrics_shard(metrics, 0), SAMPLE_IN_FLIGHT, (const char *const[]){"cart"});

    metrics_write(metrics, &out);
    metric_put(&uptime);
    metric_put(&in_flight);

    FILE *promtool = popen("promtool check metrics", "w");

    fwrite(out.p, 1, out.len, promtool);
    int status = pclose(promtool);

    text_deinit(&out);
    metrics_free(metrics);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
