/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/object.h"
#include "flow/cluster.h"
#include "flow/worker.h"
#include "unit.h"

static const struct flow_options options = {
    .discovery_retention = {60000000},
    .connect_timeout = {1000000},
    .retry_attempts = 3,
    .pool = {.max_requests = 1000, .max_connections = 1, .max_waiting = 10},
};

static struct metrics *metrics;
static struct load_registry *loads;
static struct worker worker;
static struct snapshot_endpoint endpoints[4];
static struct cluster *cluster;
static uint64_t version;

static struct snapshot_endpoint endpoint_at(const char *address, const char *uid)
{
    struct snapshot_endpoint e = {.uid = uid, .name = "", .weight = 1};

    ck_assert(addr_parse(str_from(address), &e.addr));
    return e;
}

static void setup(void)
{
    metrics = metrics_new("t_", flow_families, FLOW_FAMILY_COUNT, 1);
    loads = load_registry_new();
    memset(&worker, 0, sizeof worker);
    worker.options = &options;
    worker.loop = loop_new(1);
    worker.slab = loop_slab(worker.loop);
    worker.retry_policy = retry_policy_default;
    flow_metrics_init(&worker.metrics, metrics_shard(metrics, 0));
    worker.clusters = cluster_table_new(&worker, loads);
    endpoints[0] = endpoint_at("10.0.0.1:50051", "a");
    endpoints[1] = endpoint_at("10.0.0.2:50051", "b");
    endpoints[2] = endpoint_at("10.0.0.3:50051", "c");
    endpoints[3] = endpoint_at("10.0.0.4:50051", "d");
    version = 0;
}

static void teardown(void)
{
    cluster_unref(&cluster);
    cluster_table_retire_all(worker.clusters);
    loop_turn(worker.loop, false);
    ck_assert(cluster_table_is_empty(worker.clusters));
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 0);
    cluster_table_free(worker.clusters);
    flow_metrics_deinit(&worker.metrics);
    load_registry_free(loads);
    metrics_free(metrics);
    loop_free(worker.loop);
}

/* A push of the first `count` endpoints from `first` on. */
static void push(size_t first, size_t count)
{
    struct snapshot_backend backend = {
        .name = "default/greeter:50051", .version = ++version, .endpoints = endpoints + first, .endpoint_count = count};
    struct cluster *again = cluster_table_reconcile(worker.clusters, &backend);

    cluster_unref(&cluster);
    cluster = again;
}

START_TEST(a_push_that_changes_nothing_keeps_the_endpoint_and_what_is_known_of_it)
{
    struct endpoint *before;
    struct endpoint *after;

    push(0, 1);
    before = cluster_pick(cluster, NULL, 0);
    endpoint_first_byte(before, usec_from_ms(7));
    push(0, 1);
    after = cluster_pick(cluster, NULL, 0);

    ck_assert_ptr_eq(before, after);
    ck_assert(after->stats.is_measured);
    ck_assert_uint_eq(load_in_flight(after->load), 2);
    endpoint_release(&before, false);
    endpoint_release(&after, false);
}
END_TEST

START_TEST(a_removed_endpoint_gets_nothing_new_and_lives_until_its_last_request)
{
    struct endpoint *busy;
    struct endpoint *next;

    push(0, 1);
    busy = cluster_pick(cluster, NULL, 0);
    push(1, 1);
    next = cluster_pick(cluster, NULL, 0);
    ck_assert_ptr_ne(busy, next);
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 2);

    endpoint_release(&busy, false);
    loop_turn(worker.loop, false);
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 1);
    endpoint_release(&next, false);
}
END_TEST

START_TEST(a_new_pod_at_an_old_address_is_another_endpoint)
{
    struct endpoint *before;
    struct endpoint *after;

    push(0, 1);
    before = cluster_pick(cluster, NULL, 0);
    endpoints[0].uid = "reborn";
    push(0, 1);
    after = cluster_pick(cluster, NULL, 0);

    ck_assert_ptr_ne(before, after);
    ck_assert(!after->stats.is_measured);
    endpoint_release(&before, false);
    endpoint_release(&after, false);
}
END_TEST

START_TEST(an_endpoint_that_leaves_and_returns_with_a_request_open_comes_back_as_itself)
{
    struct endpoint *busy;
    struct endpoint *again;

    push(0, 2);
    do {
        busy = cluster_pick(cluster, NULL, 0);
        again = busy;
        if (strcmp(busy->uid, "a") != 0) {
            endpoint_release(&again, false);
        }
    } while (strcmp(busy->uid, "a") != 0);
    endpoint_first_byte(busy, usec_from_ms(7));
    for (unsigned i = 0; i < 5; i++) {
        endpoint_outcome(busy, false);
    }
    ck_assert_int_eq(busy->stats.ejection, EJECTION_OUT);
    push(1, 1);
    ck_assert_uint_eq(cluster_endpoint_count(cluster), 1);
    push(0, 2);

    ck_assert_uint_eq(cluster_endpoint_count(cluster), 2);
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 2);
    ck_assert(busy->is_present);
    ck_assert(busy->stats.is_measured);
    ck_assert_int_eq(busy->stats.ejection, EJECTION_OUT);
    endpoint_release(&busy, false);
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 2); /* its last request is not its end any more */
}
END_TEST

START_TEST(a_leaving_pod_and_its_successor_at_the_same_address_are_told_apart)
{
    struct endpoint *before;
    struct endpoint *after;

    push(0, 1);
    before = cluster_pick(cluster, NULL, 0);
    endpoints[0].uid = "reborn";
    push(0, 1);
    after = cluster_pick(cluster, NULL, 0);
    endpoints[0].uid = "a";
    push(0, 1);

    ck_assert(before->is_present);
    ck_assert(!after->is_present);
    endpoint_release(&before, false);
    endpoint_release(&after, false);
}
END_TEST

static unsigned picks_of(const char *uid, unsigned rounds)
{
    unsigned count = 0;

    for (unsigned i = 0; i < rounds; i++) {
        struct endpoint *picked = cluster_pick(cluster, NULL, 0);

        count += strcmp(picked->uid, uid) == 0;
        endpoint_release(&picked, false);
    }
    return count;
}

START_TEST(the_next_priority_is_for_when_nothing_of_the_first_can_be_used)
{
    endpoints[1].priority = 1;
    push(0, 2);
    ck_assert_uint_eq(picks_of("a", 50), 50);

    endpoints[0].is_draining = true;
    push(0, 2);
    ck_assert_uint_eq(picks_of("b", 50), 50);

    endpoints[0].is_draining = false;
    endpoints[0].priority = 2;
    push(0, 2);
    ck_assert_uint_eq(picks_of("b", 50), 50);
}
END_TEST

START_TEST(a_request_that_has_tried_the_first_priority_goes_to_the_next)
{
    struct endpoint *first;
    struct endpoint *second;

    endpoints[1].priority = 1;
    push(0, 2);
    first = cluster_pick(cluster, NULL, 0);
    second = cluster_pick(cluster, &first, 1);

    ck_assert_str_eq(second->uid, "b");
    endpoint_release(&first, false);
    endpoint_release(&second, false);
}
END_TEST

START_TEST(weights_of_the_snapshot_count_and_may_change)
{
    endpoints[1].weight = 9;
    push(0, 2);
    ck_assert_uint_ge(picks_of("b", 1000), 800);

    endpoints[1].weight = 1;
    push(0, 2);
    ck_assert_uint_le(picks_of("b", 1000), 600);
}
END_TEST

START_TEST(requests_to_our_own_pod_count_in_what_its_app_has_in_flight)
{
    struct endpoint *own;
    struct load *app;

    endpoints[0] = endpoint_at("127.0.0.1:50051", "self");
    push(0, 1);
    app = load_registry_get(loads, "app", &endpoints[0].addr, "");
    own = cluster_pick(cluster, NULL, 0);
    ck_assert_uint_eq(load_in_flight(app), 1);

    endpoint_release(&own, false);
    ck_assert_uint_eq(load_in_flight(app), 0);
    load_registry_put(loads, &app);
}
END_TEST

START_TEST(an_older_snapshot_does_not_undo_a_newer_one)
{
    struct snapshot_backend old = {.name = "default/greeter:50051", .version = 1, .endpoints = endpoints, .endpoint_count = 1};
    struct cluster *again;

    push(0, 1);
    push(0, 4);
    again = cluster_table_reconcile(worker.clusters, &old);

    ck_assert_uint_eq(endpoint_set_count(&again->tiers[0]), 4);
    cluster_unref(&again);
}
END_TEST

START_TEST(an_empty_cluster_has_nothing_to_pick)
{
    push(0, 0);

    ck_assert_ptr_null(cluster_pick(cluster, NULL, 0));
}
END_TEST

START_TEST(a_draining_endpoint_is_passed_over)
{
    struct endpoint *picked;

    endpoints[0].is_draining = true;
    push(0, 2);
    for (int i = 0; i < 50; i++) {
        picked = cluster_pick(cluster, NULL, 0);
        ck_assert_str_eq(picked->uid, "b");
        endpoint_release(&picked, false);
    }
}
END_TEST

START_TEST(two_workers_see_one_in_flight_count)
{
    struct load *one = load_registry_get(loads, "default/greeter:50051", &endpoints[0].addr, "a");
    struct load *other = load_registry_get(loads, "default/greeter:50051", &endpoints[0].addr, "a");
    struct load *stranger = load_registry_get(loads, "default/greeter:50051", &endpoints[0].addr, "b");

    ck_assert_ptr_eq(one, other);
    ck_assert_ptr_ne(one, stranger);
    load_registry_put(loads, &one);
    load_registry_put(loads, &other);
    load_registry_put(loads, &stranger);
}
END_TEST

START_TEST(a_cluster_nobody_uses_is_kept_for_the_retention_time_and_then_ends)
{
    push(0, 2);
    cluster_unref(&cluster);

    cluster_table_expire(worker.clusters, usec_add(loop_now(worker.loop), usec_from_s(59)));
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 2);
    cluster_table_expire(worker.clusters, usec_add(loop_now(worker.loop), usec_from_s(61)));
    loop_turn(worker.loop, false);
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 0);
}
END_TEST

static enum close_reason failed_with;

static void on_ready(struct pool_waiter *w, struct h2_session *session, enum close_reason reason)
{
    (void)w;
    ck_assert_ptr_null(session);
    failed_with = reason;
}

static void connect_in_vain(struct endpoint *e)
{
    struct pool_waiter waiter = {.on_ready = on_ready};
    struct h2_session *session;

    failed_with = CLOSE_DONE;
    ck_assert_int_eq(client_pool_acquire(e->pool, &waiter, &session), POOL_WAITING);
    while (failed_with == CLOSE_DONE) {
        loop_turn(worker.loop, true);
    }
}

START_TEST(descriptors_that_run_out_are_not_held_against_the_endpoint)
{
    struct rlimit before;
    int next = dup(STDERR_FILENO); /* the lowest free number is the next to be given */

    endpoints[0] = endpoint_at("127.0.0.1:1", "a"); /* where nobody listens */
    push(0, 1);
    struct endpoint *e = cluster_pick(cluster, NULL, 0);

    close(next);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, before.rlim_max}), 0);
    connect_in_vain(e);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(failed_with, CLOSE_NO_DESCRIPTORS);
    ck_assert_uint_eq(e->stats.connect_after.v, 0);

    connect_in_vain(e);
    ck_assert_int_eq(failed_with, CLOSE_CONNECT_REFUSED);
    ck_assert_uint_ne(e->stats.connect_after.v, 0);
    endpoint_release(&e, false);
}
END_TEST

START_TEST(the_stand_in_has_the_original_destination_as_its_only_endpoint)
{
    struct cluster *original = cluster_table_original(worker.clusters, &endpoints[0].addr);
    struct endpoint *picked = cluster_pick(original, NULL, 0);

    ck_assert_str_eq(original->name, "original/10.0.0.1:50051");
    ck_assert(addr_eq(&picked->addr, &endpoints[0].addr));
    endpoint_release(&picked, false);
    cluster_unref(&original);
}
END_TEST

UNIT_MAIN("cluster", setup, teardown, an_endpoint_that_leaves_and_returns_with_a_request_open_comes_back_as_itself,
          a_leaving_pod_and_its_successor_at_the_same_address_are_told_apart,
          the_next_priority_is_for_when_nothing_of_the_first_can_be_used,
          a_request_that_has_tried_the_first_priority_goes_to_the_next, weights_of_the_snapshot_count_and_may_change,
          requests_to_our_own_pod_count_in_what_its_app_has_in_flight,
          a_push_that_changes_nothing_keeps_the_endpoint_and_what_is_known_of_it,
          a_removed_endpoint_gets_nothing_new_and_lives_until_its_last_request, a_new_pod_at_an_old_address_is_another_endpoint,
          an_older_snapshot_does_not_undo_a_newer_one, an_empty_cluster_has_nothing_to_pick, a_draining_endpoint_is_passed_over,
          two_workers_see_one_in_flight_count, a_cluster_nobody_uses_is_kept_for_the_retention_time_and_then_ends,
          descriptors_that_run_out_are_not_held_against_the_endpoint,
          the_stand_in_has_the_original_destination_as_its_only_endpoint)
