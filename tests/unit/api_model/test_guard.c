/* SPDX-License-Identifier: Apache-2.0 */

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#include "api/proto/guard.h"
#include "api/proto/xds.pb-c.h"
#include "unit.h"

#define VALUE_LIST 6     /* google.protobuf.Value.list_value */
#define LIST_VALUES 1    /* google.protobuf.ListValue.values */
#define WIRE_LEN_LIMIT 2 /* wire type: length-delimited */

static bool accepts(const void *bytes, size_t len)
{
    return proto_guard(&envoy__service__discovery__v3__delta_discovery_request__descriptor, bytes, len, GUARD_DEPTH_MAX);
}

/* Appends the length in front of what `start` already holds: builds nested messages from the inside out. */
static size_t wrap(uint8_t *bytes, size_t len, unsigned field)
{
    size_t header = len < 128 ? 2 : 3;

    memmove(bytes + header, bytes, len);
    bytes[0] = (uint8_t)(field << 3 | WIRE_LEN_LIMIT);
    bytes[1] = (uint8_t)(len < 128 ? len : (len & 0x7f) | 0x80);
    if (header == 3) {
        bytes[2] = (uint8_t)(len >> 7);
    }
    return len + header;
}

/* A google.protobuf.Value of `levels` messages within each other, the Value itself being one. */
static size_t nest(uint8_t *bytes, unsigned levels)
{
    size_t len = 0;

    for (unsigned i = 1; i < levels; i++) {
        len = wrap(bytes, len, i % 2 == levels % 2 ? LIST_VALUES : VALUE_LIST);
    }
    return len;
}

static bool accepts_value(unsigned levels, unsigned max_depth)
{
    uint8_t bytes[1024];
    size_t len = nest(bytes, levels);

    return proto_guard(&google__protobuf__value__descriptor, bytes, len, max_depth);
}

START_TEST(guard_accepts_an_empty_message)
{
    ck_assert(accepts(NULL, 0));
}
END_TEST

START_TEST(guard_accepts_a_real_message)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryRequest m;
    Envoy__Config__Core__V3__Node node;
    char id[] = "pod", *names[] = {id, id};
    uint8_t bytes[128];

    envoy__service__discovery__v3__delta_discovery_request__init(&m);
    envoy__config__core__v3__node__init(&node);
    node.id = id;
    m.node = &node;
    m.n_resource_names_subscribe = 2;
    m.resource_names_subscribe = names;

    size_t len = envoy__service__discovery__v3__delta_discovery_request__pack(&m, bytes);

    ck_assert(accepts(bytes, len));
}
END_TEST

START_TEST(guard_accepts_the_deepest_allowed_nesting)
{
    ck_assert(accepts_value(GUARD_DEPTH_MAX, GUARD_DEPTH_MAX));
}
END_TEST

START_TEST(guard_refuses_one_level_more)
{
    ck_assert(!accepts_value(GUARD_DEPTH_MAX + 1, GUARD_DEPTH_MAX));
}
END_TEST

START_TEST(guard_counts_from_the_callers_depth)
{
    ck_assert(accepts_value(3, 3));
    ck_assert(!accepts_value(4, 3));
}
END_TEST

START_TEST(guard_survives_nesting_that_would_overflow_the_stack)
{
    size_t size = 200000;
    uint8_t *bytes = mem_alloc(size);

    /* Field 6, then 1, in turns, each claiming the rest: the guard stops long before the lengths could matter. */
    for (size_t i = 0; i + 4 < size; i += 4) {
        bytes[i] = (uint8_t)((i / 4 % 2 == 0 ? VALUE_LIST : LIST_VALUES) << 3 | WIRE_LEN_LIMIT);
        size_t rest = size - i - 4;

        bytes[i + 1] = (uint8_t)(rest & 0x7f) | 0x80;
        bytes[i + 2] = (uint8_t)(rest >> 7 & 0x7f) | 0x80;
        bytes[i + 3] = (uint8_t)(rest >> 14);
    }

    ck_assert(!proto_guard(&google__protobuf__value__descriptor, bytes, size, GUARD_DEPTH_MAX));
    mem_free(bytes);
}
END_TEST

START_TEST(guard_steps_over_unknown_fields_of_every_wire_type)
{
    static const uint8_t wire[] = {
        0xb0, 0x3f, 0x96, 1,                         /* 1014: varint 150 */
        0xb1, 0x3f, 1,    2,    3,    4, 5, 6, 7, 8, /* 64 bits */
        0xb2, 0x3f, 2,    0xff, 0xff,                /* bytes that are no message */
        0xb5, 0x3f, 1,    2,    3,    4,             /* 32 bits */
    };

    ck_assert(accepts(wire, sizeof wire));
}
END_TEST

static const struct {
    const char *what;
    uint8_t bytes[12];
    size_t len;
} malformed[] = {
    {"a tag that is cut off", {0x80}, 1},
    {"field number 0", {0x02, 0}, 2},
    {"a varint of 11 bytes", {0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 12},
    {"a length beyond the end", {0x12, 5, 'a'}, 3},
    {"a length that is cut off", {0x12, 0x80}, 2},
    {"64 bits that are cut off", {0x11, 1, 2, 3}, 4},
    {"32 bits that are cut off", {0x15, 1, 2, 3}, 4},
    {"the start of a group", {0x13, 0x14}, 2},
    {"the end of a group", {0x14}, 1},
    {"wire type 6", {0x16, 0}, 2},
    {"a broken message inside", {0x0a, 2, 0x0a, 9}, 4},
    {"a message that ends in the middle of its parent's next field", {0x0a, 1, 0x80, 0x01}, 4},
};

START_TEST(guard_refuses_malformed_bytes)
{
    ck_assert_msg(!accepts(malformed[_i].bytes, malformed[_i].len), "accepted %s", malformed[_i].what);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {guard_accepts_an_empty_message,
                                  guard_accepts_a_real_message,
                                  guard_accepts_the_deepest_allowed_nesting,
                                  guard_refuses_one_level_more,
                                  guard_counts_from_the_callers_depth,
                                  guard_survives_nesting_that_would_overflow_the_stack,
                                  guard_steps_over_unknown_fields_of_every_wire_type};
    TCase *loops = tcase_create("malformed");

    tcase_add_loop_test(loops, guard_refuses_malformed_bytes, 0, ARRAY_LEN(malformed));
    return unit_run("guard", unit_case("guard", NULL, NULL, tests, ARRAY_LEN(tests)), loops, (TCase *)NULL);
}
