/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include <string.h>

#include "api/xds/node.h"

static struct node node;
static char namespace_key[] = "namespace";
static char node_key[] = "node";
static char shop[] = "shop";
static char other[] = "other";

static void setup(void)
{
    node_init(&node);
}

static void teardown(void)
{
    node_deinit(&node);
}

/* One metadata entry with a text. */
struct entry {
    Google__Protobuf__Struct__FieldsEntry field;
    Google__Protobuf__Value value;
};

static Google__Protobuf__Struct__FieldsEntry *text_entry(struct entry *e, char *key, char *text)
{
    google__protobuf__struct__fields_entry__init(&e->field);
    google__protobuf__value__init(&e->value);
    e->field.key = key;
    e->field.value = &e->value;
    e->value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    e->value.string_value = text;
    return &e->field;
}

static void take(Google__Protobuf__Struct__FieldsEntry **fields, size_t count)
{
    Envoy__Config__Core__V3__Node m;
    Google__Protobuf__Struct metadata;

    envoy__config__core__v3__node__init(&m);
    google__protobuf__struct__init(&metadata);
    metadata.n_fields = count;
    metadata.fields = fields;
    m.metadata = &metadata;
    m.id = other;
    node_take(&node, &m);
}

START_TEST(the_view_is_made_of_metadata)
{
    struct entry entries[2];
    Google__Protobuf__Struct__FieldsEntry *fields[] = {text_entry(&entries[0], namespace_key, shop),
                                                       text_entry(&entries[1], node_key, other)};

    take(fields, 2);
    ck_assert(str_eq(node_view(&node).namespace, STR("shop")));
    ck_assert(str_eq(node_view(&node).node, STR("other")));
    ck_assert_str_eq(node.id, "other");
}
END_TEST

START_TEST(what_is_not_said_is_empty)
{
    node_take(&node, NULL);
    take(NULL, 0);
    ck_assert_uint_eq(node_view(&node).namespace.len, 0);
    ck_assert_uint_eq(node_view(&node).node.len, 0);
}
END_TEST

START_TEST(what_is_no_text_is_empty)
{
    struct entry entry;
    Google__Protobuf__Struct__FieldsEntry *fields[] = {text_entry(&entry, namespace_key, shop)};

    entry.value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    entry.value.number_value = 1;
    take(fields, 1);
    ck_assert_uint_eq(node_view(&node).namespace.len, 0);
}
END_TEST

START_TEST(of_a_key_that_comes_twice_the_last_counts)
{
    struct entry entries[2];
    Google__Protobuf__Struct__FieldsEntry *fields[] = {text_entry(&entries[0], namespace_key, other),
                                                       text_entry(&entries[1], namespace_key, shop)};

    take(fields, 2);
    ck_assert(str_eq(node_view(&node).namespace, STR("shop")));
}
END_TEST

START_TEST(a_long_text_is_cut)
{
    char text[1000];
    struct entry entry;
    Google__Protobuf__Struct__FieldsEntry *fields[] = {text_entry(&entry, namespace_key, text)};

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    take(fields, 1);
    ck_assert_uint_eq(node_view(&node).namespace.len, NODE_TEXT_MAX);
}
END_TEST

UNIT_MAIN("node", setup, teardown, the_view_is_made_of_metadata, what_is_not_said_is_empty, what_is_no_text_is_empty,
          of_a_key_that_comes_twice_the_last_counts, a_long_text_is_cut)
