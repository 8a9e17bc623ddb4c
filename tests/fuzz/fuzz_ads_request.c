/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What clients send to the api's ADS stream. Input: which protocol, then messages, each behind two bytes of length. The api answers or
 * ends the stream; nothing outlives it.
 */

#include "api/metrics.h"
#include "api/model/model.h"
#include "api/xds/ads_stream.h"
#include "base/log.h"
#include "session_pair.h"

#define SUBSCRIPTIONS_MAX 50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ads_protocol *protocol;
static struct ads_hub hub;
static struct grpc_call *call;

static void on_request(struct h2_session *session, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    (void)session;
    ads_stream_accept(&hub, protocol, stream, headers, is_end, "fuzz");
}

static void on_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    (void)c, (void)bytes, (void)len;
}

static void on_call_closed(struct grpc_call *c, enum grpc_status status, struct str message)
{
    (void)c, (void)status, (void)message;
    call = NULL;
}

/* A mesh of one Service: shop/cart on 10.96.0.1:80 with one endpoint. */
static struct world *make_world(void)
{
    struct model *model = model_new();
    struct service *service = service_new(STR("shop"), STR("cart"));
    struct slice *slice = slice_new(STR("shop"), STR("cart-1"), STR("cart"));
    struct slice_endpoint_args endpoint = {.is_ready = true, .is_serving = true};
    struct addr ip;
    bool is_good = addr_parse_ip(STR("10.96.0.1"), &ip) && addr_parse_ip(STR("10.244.0.1"), &endpoint.ip) &&
                   service_add_port(service, STR("grpc"), 80, STR("grpc")) &&
                   service_add_address(service, &ip, ADDRESS_CLUSTER_IP) && slice_add_port(slice, STR("grpc"), 50051) &&
                   slice_add_endpoint(slice, &endpoint) && model_put_service(model, service) && model_put_slice(model, slice);

    assert(is_good);
    struct world *w = model_commit(model);

    model_free(model);
    return w;
}

static void send_messages(struct session_pair *pair, const uint8_t *data, size_t size)
{
    while (size >= 2 && call != NULL) {
        size_t len = (size_t)data[0] << 8 | data[1];

        len = len > size - 2 ? size - 2 : len;
        grpc_call_send(call, data + 2, len);
        data += 2 + len;
        size -= 2 + len;
        pair_turn(pair, 2);
        assert(hub.stream_count <= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h2_session_ops server_ops = {.on_request = on_request, .on_closed = pair_on_closed};
    static const struct grpc_call_ops call_ops = {.on_message = on_message, .on_closed = on_call_closed};
    struct api_metrics metrics;
    struct session_pair pair;
    struct resources *resources = resources_new(STR("cluster.local"));
    struct world *world = make_world();
    int error = 0;

    struct grpc_call_options options = {.authority = STR("api"), .max_message_bytes = 1 << 20};

    protocol = size > 0 && data[0] == 's' ? &sotw_protocol : &delta_protocol;
    options.path = str_from(protocol->path);
    pair_open(&pair, &server_ops);
    api_metrics_init(&metrics);
    ads_hub_init(&hub, pair.loop, resources, &metrics, (struct ads_limits){.subscriptions = SUBSCRIPTIONS_MAX});
    ads_hub_apply(&hub, world);
    pair_turn(&pair, 2);
    call = grpc_call_start(pair.client, &options, &call_ops, NULL, &error);
    assert(call != NULL);
    send_messages(&pair, data + (size > 0), size - (size > 0));
    ads_hub_cut(&hub);
    grpc_call_cancel(&call);
    ads_hub_deinit(&hub);
    assert(metric_value(metrics.streams) == 0);
    pair_close(&pair);
    api_metrics_deinit(&metrics);
    world_unref(&world);
    resources_free(resources);
    return 0;
}
