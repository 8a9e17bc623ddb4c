/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "base/mem.h"
#include "fixture.h"

#include "api/proto/xds.pb-c.h"
#include "api/xds/delta_response.h"

static struct delta_response response;

static void setup(void)
{
    fixture_setup();
    put_checkout();
    delta_response_init(&response);
}

static void teardown(void)
{
    delta_response_deinit(&response);
    fixture_teardown();
}

static void add_resource(enum resource_type type, const char *name)
{
    struct resource *res = resources_lookup(the_resources, type, str_from(name), &the_view);

    ck_assert_ptr_nonnull(res);
    delta_response_add(&response, &res);
    ck_assert_ptr_null(res);
}

static Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *round_trip(void)
{
    size_t len = 0;
    uint8_t *bytes = delta_response_encode(&response, "some/type", "7", &len);
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *m =
        envoy__service__discovery__v3__delta_discovery_response__unpack(NULL, len, bytes);

    mem_free(bytes);
    ck_assert_ptr_nonnull(m);
    return m;
}

START_TEST(resources_and_removed_names_arrive)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *m;
    Envoy__Config__Cluster__V3__Cluster *cluster;

    add_resource(RESOURCE_CLUSTER, "shop/checkout:50051");
    delta_response_remove(&response, STR("gone"));
    m = round_trip();

    ck_assert_str_eq(m->type_url, "some/type");
    ck_assert_str_eq(m->nonce, "7");
    ck_assert_uint_eq(m->n_resources, 1);
    ck_assert_str_eq(m->resources[0]->name, "shop/checkout:50051");
    ck_assert_str_eq(m->resources[0]->resource->type_url, "type.googleapis.com/envoy.config.cluster.v3.Cluster");
    ck_assert_uint_eq(m->n_removed_resources, 1);
    ck_assert_str_eq(m->removed_resources[0], "gone");
    cluster = envoy__config__cluster__v3__cluster__unpack(NULL, m->resources[0]->resource->value.len,
                                                          m->resources[0]->resource->value.data);
    ck_assert_str_eq(cluster->name, "shop/checkout:50051");
    envoy__config__cluster__v3__cluster__free_unpacked(cluster, NULL);
    envoy__service__discovery__v3__delta_discovery_response__free_unpacked(m, NULL);
}
END_TEST

START_TEST(an_empty_response_is_empty)
{
    ck_assert(delta_response_is_empty(&response));
    delta_response_remove(&response, STR("gone"));
    ck_assert(!delta_response_is_empty(&response));
}
END_TEST

START_TEST(a_response_is_full_before_grpc_s_limit)
{
    unsigned count = 0;

    while (!delta_response_is_full(&response)) {
        add_resource(RESOURCE_CLUSTER, "shop/checkout:50051");
        count++;
    }
    ck_assert_uint_gt(count, 1000);
    ck_assert_uint_le(response.bytes, DELTA_RESPONSE_BYTES + 1024);
}
END_TEST

START_TEST(the_estimate_is_no_less_than_the_wire)
{
    size_t len = 0;
    uint8_t *bytes;

    for (unsigned i = 0; i < 100; i++) {
        add_resource(RESOURCE_ENDPOINTS, "shop/checkout:50051");
        delta_response_remove(&response, STR("gone"));
    }
    bytes = delta_response_encode(&response, "t", "1", &len);
    ck_assert_uint_le(len, response.bytes);
    mem_free(bytes);
}
END_TEST

UNIT_MAIN("delta_response", setup, teardown, resources_and_removed_names_arrive, an_empty_response_is_empty,
          a_response_is_full_before_grpc_s_limit, the_estimate_is_no_less_than_the_wire)
