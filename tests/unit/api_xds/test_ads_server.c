/* SPDX-License-Identifier: Apache-2.0 */

/* How the server's objects end, whatever is open. The protocol itself is tested against a foreign client (tests/protocol). */

#include "unit.h"

#include "base/object.h"
#include "fixture.h"
#include "h2/grpc_call.h"
#include "net/connect.h"

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
    int error = 0;

    ck_assert_int_eq(result, 0);
    session = h2_session_new(H2_CLIENT, &c->stream, NULL, 0, &h2_options, &session_ops, NULL);
    call = grpc_call_start(session, STR("api"), STR("/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"),
                           1024 * 1024, &call_ops, NULL, &error);
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

UNIT_MAIN("ads_server", setup, teardown, closing_cuts_open_streams, closing_in_the_turn_of_draining_leaves_nothing,
          draining_ends_streams_with_unavailable_and_then_connections, draining_without_connections_is_soon_over,
          a_client_that_leaves_takes_its_stream_along)
