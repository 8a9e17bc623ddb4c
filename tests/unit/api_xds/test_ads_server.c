/* SPDX-License-Identifier: Apache-2.0 */

/* How the server's objects end, whatever is open. The protocol itself is tested against a foreign client (tests/protocol). */

#include "unit.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/object.h"
#include "fixture.h"
#include "h2/grpc_call.h"
#include "net/connect.h"

#include "api/proto/xds.pb-c.h"
#include "api/xds/ads_server.h"

static const struct h2_options h2_options = {
    .stream_window_bytes = 65535,
    .connection_window_bytes = 65535,
    .max_header_list_bytes = 16 * 1024,
    .out_buffer_bytes = 64 * 1024,
};

static struct loop *loop;
static struct api_metrics metrics;
static struct ads_server *server;
static struct connect dial;
static struct h2_session *session;
static struct grpc_call *call;
static int status;
static bool is_drained;

static void on_call_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    (void)c;
    (void)bytes;
    (void)len;
}

static void on_call_closed(struct grpc_call *c, enum grpc_status closed_status, struct str message)
{
    (void)c;
    (void)message;
    call = NULL;
    status = (int)closed_status;
}

static const struct grpc_call_ops call_ops = {.on_message = on_call_message, .on_closed = on_call_closed};

static void on_session_closed(struct h2_session *s, enum close_reason reason)
{
    (void)s;
    (void)reason;
    session = NULL;
}

static const struct h2_session_ops session_ops = {.on_closed = on_session_closed};

static void on_dialled(struct connect *c, int result)
{
    struct grpc_call_options options = {
        .authority = STR("api"),
        .path = STR("/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"),
        .max_message_bytes = 1024 * 1024,
    };
    int error = 0;

    ck_assert_int_eq(result, 0);
    session = h2_session_new(H2_CLIENT, &c->stream, &h2_options, &session_ops, NULL);
    call = grpc_call_start(session, &options, &call_ops, NULL, &error);
    ck_assert_ptr_nonnull(call);
}

static void setup(void)
{
    struct ads_server_options options = {.max_connections = 2, .max_streams = 2, .max_subscriptions = 10};

    fixture_setup();
    loop = loop_new(1);
    api_metrics_init(&metrics);
    ck_assert(addr_parse(STR("127.0.0.1:0"), &options.listen));
    ck_assert_int_eq(ads_server_open(loop, &options, the_resources, &metrics, &server), 0);
    status = -1;
    is_drained = false;
}

static void teardown(void)
{
    connect_cancel(&dial);
    grpc_call_cancel(&call);
    if (session != NULL) {
        h2_session_abandon(session, H2_NO_ERROR, CLOSE_DONE);
    }
    ads_server_close(&server);
    loop_free(loop);
    ck_assert_uint_eq(metric_value(metrics.connections), 0);
    ck_assert_uint_eq(metric_value(metrics.streams), 0);
    api_metrics_deinit(&metrics);
    fixture_teardown();
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        ck_assert_msg(object_live((enum object_kind)kind) == 0, "%s left", object_label((enum object_kind)kind));
    }
}

static void open_stream(void)
{
    struct connect_options options = {.timeout = usec_from_s(1)};
    struct addr addr = ads_server_addr(server);

    connect_start(&dial, loop, &addr, &options, on_dialled);
    while (metric_value(metrics.streams) == 0) {
        loop_turn(loop, true);
    }
}

static void on_drained(void *ctx)
{
    (void)ctx;
    is_drained = true;
}

/* --- a proxy that does not read --- */

static struct h2_stream *unread;
static size_t unread_bytes;

static void on_headers(struct h2_stream *stream, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    (void)stream;
    (void)block;
    (void)is_end;
    h2_headers_free(&headers);
}

/* Gives no credit back. */
static void on_data(struct h2_stream *stream, const uint8_t *data, size_t len)
{
    (void)stream;
    (void)data;
    unread_bytes += len;
}

static void on_end(struct h2_stream *stream)
{
    (void)stream;
}

static void on_sent(struct h2_stream *stream, size_t len)
{
    (void)stream;
    (void)len;
}

static void on_stream_closed(struct h2_stream *stream, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    (void)stream;
    (void)error;
    (void)reason;
    (void)is_unprocessed;
    unread = NULL;
}

static const struct h2_stream_ops unread_ops = {
    .on_headers = on_headers, .on_data = on_data, .on_end = on_end, .on_sent = on_sent, .on_closed = on_stream_closed};

static void send_subscription(struct h2_stream *stream, const char *name)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest m;
    uint8_t bytes[512] = {0};
    char *names[] = {mem_strdup(name)};
    size_t len;

    envoy__service__discovery__v3__delta_discovery_request__init(&m);
    m.type_url = mem_strdup(resource_type_url(RESOURCE_ENDPOINTS));
    m.n_resource_names_subscribe = 1;
    m.resource_names_subscribe = names;
    len = envoy__service__discovery__v3__delta_discovery_request__pack(&m, bytes + 5);
    bytes[4] = (uint8_t)len;
    h2_stream_send_data(stream, bytes, 5 + len);
    mem_free(m.type_url);
    mem_free(names[0]);
}

static void on_dialled_unread(struct connect *c, int result)
{
    struct h2_headers *headers = h2_headers_new(loop_slab(loop));

    ck_assert_int_eq(result, 0);
    session = h2_session_new(H2_CLIENT, &c->stream, &h2_options, &session_ops, NULL);
    h2_headers_add_literal(headers, STR(":method"), STR("POST"));
    h2_headers_add_literal(headers, STR(":scheme"), STR("http"));
    h2_headers_add_literal(headers, STR(":path"),
                           STR("/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"));
    h2_headers_add_literal(headers, STR(":authority"), STR("api"));
    h2_headers_add_literal(headers, STR("content-type"), STR("application/grpc"));
    ck_assert_int_eq(h2_session_request(session, headers, false, &unread_ops, NULL, &unread), 0);
    send_subscription(unread, "shop/checkout:50051");
}

/* 1,000 endpoints, about 60 KiB; `generation` makes each different. */
static void apply_generation(unsigned generation)
{
    struct slice *s = slice("shop", "many", "checkout", 8080);
    struct world *w;

    for (unsigned i = 0; i < 1000; i++) {
        char ip[32];

        snprintf(ip, sizeof ip, "10.%u.%u.%u", generation, i / 250, i % 250 + 1);
        ready(s, ip);
    }
    put_slice(s);
    w = model_commit(the_model);
    ads_server_apply(server, w);
    world_unref(&w);
}

static void turn_until_quiet(void)
{
    size_t bytes;

    do {
        bytes = unread_bytes;
        for (unsigned i = 0; i < 20; i++) {
            loop_turn(loop, false);
        }
    } while (unread_bytes != bytes);
}

START_TEST(a_proxy_that_does_not_read_costs_its_names_not_every_change)
{
    struct connect_options options = {.timeout = usec_from_s(1)};
    struct addr addr = ads_server_addr(server);
    uint64_t sent;

    put_service(service("shop", "checkout", "10.96.0.10", 50051));
    apply_generation(1);
    connect_start(&dial, loop, &addr, &options, on_dialled_unread);
    while (metric_value(metrics.type[RESOURCE_ENDPOINTS].sent) == 0) {
        loop_turn(loop, true);
    }
    for (unsigned generation = 2; generation < 100; generation++) {
        apply_generation(generation);
        turn_until_quiet();
    }
    sent = metric_value(metrics.type[RESOURCE_ENDPOINTS].sent);
    ck_assert_uint_lt(sent, 20);

    while (metric_value(metrics.type[RESOURCE_ENDPOINTS].sent) == sent) {
        size_t bytes = unread_bytes;

        unread_bytes = 0;
        h2_stream_consume(unread, bytes);
        loop_turn(loop, true);
    }
    turn_until_quiet();
    ck_assert_uint_eq(metric_value(metrics.type[RESOURCE_ENDPOINTS].sent), sent + 1);
}
END_TEST

START_TEST(closing_cuts_open_streams)
{
    open_stream();
    ads_server_close(&server);
    while (status < 0) {
        loop_turn(loop, true);
    }
    ck_assert_int_ne(status, GRPC_OK);
}
END_TEST

START_TEST(closing_in_the_turn_of_draining_leaves_nothing)
{
    open_stream();
    ads_server_drain(server, on_drained, NULL);
    ads_server_close(&server);
    ck_assert(!is_drained);
}
END_TEST

START_TEST(draining_ends_streams_with_unavailable_and_then_connections)
{
    open_stream();
    ads_server_drain(server, on_drained, NULL);
    while (!is_drained) {
        loop_turn(loop, true);
    }
    ck_assert_int_eq(status, GRPC_UNAVAILABLE);
}
END_TEST

START_TEST(draining_without_connections_is_soon_over)
{
    ads_server_drain(server, on_drained, NULL);
    ck_assert(!is_drained);
    loop_turn(loop, false);
    ck_assert(is_drained);
}
END_TEST

START_TEST(a_client_that_leaves_takes_its_stream_along)
{
    open_stream();
    grpc_call_cancel(&call);
    while (metric_value(metrics.streams) > 0) {
        loop_turn(loop, true);
    }
    ck_assert_uint_eq(metric_value(metrics.connections), 1);
}
END_TEST

UNIT_MAIN("ads_server", setup, teardown, a_proxy_that_does_not_read_costs_its_names_not_every_change, closing_cuts_open_streams,
          closing_in_the_turn_of_draining_leaves_nothing, draining_ends_streams_with_unavailable_and_then_connections,
          draining_without_connections_is_soon_over, a_client_that_leaves_takes_its_stream_along)
