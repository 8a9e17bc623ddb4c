/* SPDX-License-Identifier: Apache-2.0 */

/* Discovery and one directory on one loop, against a server under the test's control. */

#include "../unit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/object.h"
#include "fake_ads.h"
#include "net/listener.h"
#include "policy/route.h"
#include "xds/directory.h"
#include "xds/discovery.h"

#define VIP "10.96.0.10:50051"
#define OTHER "10.96.0.11:50051"
#define CLUSTER "shop/checkout:50051"

struct watcher {
    struct directory_watch watch;
    unsigned changes;
};

static struct loop *loop;
static struct fake_ads server;
static struct discovery *discovery;
static struct directory *directory;
static struct watcher watcher;
static const char *const two[] = {"10.0.0.1:80", "10.0.0.2:80"};
static const char *const three[] = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"};

static void on_change(struct directory_watch *w)
{
    container_of(w, struct watcher, watch)->changes++;
}

static void watch(struct watcher *w, const char *address)
{
    struct addr addr;

    ck_assert(addr_parse(str_from(address), &addr));
    w->changes = 0;
    directory_watch(directory, &addr, &w->watch, on_change);
}

static void wait_changes(struct watcher *w, unsigned count)
{
    while (w->changes < count) {
        loop_turn(loop, true);
    }
    ck_assert_uint_eq(w->changes, count);
}

static struct snapshot *answer(void)
{
    return directory_answer(&watcher.watch);
}

static void setup(void)
{
    struct discovery_options options = {
        .node_id = "pod-a", .node_namespace = "shop", .node_pod = "pod-a", .node_name = "node-a", .connect_timeout = {1000000}};

    loop = loop_new(1);
    fake_ads_open(&server, loop);
    options.api_address = server.address;
    discovery = discovery_new(loop, &options);
    directory = directory_new(loop, discovery, (struct usec){0});
    discovery_start(discovery);
    watcher = (struct watcher){0};
}

static void teardown(void)
{
    directory_unwatch(&watcher.watch);
    directory_free(directory);
    discovery_free(discovery);
    fake_ads_close(&server);
    loop_free(loop);
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        ck_assert_msg(object_live((enum object_kind)kind) == 0, "%s left", object_label((enum object_kind)kind));
    }
}

/* The usual beginning: one address leads to two endpoints. */
static void lead(void)
{
    watch(&watcher, VIP);
    fake_ads_lead(&server, VIP, CLUSTER, two, 2);
    wait_changes(&watcher, 1);
}

/* --- following --- */

START_TEST(an_address_is_followed_to_its_endpoints)
{
    lead();

    ck_assert_int_eq(answer()->kind, DESTINATION_HTTP);
    ck_assert_str_eq(answer()->name, CLUSTER);
    ck_assert_uint_eq(answer()->backend_count, 1);
    ck_assert_str_eq(answer()->backends[0].name, CLUSTER);
    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 2);
    ck_assert_int_eq(route_select(answer()->routes, STR("any"), STR("/a/b"), loop_rng(loop)), 0);
}
END_TEST

START_TEST(there_is_no_answer_before_everything_has_come)
{
    watch(&watcher, VIP);
    ck_assert_str_eq(fake_ads_next(&server), "listener node +" VIP);
    fake_ads_send(&server, XDS_LISTENER, VIP, "1", http_listener("r"));
    ck_assert_str_eq(fake_ads_next_question(&server), "route +r");
    fake_ads_send(&server, XDS_ROUTE, "r", "1", route_to(CLUSTER));
    ck_assert_str_eq(fake_ads_next_question(&server), "cluster +" CLUSTER);
    fake_ads_send(&server, XDS_CLUSTER, CLUSTER, "1", eds_cluster("e"));
    ck_assert_str_eq(fake_ads_next_question(&server), "endpoints +e");

    ck_assert_ptr_null(answer());
    fake_ads_send(&server, XDS_ENDPOINTS, "e", "1", endpoints_at(two, 2));
    wait_changes(&watcher, 1);
    ck_assert_ptr_nonnull(answer());
}
END_TEST

START_TEST(an_inline_route_saves_a_question)
{
    watch(&watcher, VIP);
    fake_ads_next(&server);
    fake_ads_send(&server, XDS_LISTENER, VIP, "1", inline_listener(CLUSTER));
    ck_assert_str_eq(fake_ads_next_question(&server), "cluster +" CLUSTER);
    fake_ads_send(&server, XDS_CLUSTER, CLUSTER, "1", eds_cluster(CLUSTER));
    fake_ads_next_question(&server);
    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, "1", endpoints_at(two, 2));

    wait_changes(&watcher, 1);
    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 2);
}
END_TEST

START_TEST(a_removed_listener_is_definitely_no_service)
{
    watch(&watcher, VIP);
    fake_ads_next(&server);
    fake_ads_remove(&server, XDS_LISTENER, VIP);

    wait_changes(&watcher, 1);
    ck_assert_int_eq(answer()->kind, DESTINATION_ABSENT);
    ck_assert_uint_eq(answer()->backend_count, 0);
}
END_TEST

START_TEST(a_tcp_proxy_is_raw_tcp)
{
    watch(&watcher, VIP);
    fake_ads_next(&server);
    fake_ads_send(&server, XDS_LISTENER, VIP, "1", tcp_listener("shop/db:5432"));

    wait_changes(&watcher, 1);
    ck_assert_int_eq(answer()->kind, DESTINATION_TCP);
    ck_assert_str_eq(answer()->name, "shop/db:5432");
}
END_TEST

START_TEST(each_backend_of_a_route_is_followed)
{
    static const char *const clusters[] = {"a", "b"};
    static const uint32_t weights[] = {1, 1};

    watch(&watcher, VIP);
    fake_ads_next(&server);
    fake_ads_send(&server, XDS_LISTENER, VIP, "1", http_listener("r"));
    fake_ads_next_question(&server);
    fake_ads_send(&server, XDS_ROUTE, "r", "1", weighted_route(clusters, weights, 2));
    ck_assert_str_eq(fake_ads_next_question(&server), "cluster +a,b");
    fake_ads_send(&server, XDS_CLUSTER, "a", "1", eds_cluster("a"));
    fake_ads_next_question(&server);
    fake_ads_send(&server, XDS_ENDPOINTS, "a", "1", endpoints_at(two, 2));
    fake_ads_send(&server, XDS_CLUSTER, "b", "1", eds_cluster("b"));
    ck_assert_str_eq(fake_ads_next_question(&server), "endpoints +b");
    ck_assert_ptr_null(answer());
    fake_ads_send(&server, XDS_ENDPOINTS, "b", "1", endpoints_at(three, 3));

    wait_changes(&watcher, 1);
    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 2);
    ck_assert_uint_eq(answer()->backends[1].endpoint_count, 3);
}
END_TEST

/* --- changes --- */

START_TEST(a_change_of_endpoints_is_a_new_snapshot_with_a_higher_version)
{
    struct snapshot *before;
    uint64_t version;

    lead();
    before = snapshot_ref(answer());
    version = before->backends[0].version;
    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, "2", endpoints_at(three, 3));
    wait_changes(&watcher, 2);

    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 3);
    ck_assert_uint_gt(answer()->backends[0].version, version);
    ck_assert_uint_eq(before->backends[0].endpoint_count, 2);
    ck_assert_ptr_eq(answer()->routes, before->routes);
    snapshot_unref(&before);
}
END_TEST

START_TEST(vanished_endpoints_leave_none)
{
    lead();
    fake_ads_remove(&server, XDS_ENDPOINTS, CLUSTER);
    wait_changes(&watcher, 2);

    ck_assert_int_eq(answer()->kind, DESTINATION_HTTP);
    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 0);
}
END_TEST

START_TEST(a_vanished_cluster_leaves_no_endpoints)
{
    lead();
    fake_ads_remove(&server, XDS_CLUSTER, CLUSTER);
    wait_changes(&watcher, 2);

    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 0);
}
END_TEST

START_TEST(a_service_that_goes_and_returns)
{
    lead();
    fake_ads_remove(&server, XDS_LISTENER, VIP);
    wait_changes(&watcher, 2);
    ck_assert_int_eq(answer()->kind, DESTINATION_ABSENT);

    fake_ads_send(&server, XDS_LISTENER, VIP, "2", tcp_listener("shop/db:5432"));
    wait_changes(&watcher, 3);
    ck_assert_int_eq(answer()->kind, DESTINATION_TCP);
}
END_TEST

START_TEST(a_new_cluster_takes_over_only_once_it_is_complete)
{
    lead();
    fake_ads_send(&server, XDS_ROUTE, VIP, "2", route_to("shop/new:1"));
    ck_assert_str_eq(fake_ads_next_question(&server), "cluster -" CLUSTER);
    ck_assert_str_eq(fake_ads_next_question(&server), "cluster +shop/new:1");
    ck_assert_str_eq(fake_ads_next_question(&server), "endpoints -" CLUSTER);
    ck_assert_str_eq(answer()->backends[0].name, CLUSTER);
    fake_ads_send(&server, XDS_CLUSTER, "shop/new:1", "1", eds_cluster("shop/new:1"));
    fake_ads_next_question(&server);
    ck_assert_uint_eq(watcher.changes, 1);
    fake_ads_send(&server, XDS_ENDPOINTS, "shop/new:1", "1", endpoints_at(three, 3));

    wait_changes(&watcher, 2);
    ck_assert_str_eq(answer()->backends[0].name, "shop/new:1");
}
END_TEST

START_TEST(an_equal_answer_is_not_told_again)
{
    lead();
    fake_ads_send(&server, XDS_LISTENER, VIP, "2", http_listener(VIP));
    ck_assert_str_eq(fake_ads_next(&server), "endpoints ack 4");
    ck_assert_str_eq(fake_ads_next(&server), "listener ack 5");

    ck_assert_uint_eq(watcher.changes, 1);
}
END_TEST

START_TEST(a_cluster_that_two_addresses_share_is_asked_for_once)
{
    struct watcher other;

    lead();
    watch(&other, OTHER);
    ck_assert_str_eq(fake_ads_next_question(&server), "listener +" OTHER);
    fake_ads_send(&server, XDS_LISTENER, OTHER, "1", inline_listener(CLUSTER));
    wait_changes(&other, 1);
    ck_assert_uint_eq(directory_answer(&other.watch)->backends[0].endpoint_count, 2);
    ck_assert_uint_eq(directory_answer(&other.watch)->backends[0].version, answer()->backends[0].version);

    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, "2", endpoints_at(three, 3));
    wait_changes(&other, 2);
    wait_changes(&watcher, 2);
    directory_unwatch(&other.watch);
}
END_TEST

/* --- refusals --- */

START_TEST(what_cannot_be_used_is_refused_and_the_last_good_stays)
{
    lead();
    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, "2", endpoints_at((const char *[]){"10.0.0.1:80", "10.0.0.1:80"}, 2));
    ck_assert_str_eq(fake_ads_next_question(&server), "endpoints nack 5");

    ck_assert_str_eq(server.refusal, CLUSTER ": endpoint 10.0.0.1:80 comes twice");
    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 2);
    ck_assert_uint_eq(discovery_status(discovery).nacks, 1);
}
END_TEST

START_TEST(a_resource_nobody_asked_for_is_left_alone)
{
    lead();
    fake_ads_send(&server, XDS_ENDPOINTS, "shop/unasked:1", "1", endpoints_at(two, 2));
    ck_assert_str_eq(fake_ads_next(&server), "endpoints ack 4");
    ck_assert_str_eq(fake_ads_next(&server), "endpoints ack 5");
    ck_assert_uint_eq(watcher.changes, 1);
}
END_TEST

/* --- subscriptions --- */

START_TEST(what_is_asked_in_one_turn_is_one_request)
{
    struct watcher other;

    watch(&watcher, VIP);
    watch(&other, OTHER);
    ck_assert_str_eq(fake_ads_next(&server), "listener node +" VIP "," OTHER);
    ck_assert_uint_eq(discovery_status(discovery).subscriptions, 2);
    directory_unwatch(&other.watch);
}
END_TEST

START_TEST(an_address_without_watches_is_given_up_with_all_it_led_to)
{
    lead();
    directory_unwatch(&watcher.watch);

    ck_assert_str_eq(fake_ads_next_question(&server), "listener -" VIP);
    ck_assert_str_eq(fake_ads_next_question(&server), "route -" VIP);
    ck_assert_str_eq(fake_ads_next_question(&server), "cluster -" CLUSTER);
    ck_assert_str_eq(fake_ads_next_question(&server), "endpoints -" CLUSTER);
    ck_assert_uint_eq(discovery_status(discovery).subscriptions, 0);
    ck_assert_int_eq(object_live(OBJECT_SNAPSHOT), 0);
}
END_TEST

START_TEST(a_second_watch_of_an_address_is_answered_from_memory)
{
    struct watcher second;

    lead();
    watch(&second, VIP);
    ck_assert_ptr_eq(directory_answer(&second.watch), answer());
    directory_unwatch(&second.watch);
    ck_assert_ptr_nonnull(answer());
}
END_TEST

/* --- streams --- */

START_TEST(a_new_stream_names_what_is_held)
{
    lead();
    fake_ads_end_stream(&server);
    while (server.streams < 2) {
        loop_turn(loop, true);
    }
    ck_assert_str_eq(fake_ads_next(&server), "endpoints ack 4");
    ck_assert_str_eq(fake_ads_next(&server), "listener node +" VIP " held " VIP "@1");
    ck_assert_str_eq(fake_ads_next(&server), "route +" VIP " held " VIP "@1");
    ck_assert_str_eq(fake_ads_next(&server), "cluster +" CLUSTER " held " CLUSTER "@1");
    ck_assert_str_eq(fake_ads_next(&server), "endpoints +" CLUSTER " held " CLUSTER "@1");
    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 2);
    ck_assert_uint_eq(watcher.changes, 1);
}
END_TEST

START_TEST(a_lost_connection_is_made_again)
{
    lead();
    h2_session_close(server.session, H2_INTERNAL_ERROR, CLOSE_INTERNAL);
    while (server.streams < 2) {
        loop_turn(loop, true);
    }
    fake_ads_next(&server);
    ck_assert_str_eq(fake_ads_next(&server), "listener node +" VIP " held " VIP "@1");
    ck_assert_uint_eq(discovery_status(discovery).disconnects, 1);
}
END_TEST

START_TEST(streams_that_end_without_a_response_are_tried_again_with_back_off)
{
    struct usec started = loop_clock();

    server.refuses_streams = true;
    watch(&watcher, VIP);
    while (server.streams < 3) {
        loop_turn(loop, true);
    }
    /* 100 ms and 200 ms, each less 30 % at most. */
    ck_assert_uint_ge(usec_since(loop_clock(), started).v, 210 * 1000);
    ck_assert_ptr_nonnull(strstr(discovery_status(discovery).last_error, "not today"));
}
END_TEST

/* "localhost" may stand for ::1, too, where nobody listens. */
START_TEST(the_api_may_be_a_name_with_several_addresses)
{
    struct discovery_options options = {.node_id = "b", .connect_timeout = {1000000}};
    struct discovery *by_name;
    char name[64];

    snprintf(name, sizeof name, "localhost:%s", strchr(server.address, ':') + 1);
    options.api_address = name;
    by_name = discovery_new(loop, &options);
    discovery_start(by_name);
    while (!discovery_status(by_name).is_connected) {
        loop_turn(loop, true);
    }
    ck_assert_uint_eq(discovery_status(by_name).connects, 1);
    discovery_free(by_name);
}
END_TEST

START_TEST(the_status_follows_the_connection)
{
    ck_assert(!discovery_status(discovery).has_ever_answered);
    lead();
    ck_assert(discovery_status(discovery).is_connected);
    ck_assert_uint_eq(discovery_status(discovery).connects, 1);
    ck_assert_uint_eq(discovery_status(discovery).updates, 4);
    listener_close(&server.listener);
    h2_session_close(server.session, H2_NO_ERROR, CLOSE_DONE);
    while (discovery_status(discovery).is_connected) {
        loop_turn(loop, true);
    }
    ck_assert(discovery_status(discovery).has_ever_answered);
    ck_assert_uint_eq(answer()->backends[0].endpoint_count, 2);
}
END_TEST

/* --- the end --- */

START_TEST(everything_may_end_with_messages_under_way)
{
    struct watcher other;

    lead();
    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, "2", endpoints_at(three, 3));
    watch(&other, OTHER);
    directory_unwatch(&other.watch);
    /* teardown: the question about OTHER has not reached discovery, the change not the directory */
}
END_TEST

UNIT_MAIN("discovery", setup, teardown, an_address_is_followed_to_its_endpoints, there_is_no_answer_before_everything_has_come,
          an_inline_route_saves_a_question, a_removed_listener_is_definitely_no_service, a_tcp_proxy_is_raw_tcp,
          each_backend_of_a_route_is_followed, a_change_of_endpoints_is_a_new_snapshot_with_a_higher_version,
          vanished_endpoints_leave_none, a_vanished_cluster_leaves_no_endpoints, a_service_that_goes_and_returns,
          a_new_cluster_takes_over_only_once_it_is_complete, an_equal_answer_is_not_told_again,
          a_cluster_that_two_addresses_share_is_asked_for_once, what_cannot_be_used_is_refused_and_the_last_good_stays,
          a_resource_nobody_asked_for_is_left_alone, what_is_asked_in_one_turn_is_one_request,
          an_address_without_watches_is_given_up_with_all_it_led_to, a_second_watch_of_an_address_is_answered_from_memory,
          a_new_stream_names_what_is_held, a_lost_connection_is_made_again,
          streams_that_end_without_a_response_are_tried_again_with_back_off, the_status_follows_the_connection,
          the_api_may_be_a_name_with_several_addresses, everything_may_end_with_messages_under_way)
