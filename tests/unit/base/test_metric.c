/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/container.h"
#include "metric_sample.h"
#include "unit.h"

static struct metrics *metrics;
static struct text out;

static void setup(void)
{
    metrics = metrics_new("t_", sample_families, SAMPLE_FAMILY_COUNT, 2);
    text_init(&out, (size_t)1 << 30);
}

static void teardown(void)
{
    metrics_free(metrics);
    text_deinit(&out);
}

static struct metric *get(unsigned shard, unsigned family, const char *first, const char *second)
{
    return metric_get(metrics_shard(metrics, shard), family, (const char *const[]){first, second});
}

static const char *scrape(void)
{
    text_clear(&out);
    metrics_write(metrics, &out);
    return out.p;
}

/* Whether the scrape has exactly this line. */
static bool has_line(const char *line)
{
    struct str rest = str_from(scrape());
    struct str found;

    while (str_split(&rest, '\n', &found)) {
        if (str_eq(found, str_from(line))) {
            return true;
        }
    }
    return false;
}

START_TEST(families_without_series_still_describe_themselves)
{
    ck_assert_str_eq(scrape(),
                     "# HELP t_requests_total Requests that ended\n# TYPE t_requests_total counter\n"
                     "# HELP t_requests_in_flight Requests that have not ended\n# TYPE t_requests_in_flight gauge\n"
                     "# HELP t_oldest_request_seconds Age of the oldest request\n# TYPE t_oldest_request_seconds gauge\n"
                     "# HELP t_request_duration_seconds Time to the first byte\n"
                     "# TYPE t_request_duration_seconds histogram\n");
}
END_TEST

START_TEST(counters_of_all_shards_are_summed)
{
    struct metric *a = get(0, SAMPLE_REQUESTS, "inbound", "cart");
    struct metric *b = get(1, SAMPLE_REQUESTS, "inbound", "cart");

    metric_add(a, 3);
    metric_add(b, 4);

    ck_assert(has_line("t_requests_total{direction=\"inbound\",service=\"cart\"} 7"));
    ck_assert_uint_eq(metric_value(a), 3);
    metric_put(&a);
    metric_put(&b);
    ck_assert_ptr_null(a);
}
END_TEST

START_TEST(gauges_of_all_shards_are_summed_and_may_be_negative)
{
    struct metric *a = get(0, SAMPLE_IN_FLIGHT, "cart", NULL);
    struct metric *b = get(1, SAMPLE_IN_FLIGHT, "cart", NULL);

    metric_set(a, 2);
    metric_move(a, 1);
    metric_move(b, -5);

    ck_assert(has_line("t_requests_in_flight{service=\"cart\"} -2"));
    metric_put(&a);
    metric_put(&b);
}
END_TEST

START_TEST(seconds_of_all_shards_are_their_maximum)
{
    struct metric *a = get(0, SAMPLE_UPTIME, NULL, NULL);
    struct metric *b = get(1, SAMPLE_UPTIME, NULL, NULL);

    metric_set_time(a, (struct usec){1500000});
    metric_set_time(b, (struct usec){20});

    ck_assert(has_line("t_oldest_request_seconds 1.500000"));
    metric_put(&a);
    metric_put(&b);
}
END_TEST

START_TEST(histogram_buckets_hold_their_limit_and_add_up)
{
    struct metric *m = get(0, SAMPLE_LATENCY, "cart", NULL);

    metric_observe(m, (struct usec){500}); /* the limit belongs to the bucket */
    metric_observe(m, (struct usec){501});
    metric_observe(m, (struct usec){10000001}); /* past the last limit */

    ck_assert_uint_eq(metric_value(m), 3);
    ck_assert(has_line("t_request_duration_seconds_bucket{service=\"cart\",le=\"0.0005\"} 1"));
    ck_assert(has_line("t_request_duration_seconds_bucket{service=\"cart\",le=\"0.001\"} 2"));
    ck_assert(has_line("t_request_duration_seconds_bucket{service=\"cart\",le=\"10\"} 2"));
    ck_assert(has_line("t_request_duration_seconds_bucket{service=\"cart\",le=\"+Inf\"} 3"));
    ck_assert(has_line("t_request_duration_seconds_sum{service=\"cart\"} 10.001002"));
    ck_assert(has_line("t_request_duration_seconds_count{service=\"cart\"} 3"));
    metric_put(&m);
}
END_TEST

START_TEST(histograms_of_all_shards_are_summed)
{
    struct metric *a = get(0, SAMPLE_LATENCY, "cart", NULL);
    struct metric *b = get(1, SAMPLE_LATENCY, "cart", NULL);

    metric_observe(a, usec_from_ms(1));
    metric_observe(b, usec_from_s(1));

    ck_assert(has_line("t_request_duration_seconds_bucket{service=\"cart\",le=\"0.5\"} 1"));
    ck_assert(has_line("t_request_duration_seconds_bucket{service=\"cart\",le=\"1\"} 2"));
    ck_assert(has_line("t_request_duration_seconds_sum{service=\"cart\"} 1.001000"));
    metric_put(&a);
    metric_put(&b);
}
END_TEST

START_TEST(series_are_sorted_by_their_labels)
{
    static const char *const services[] = {"b", "a", "ab", "c"};
    struct metric *m[ARRAY_LEN(services)];

    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        m[i] = get((unsigned)i % 2, SAMPLE_IN_FLIGHT, services[i], NULL);
    }
    ck_assert_ptr_nonnull(strstr(scrape(), "{service=\"a\"} 0\nt_requests_in_flight{service=\"ab\"} 0\n"
                                           "t_requests_in_flight{service=\"b\"} 0\nt_requests_in_flight{service=\"c\"} 0\n"));
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        metric_put(&m[i]);
    }
}
END_TEST

START_TEST(label_values_do_not_run_into_each_other)
{
    struct metric *a = get(0, SAMPLE_REQUESTS, "ab", "c");
    struct metric *b = get(0, SAMPLE_REQUESTS, "a", "bc");

    ck_assert_ptr_ne(a, b);
    metric_put(&a);
    metric_put(&b);
}
END_TEST

START_TEST(label_values_are_escaped_and_made_utf8)
{
    struct metric *m = get(0, SAMPLE_IN_FLIGHT, "a\"b\\c\nd\xff", NULL);

    ck_assert(has_line("t_requests_in_flight{service=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 0"));
    metric_put(&m);
}
END_TEST

START_TEST(a_counter_outlives_its_references_and_goes_on)
{
    struct metric *m = get(0, SAMPLE_REQUESTS, "inbound", "cart");

    metric_add(m, 5);
    metric_put(&m);
    ck_assert(has_line("t_requests_total{direction=\"inbound\",service=\"cart\"} 5"));
    m = get(0, SAMPLE_REQUESTS, "inbound", "cart");
    metric_add(m, 1);
    ck_assert_uint_eq(metric_value(m), 6);
    metric_put(&m);
}
END_TEST

START_TEST(a_gauge_ends_with_its_last_reference)
{
    struct metric *a = get(0, SAMPLE_IN_FLIGHT, "cart", NULL);
    struct metric *b = get(0, SAMPLE_IN_FLIGHT, "cart", NULL);

    ck_assert_ptr_eq(a, b);
    metric_put(&a);
    ck_assert(has_line("t_requests_in_flight{service=\"cart\"} 0"));
    metric_put(&b);
    ck_assert(!has_line("t_requests_in_flight{service=\"cart\"} 0"));
}
END_TEST

START_TEST(ending_a_counter_removes_it_with_the_last_reference)
{
    struct metric *a = get(0, SAMPLE_REQUESTS, "inbound", "cart");
    struct metric *b = get(0, SAMPLE_REQUESTS, "inbound", "cart");

    metric_end(&a);
    ck_assert(has_line("t_requests_total{direction=\"inbound\",service=\"cart\"} 0"));
    metric_end(&b);
    ck_assert(!has_line("t_requests_total{direction=\"inbound\",service=\"cart\"} 0"));
}
END_TEST

START_TEST(series_past_the_maximum_share_one)
{
    char name[32];
    struct metric *first = NULL;
    struct metric *second = NULL;

    for (unsigned i = 0; i < METRIC_SERIES_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        struct metric *m = get(0, SAMPLE_REQUESTS, "inbound", name);

        metric_put(&m);
    }
    first = get(0, SAMPLE_REQUESTS, "inbound", "one more");
    second = get(0, SAMPLE_REQUESTS, "outbound", "and another");
    ck_assert_ptr_eq(first, second);
    metric_add(first, 2);

    ck_assert(has_line("t_requests_total{direction=\"overflow\",service=\"overflow\"} 2"));
    metric_end(&first);
    metric_end(&second);
    ck_assert(has_line("t_requests_total{direction=\"overflow\",service=\"overflow\"} 2"));
}
END_TEST

START_TEST(a_known_series_is_found_even_at_the_maximum)
{
    char name[32];
    struct metric *known = get(0, SAMPLE_REQUESTS, "inbound", "s7");

    for (unsigned i = 0; i < METRIC_SERIES_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        struct metric *m = get(0, SAMPLE_REQUESTS, "inbound", name);

        metric_put(&m);
    }
    struct metric *again = get(0, SAMPLE_REQUESTS, "inbound", "s7");

    ck_assert_ptr_eq(again, known);
    metric_put(&again);
    metric_put(&known);
}
END_TEST

static _Atomic bool is_writing;

/* Shard 0's owner: series come and go while the main thread scrapes. */
static void *write_for_ever(void *ctx)
{
    (void)ctx;
    while (atomic_load(&is_writing)) {
        struct metric *counter = get(0, SAMPLE_REQUESTS, "inbound", "cart");
        struct metric *latency = get(0, SAMPLE_LATENCY, "cart", NULL);

        metric_add(counter, 1);
        metric_observe(latency, usec_from_ms(3));
        metric_end(&latency);
        metric_put(&counter);
    }
    return NULL;
}

START_TEST(a_scrape_may_run_beside_the_owner)
{
    pthread_t owner;

    atomic_store(&is_writing, true);
    ck_assert_int_eq(pthread_create(&owner, NULL, write_for_ever, NULL), 0);
    while (strstr(scrape(), "t_requests_total{direction=\"inbound\",service=\"cart\"} ") == NULL) {
    }
    for (int i = 0; i < 300; i++) {
        ck_assert_ptr_nonnull(strstr(scrape(), "# TYPE t_request_duration_seconds histogram\n"));
    }
    atomic_store(&is_writing, false);
    pthread_join(owner, NULL);
}
END_TEST

START_TEST(the_documentation_has_a_row_for_each_family)
{
    metrics_write_docs("t_", sample_families, SAMPLE_FAMILY_COUNT, &out);

    ck_assert_ptr_nonnull(strstr(out.p, "| `t_requests_total` | counter | direction,service | Requests that ended |\n"));
    ck_assert_ptr_nonnull(strstr(out.p, "| `t_oldest_request_seconds` | gauge |  | Age of the oldest request |\n"));
}
END_TEST

UNIT_MAIN("metric", setup, teardown, families_without_series_still_describe_themselves, counters_of_all_shards_are_summed,
          gauges_of_all_shards_are_summed_and_may_be_negative, seconds_of_all_shards_are_their_maximum,
          histogram_buckets_hold_their_limit_and_add_up, histograms_of_all_shards_are_summed, series_are_sorted_by_their_labels,
          label_values_do_not_run_into_each_other, label_values_are_escaped_and_made_utf8,
          a_counter_outlives_its_references_and_goes_on, a_gauge_ends_with_its_last_reference,
          ending_a_counter_removes_it_with_the_last_reference, series_past_the_maximum_share_one,
          a_known_series_is_found_even_at_the_maximum, a_scrape_may_run_beside_the_owner,
          the_documentation_has_a_row_for_each_family)
