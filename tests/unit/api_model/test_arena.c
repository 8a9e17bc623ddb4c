/* SPDX-License-Identifier: Apache-2.0 */

#include <stdint.h>
#include <string.h>

#include "api/proto/arena.h"
#include "api/proto/xds.pb-c.h"
#include "unit.h"

#define LIMIT ((size_t)64 * 1024)

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, LIMIT);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

START_TEST(arena_aligns_every_block_to_16_bytes)
{
    for (size_t size = 1; size < 40; size++) {
        ck_assert_uint_eq((uintptr_t)arena_alloc(&arena, size) % 16, 0);
    }
}
END_TEST

START_TEST(arena_blocks_do_not_overlap)
{
    unsigned char *blocks[200];

    for (unsigned i = 0; i < 200; i++) {
        blocks[i] = memset(arena_alloc(&arena, 100), (int)i, 100);
    }

    for (unsigned i = 0; i < 200; i++) {
        ck_assert_uint_eq(blocks[i][0], i);
        ck_assert_uint_eq(blocks[i][99], i);
    }
}
END_TEST

START_TEST(arena_gives_a_block_larger_than_any_chunk)
{
    struct arena large;

    arena_init(&large, SIZE_MAX);
    void *block = arena_alloc(&large, 1 << 20);

    ck_assert_ptr_nonnull(block);
    memset(block, 1, 1 << 20);
    arena_deinit(&large);
}
END_TEST

START_TEST(arena_gives_exactly_its_limit)
{
    ck_assert_ptr_nonnull(arena_alloc(&arena, LIMIT));
    ck_assert_ptr_null(arena_alloc(&arena, 1));
}
END_TEST

START_TEST(arena_refuses_a_size_whose_rounding_would_overflow)
{
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
}
END_TEST

START_TEST(arena_is_whole_again_after_a_reset)
{
    ck_assert_ptr_nonnull(arena_alloc(&arena, LIMIT));

    arena_reset(&arena);

    ck_assert_ptr_nonnull(arena_alloc(&arena, LIMIT));
}
END_TEST

START_TEST(arena_unpacks_a_message)
{
    static const uint8_t wire[] = {0x0a, 1, 'a', 0x12, 2, 'b', 'c'}; /* Node {id, cluster} */
    Envoy__Config__Core__V3__Node *node = envoy__config__core__v3__node__unpack(arena_allocator(&arena), sizeof wire, wire);

    ck_assert_ptr_nonnull(node);
    ck_assert_str_eq(node->cluster, "bc");
    ck_assert_uint_gt(arena_used(&arena), sizeof *node);
}
END_TEST

START_TEST(arena_that_is_too_small_fails_the_unpack)
{
    static const uint8_t wire[] = {0x0a, 1, 'a'};
    struct arena small;

    arena_init(&small, 64);

    ck_assert_ptr_null(envoy__config__core__v3__node__unpack(arena_allocator(&small), sizeof wire, wire));
    arena_deinit(&small);
}
END_TEST

UNIT_MAIN("arena", setup, teardown, arena_aligns_every_block_to_16_bytes, arena_blocks_do_not_overlap,
          arena_gives_a_block_larger_than_any_chunk, arena_gives_exactly_its_limit,
          arena_refuses_a_size_whose_rounding_would_overflow, arena_is_whole_again_after_a_reset, arena_unpacks_a_message,
          arena_that_is_too_small_fails_the_unpack)
