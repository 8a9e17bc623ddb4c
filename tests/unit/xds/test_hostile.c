/* SPDX-License-Identifier: Apache-2.0 */

/* A control plane that is broken or means harm: what it sends is refused, the last good answer stays, memory is bounded. */

#include "../unit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/object.h"
#include "fake_ads.h"
#include "xds/config.h"
#include "xds/directory.h"
#include "xds/discovery.h"
#include "xds/graph.h"

#define VIP "10.96.0.10:50051"
#define CLUSTER "shop/checkout:50051"
#define LONG_TEXT ((size_t)100 * 1000)

static struct loop *loop;
static struct fake_ads server;
static struct discovery *discovery;
static struct directory *directory;
static struct directory_watch watch;
static unsigned changes;
static const char *const two[] = {"10.0.0.1:80", "10.0.0.2:80"};

static void on_change(struct directory_watch *w)
{
    (void)w;
    changes++;
}

/* The usual beginning: one address that leads to two endpoints. */
static void setup(void)
{
    struct discovery_options options = {.node_id = "pod-a", .connect_timeout = {1000000}};
    struct addr vip;

    loop = loop_new(1);
    fake_ads_open(&server, loop);
    options.api_address = server.address;
    discovery = discovery_new(loop, &options);
    directory = directory_new(loop, discovery, (struct usec){0});
    discovery_start(discovery);
    changes = 0;
    ck_assert(addr_parse(STR(VIP), &vip));
    directory_watch(directory, &vip, &watch, on_change);
    fake_ads_lead(&server, VIP, CLUSTER, two, 2);
    while (changes == 0) {
        loop_turn(loop, true);
    }
}

static void teardown(void)
{
    ck_assert_uint_eq(directory_answer(&watch)->backends[0].endpoint_count, 2); /* the last good answer, in every case */
    ck_assert_uint_eq(changes, 1);
    directory_unwatch(&watch);
    directory_free(directory);
    discovery_free(discovery);
    fake_ads_close(&server);
    loop_free(loop);
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        ck_assert_msg(object_live((enum object_kind)kind) == 0, "%s left", object_label((enum object_kind)kind));
    }
}

static char *long_text(size_t len)
{
    char *text = mem_alloc(len + 1);

    memset(text, 'x', len);
    return text;
}

static void expect_refusal(const char *type, const char *reason)
{
    char expected[64];

    snprintf(expected, sizeof expected, "%s nack %u", type, server.nonce);
    ck_assert_str_eq(fake_ads_next_question(&server), expected);
    ck_assert_msg(strstr(server.refusal, reason) != NULL, "refused with: %s", server.refusal);
    ck_assert_uint_eq(server.streams, 1); /* the stream goes on */
}

/* The stream ends and a new one names what is held. */
static void expect_new_stream(const char *error)
{
    while (server.streams < 2) {
        loop_turn(loop, true);
    }
    ck_assert_msg(strstr(discovery_status(discovery).last_error, error) != NULL, "%s", discovery_status(discovery).last_error);
    ck_assert_str_eq(fake_ads_next_question(&server), "listener node +" VIP " held " VIP "@1");
}

/* --- messages --- */

START_TEST(bytes_that_are_no_response_end_the_stream)
{
    fake_ads_send_message(&server, "\xff\xff\xff\xff", 4);
    expect_new_stream("no DeltaDiscoveryResponse");
}
END_TEST

START_TEST(a_response_that_is_cut_off_ends_the_stream)
{
    fake_ads_send_message(&server, "\x12\x7fshort", 7); /* field 2, 127 bytes */
    expect_new_stream("no DeltaDiscoveryResponse");
}
END_TEST

START_TEST(a_message_above_the_limit_ends_the_stream)
{
    size_t len = ADS_RESPONSE_BYTES + 1;
    char *bytes = long_text(len);

    fake_ads_send_message(&server, bytes, len);
    mem_free(bytes);
    expect_new_stream("larger than the limit");
}
END_TEST

/* 4 MiB of two-byte resources would unpack into hundreds of megabytes. */
START_TEST(a_response_that_grows_when_unpacked_ends_the_stream)
{
    size_t len = ADS_RESPONSE_BYTES;
    char *bytes = mem_alloc(len);

    for (size_t i = 0; i < len; i += 2) {
        bytes[i] = 0x12;
    }
    fake_ads_send_message(&server, bytes, len);
    mem_free(bytes);
    expect_new_stream("no DeltaDiscoveryResponse");
}
END_TEST

START_TEST(a_response_of_a_type_nobody_knows_is_left_alone)
{
    fake_ads_send_message(&server, "\x22\x05other", 7); /* type_url */
    fake_ads_send(&server, XDS_CLUSTER, "unasked", "1", eds_cluster("e"));
    ck_assert_str_eq(fake_ads_next(&server), "endpoints ack 4");
    ck_assert_str_eq(fake_ads_next(&server), "cluster ack 5");
    ck_assert_uint_eq(server.streams, 1);
}
END_TEST

/* --- resources --- */

START_TEST(a_resource_that_is_no_message_is_refused)
{
    struct bytes garbage = {.p = (uint8_t *)mem_strdup("\xff\xff\xff"), .len = 3};

    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, "2", garbage);
    expect_refusal("endpoints", "malformed");
}
END_TEST

START_TEST(a_resource_of_another_type_is_refused)
{
    fake_ads_send_as(&server, XDS_ENDPOINTS, XDS_CLUSTER, CLUSTER, eds_cluster("e"));
    expect_refusal("endpoints", "another type");
}
END_TEST

/* `inner` as the field with this tag of a message around it. */
static struct bytes wrap(uint8_t tag, struct bytes inner)
{
    struct bytes outer = {.p = mem_alloc(inner.len + 3)};

    outer.p[outer.len++] = tag;
    outer.p[outer.len++] = (uint8_t)(0x80 | (inner.len & 0x7f));
    outer.p[outer.len++] = (uint8_t)(inner.len >> 7);
    memcpy(outer.p + outer.len, inner.p, inner.len);
    outer.len += inner.len;
    mem_free(inner.p);
    return outer;
}

/* Structs in Structs, as an endpoint's metadata may have them: fields (1), value (2), struct_value (5), fields … */
START_TEST(a_resource_that_nests_without_end_is_refused)
{
    struct bytes deep = {.p = mem_alloc(1)};

    for (unsigned level = 0; level < 100; level++) {
        deep = wrap(0x0a, wrap(0x12, wrap(0x2a, deep)));
    }
    deep = wrap(0x12, deep); /* FilterMetadataEntry.value */
    deep = wrap(0x0a, deep); /* Metadata.filter_metadata */
    deep = wrap(0x1a, deep); /* LbEndpoint.metadata */
    deep = wrap(0x12, deep); /* LocalityLbEndpoints.lb_endpoints */
    deep = wrap(0x12, deep); /* ClusterLoadAssignment.endpoints */
    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, "2", deep);
    expect_refusal("endpoints", "malformed");
}
END_TEST

START_TEST(an_endless_version_is_refused)
{
    char *version = long_text(LONG_TEXT);

    fake_ads_send(&server, XDS_ENDPOINTS, CLUSTER, version, endpoints_at(two, 1));
    mem_free(version);
    expect_refusal("endpoints", "version is too long");
}
END_TEST

START_TEST(an_endless_name_is_refused)
{
    char *name = long_text(LONG_TEXT);

    fake_ads_send(&server, XDS_CLUSTER, CLUSTER, "2", eds_cluster(name));
    mem_free(name);
    expect_refusal("cluster", "of more than");
}
END_TEST

START_TEST(an_endless_label_is_refused)
{
    char *label = long_text(LONG_TEXT);

    fake_ads_send(&server, XDS_LISTENER, VIP, "2", tcp_listener(label));
    mem_free(label);
    expect_refusal("listener", "of more than");
}
END_TEST

/* --- all together --- */

static struct bytes many_endpoints(unsigned count)
{
    char **addresses = mem_alloc_array(count, sizeof *addresses);
    struct bytes bytes;

    for (unsigned i = 0; i < count; i++) {
        addresses[i] = mem_printf("10.%u.%u.%u:80", i >> 16, i >> 8 & 0xff, i & 0xff);
    }
    bytes = endpoints_at((const char *const *)addresses, count);
    for (unsigned i = 0; i < count; i++) {
        mem_free(addresses[i]);
    }
    mem_free(addresses);
    return bytes;
}

/* As many clusters of the largest size as are allowed together, and one too many. */
START_TEST(endpoints_are_bounded_over_all_resources)
{
    enum { CLUSTERS = GRAPH_ENDPOINTS_MAX / CONFIG_ENDPOINTS_MAX + 1 };
    static const char *const names[] = {CLUSTER, "b", "c", "d", "e", "f"};
    static const uint32_t weights[] = {1, 1, 1, 1, 1, 1};
    unsigned nacks = 0;

    _Static_assert(ARRAY_LEN(names) == CLUSTERS, "one more than fits");
    fake_ads_send(&server, XDS_ROUTE, VIP, "2", weighted_route(names, weights, CLUSTERS));
    ck_assert_str_eq(fake_ads_next_question(&server), "cluster +b,c,d,e,f");
    for (unsigned i = 1; i < CLUSTERS; i++) {
        fake_ads_send(&server, XDS_CLUSTER, names[i], "1", eds_cluster(names[i]));
        fake_ads_next_question(&server);
        fake_ads_send(&server, XDS_ENDPOINTS, names[i], "1", many_endpoints(CONFIG_ENDPOINTS_MAX));
    }
    while (nacks == 0) {
        nacks = strstr(fake_ads_next_question(&server), "nack") != NULL;
    }
    ck_assert_msg(strstr(server.refusal, "f: more than 250000 endpoints altogether") != NULL, "%s", server.refusal);
    ck_assert_uint_eq(discovery_status(discovery).nacks, 1);
}
END_TEST

/* --- streams --- */

START_TEST(streams_that_fail_soon_after_an_answer_are_tried_again_with_back_off)
{
    struct usec started = loop_clock();

    for (unsigned streams = 1; streams <= 3; streams++) {
        while (server.streams < streams || server.call == NULL) {
            loop_turn(loop, true);
        }
        fake_ads_send_message(&server, "\x22\x05other", 7); /* a response, of no use */
        fake_ads_send_message(&server, "\xff", 1);
        while (discovery_status(discovery).disconnects < streams) {
            loop_turn(loop, true);
        }
    }
    while (server.streams < 4) {
        loop_turn(loop, true);
    }
    /* 100, 200 and 400 ms, each less 30 % at most. */
    ck_assert_uint_ge(usec_since(loop_clock(), started).v, 490 * 1000);
}
END_TEST

START_TEST(a_server_that_resets_every_stream_is_asked_with_back_off)
{
    struct usec started = loop_clock();

    server.refuses_streams = true;
    fake_ads_end_stream(&server);
    while (server.streams < 4) {
        loop_turn(loop, true);
    }
    ck_assert_uint_ge(usec_since(loop_clock(), started).v, 490 * 1000);
}
END_TEST

UNIT_MAIN("hostile control plane", setup, teardown, bytes_that_are_no_response_end_the_stream,
          a_response_that_is_cut_off_ends_the_stream, a_message_above_the_limit_ends_the_stream,
          a_response_that_grows_when_unpacked_ends_the_stream, a_response_of_a_type_nobody_knows_is_left_alone,
          a_resource_that_is_no_message_is_refused, a_resource_of_another_type_is_refused,
          a_resource_that_nests_without_end_is_refused, an_endless_version_is_refused, an_endless_name_is_refused,
          an_endless_label_is_refused, endpoints_are_bounded_over_all_resources,
          streams_that_fail_soon_after_an_answer_are_tried_again_with_back_off,
          a_server_that_resets_every_stream_is_asked_with_back_off)
