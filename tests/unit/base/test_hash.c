/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "unit.h"

struct item {
    struct hash_node node;
    unsigned value;
};

static struct hash_table table;
static struct item items[1000];

static void setup(void)
{
    hash_init(&table);
    for (unsigned i = 0; i < ARRAY_LEN(items); i++) {
        items[i].value = i;
    }
}

static void teardown(void)
{
    hash_deinit(&table);
}

static void insert_all(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(items); i++) {
        hash_insert(&table, &items[i].node, hash_bytes(&items[i].value, sizeof items[i].value));
    }
}

static struct item *find(unsigned value)
{
    struct hash_node *node = hash_first(&table, hash_bytes(&value, sizeof value));

    while (node != NULL && container_of(node, struct item, node)->value != value) {
        node = hash_next(node);
    }
    return node == NULL ? NULL : container_of(node, struct item, node);
}

/* Vectors of the reference implementation: key 00 01 … 0f, message 00 01 … of each length. */
START_TEST(hash_bytes_is_siphash_2_4)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31u}, {1, 0x74f839c593dc67fdu},  {7, 0xab0200f58b01d137u},
        {8, 0x93f5f5799a932462u}, {15, 0xa129ca6149be45e5u}, {63, 0x958a324ceb064572u},
    };
    uint8_t message[64];

    for (unsigned i = 0; i < sizeof message; i++) {
        message[i] = (uint8_t)i;
    }
    hash_set_key(0x0706050403020100u, 0x0f0e0d0c0b0a0908u);
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        ck_assert_uint_eq(hash_bytes(message, vectors[i].len), vectors[i].hash);
    }
}
END_TEST

START_TEST(hash_bytes_depends_on_the_key)
{
    hash_set_key(1, 2);
    uint64_t first = hash_bytes("abc", 3);

    hash_set_key(1, 3);
    ck_assert_uint_ne(hash_bytes("abc", 3), first);
}
END_TEST

START_TEST(an_empty_table_finds_nothing)
{
    ck_assert_ptr_null(hash_first(&table, 42));
}
END_TEST

START_TEST(every_node_is_found_after_growing)
{
    insert_all();

    ck_assert_uint_eq(table.count, ARRAY_LEN(items));
    for (unsigned i = 0; i < ARRAY_LEN(items); i++) {
        ck_assert_ptr_eq(find(i), &items[i]);
    }
    ck_assert_ptr_null(find(ARRAY_LEN(items)));
}
END_TEST

START_TEST(buckets_keep_up_with_the_nodes)
{
    insert_all();

    ck_assert_uint_ge(table.bucket_count, table.count);
    ck_assert_uint_lt(table.bucket_count, 4 * table.count);
}
END_TEST

START_TEST(a_removed_node_is_not_found_and_its_neighbours_are)
{
    insert_all();
    for (unsigned i = 0; i < ARRAY_LEN(items); i += 2) {
        hash_remove(&table, &items[i].node);
    }

    ck_assert_uint_eq(table.count, ARRAY_LEN(items) / 2);
    for (unsigned i = 0; i < ARRAY_LEN(items); i++) {
        ck_assert_ptr_eq(find(i), i % 2 == 0 ? NULL : &items[i]);
    }
}
END_TEST

START_TEST(next_walks_all_nodes_of_one_hash_and_no_other)
{
    hash_insert(&table, &items[0].node, 5);
    hash_insert(&table, &items[1].node, 5 + 16); /* same bucket, other hash */
    hash_insert(&table, &items[2].node, 5);

    struct hash_node *first = hash_first(&table, 5);
    struct hash_node *second = hash_next(first);

    ck_assert_ptr_ne(first, second);
    ck_assert_uint_eq(first->hash, 5);
    ck_assert_uint_eq(second->hash, 5);
    ck_assert_ptr_null(hash_next(second));
}
END_TEST

static void remove_and_count(struct hash_node *node, void *ctx)
{
    unsigned *visited = ctx;

    hash_remove(&table, node);
    memset(node, 0xff, sizeof *node); /* as if it were freed */
    (*visited)++;
}

START_TEST(for_each_visits_every_node_once_even_when_it_removes_them)
{
    unsigned visited = 0;

    insert_all();
    hash_for_each(&table, remove_and_count, &visited);

    ck_assert_uint_eq(visited, ARRAY_LEN(items));
    ck_assert_uint_eq(table.count, 0);
}
END_TEST

UNIT_MAIN("hash", setup, teardown, hash_bytes_is_siphash_2_4, hash_bytes_depends_on_the_key, an_empty_table_finds_nothing,
          every_node_is_found_after_growing, buckets_keep_up_with_the_nodes, a_removed_node_is_not_found_and_its_neighbours_are,
          next_walks_all_nodes_of_one_hash_and_no_other, for_each_visits_every_node_once_even_when_it_removes_them)
