/* SPDX-License-Identifier: Apache-2.0 */

#include <stdint.h>
#include <string.h>

#include "base/container.h"
#include "base/slab.h"
#include "unit.h"

static struct slab *slab;

/* Around every class limit, and past the largest class. */
static const size_t sizes[] = {0,   1,   31,  32,  33,   48,   49,   64,   65,    96,    97,    128,   129,   192,   193,   500,
                               512, 513, 768, 769, 4096, 4097, 6144, 6145, 16384, 16394, 24576, 24577, 32768, 32769, 100000};

static void setup(void)
{
    slab = slab_new();
}

static void teardown(void)
{
    slab_free(slab);
}

START_TEST(blocks_are_zeroed_even_when_used_before)
{
    unsigned char *p = slab_alloc(slab, sizes[_i]);

    memset(p, 0xff, sizes[_i]);
    slab_release(slab, p);
    p = slab_alloc(slab, sizes[_i]);
    for (size_t i = 0; i < sizes[_i]; i++) {
        ck_assert_uint_eq(p[i], 0);
    }
    slab_release(slab, p);
}
END_TEST

START_TEST(blocks_are_aligned_for_any_type)
{
    void *p = slab_alloc_raw(slab, sizes[_i]);

    ck_assert_uint_eq((uintptr_t)p % 16, 0);
    slab_release(slab, p);
}
END_TEST

START_TEST(blocks_of_all_sizes_do_not_overlap)
{
    unsigned char *blocks[ARRAY_LEN(sizes)];

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        blocks[i] = slab_alloc_raw(slab, sizes[i]);
        memset(blocks[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            ck_assert_uint_eq(blocks[i][j], i);
        }
        slab_release(slab, blocks[i]);
    }
}
END_TEST

START_TEST(realloc_keeps_bytes_growing_and_shrinking)
{
    unsigned char *p = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        p = slab_realloc(slab, p, sizes[i]);
        for (size_t j = 0; j < kept; j++) {
            ck_assert_uint_eq(p[j], j % 251);
        }
        for (size_t j = kept; j < sizes[i]; j++) {
            p[j] = (unsigned char)(j % 251);
        }
        kept = sizes[i];
    }
    p = slab_realloc(slab, p, 10);
    ck_assert_uint_eq(p[9], 9);
    slab_release(slab, p);
}
END_TEST

#if !SLAB_IS_PLAIN_HEAP
START_TEST(a_released_block_is_used_again)
{
    void *p = slab_alloc_raw(slab, 200);
    uintptr_t address = (uintptr_t)p;

    slab_release(slab, p);
    p = slab_alloc_raw(slab, 250); /* same class: 193 to 256 */

    ck_assert_uint_eq((uintptr_t)p, address);
    slab_release(slab, p);
}
END_TEST
#endif

START_TEST(a_class_gives_up_what_it_need_not_keep)
{
    enum { COUNT = 64 };
    void *blocks[COUNT];

    /* 64 × 16 KiB is four times what a class may keep. */
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = slab_alloc(slab, 16384);
    }
    for (size_t i = 0; i < COUNT; i++) {
        slab_release(slab, blocks[i]);
    }
    ck_assert_uint_le(slab_kept_bytes(slab), SLAB_CLASS_KEEP_BYTES);
}
END_TEST

START_TEST(releasing_nothing_is_harmless)
{
    slab_release(slab, NULL);
    slab_free(NULL);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("slab");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, blocks_are_zeroed_even_when_used_before, 0, ARRAY_LEN(sizes));
    tcase_add_loop_test(tcase, blocks_are_aligned_for_any_type, 0, ARRAY_LEN(sizes));
    tcase_add_test(tcase, blocks_of_all_sizes_do_not_overlap);
    tcase_add_test(tcase, realloc_keeps_bytes_growing_and_shrinking);
#if !SLAB_IS_PLAIN_HEAP
    tcase_add_test(tcase, a_released_block_is_used_again);
#endif
    tcase_add_test(tcase, a_class_gives_up_what_it_need_not_keep);
    tcase_add_test(tcase, releasing_nothing_is_harmless);
    return unit_run("slab", tcase, (TCase *)NULL);
}
