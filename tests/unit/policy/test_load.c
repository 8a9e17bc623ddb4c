/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>

#include "policy/load.h"
#include "unit.h"

#define ROUNDS 50000

START_TEST(a_load_counts_what_began_and_has_not_ended)
{
    struct load load = {0};

    load_add(&load);
    load_add(&load);
    load_sub(&load);

    ck_assert_uint_eq(load_in_flight(&load), 1);
}
END_TEST

static void *count_up_and_down(void *arg)
{
    struct load *load = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        load_add(load);
        load_add(load);
        load_sub(load);
    }
    return NULL;
}

START_TEST(counts_of_several_threads_add_up)
{
    struct load load = {0};
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_up_and_down, &load), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }

    ck_assert_uint_eq(load_in_flight(&load), 4 * ROUNDS);
}
END_TEST

UNIT_MAIN("load", NULL, NULL, a_load_counts_what_began_and_has_not_ended, counts_of_several_threads_add_up)
