/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "fixture.h"

/* --- mailbox --- */

static int order[8];
static size_t order_len;

static void note(int what)
{
    ck_assert_uint_lt(order_len, ARRAY_LEN(order));
    order[order_len++] = what;
}

static void ck_assert_order(const int *expected, size_t len)
{
    ck_assert_uint_eq(order_len, len);
    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(order[i], expected[i]);
    }
}

static void note_task(void *arg)
{
    note(*(int *)arg);
}

static int one = 1;
static int two = 2;
static int three = 3;

START_TEST(posted_tasks_run_in_the_order_posted)
{
    loop_post(loop, note_task, &one);
    loop_post(loop, note_task, &two);
    loop_post(loop, note_task, &three);
    ck_assert_uint_eq(order_len, 0);

    loop_turn(loop, true);

    ck_assert_order((int[]){1, 2, 3}, 3);
}
END_TEST

static void post_again(void *arg)
{
    note(*(int *)arg);
    loop_post(loop, note_task, &two);
}

START_TEST(task_posted_by_a_task_runs_in_the_next_turn)
{
    loop_post(loop, post_again, &one);

    loop_turn(loop, true);
    ck_assert_order((int[]){1}, 1);

    loop_turn(loop, true);
    ck_assert_order((int[]){1, 2}, 2);
}
END_TEST

#define SENDER_COUNT 3
#define PER_SENDER 20000

struct message {
    size_t sender;
    size_t number;
};

static size_t received[SENDER_COUNT];
static size_t senders_done;

static void receive(void *arg)
{
    struct message *m = arg;

    ck_assert_uint_eq(m->number, received[m->sender]);
    received[m->sender]++;
    if (m->number == PER_SENDER - 1 && ++senders_done == SENDER_COUNT) {
        loop_stop(loop);
    }
    mem_free(m);
}

static void *send_many(void *arg)
{
    size_t sender = *(size_t *)arg;

    for (size_t i = 0; i < PER_SENDER; i++) {
        struct message *m = mem_alloc(sizeof *m);

        *m = (struct message){sender, i};
        loop_post(loop, receive, m);
    }
    return NULL;
}

START_TEST(tasks_of_other_threads_arrive_once_and_in_each_sender_s_order)
{
    pthread_t threads[SENDER_COUNT];
    size_t numbers[SENDER_COUNT];

    for (size_t i = 0; i < SENDER_COUNT; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_many, &numbers[i]), 0);
    }
    loop_run(loop);
    for (size_t i = 0; i < SENDER_COUNT; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(received[i], PER_SENDER);
    }
}
END_TEST

static void *stop_it(void *arg)
{
    loop_stop(arg);
    return NULL;
}

START_TEST(stop_from_another_thread_ends_a_loop_that_waits)
{
    pthread_t thread;

    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, stop_it, loop), 0);
        loop_run(loop);
        pthread_join(thread, NULL);
        loop_turn(loop, false); /* the wake-up may still be there */
    }
}
END_TEST

START_TEST(loop_free_runs_tasks_that_came_too_late)
{
    struct loop *other = loop_new(2);

    loop_post(other, note_task, &three);
    loop_free(other);

    ck_assert_order((int[]){3}, 1);
}
END_TEST

/* --- deferred work, graveyard --- */

struct work {
    struct deferred deferred;
    struct grave grave;
    int name;
    int left; /* how often it asks to run again */
    struct work *other;
};

static void run_work(struct deferred *d)
{
    struct work *w = container_of(d, struct work, deferred);

    note(w->name);
    if (w->left > 0) {
        w->left--;
        loop_defer(loop, d);
    }
}

static struct work work_named(int name)
{
    return (struct work){.name = name};
}

START_TEST(deferred_work_runs_once_at_the_end_of_the_turn)
{
    struct work w = work_named(7);

    deferred_init(&w.deferred, run_work);
    loop_defer(loop, &w.deferred);
    loop_defer(loop, &w.deferred);
    loop_post(loop, note_task, &one);

    loop_turn(loop, true);
    loop_turn(loop, false);

    ck_assert_order((int[]){1, 7}, 2);
}
END_TEST

START_TEST(work_deferred_again_runs_in_a_later_round_of_the_same_turn)
{
    struct work a = work_named(1);
    struct work b = work_named(2);

    a.left = 1;
    deferred_init(&a.deferred, run_work);
    deferred_init(&b.deferred, run_work);
    loop_defer(loop, &a.deferred);
    loop_defer(loop, &b.deferred);

    loop_turn(loop, false);

    ck_assert_order((int[]){1, 2, 1}, 3);
}
END_TEST

static unsigned runs;

static void run_for_ever(struct deferred *d)
{
    runs++;
    loop_defer(loop, d);
}

START_TEST(endless_work_gives_way_after_16_rounds_and_keeps_the_loop_from_waiting)
{
    struct deferred d;

    deferred_init(&d, run_for_ever);
    loop_defer(loop, &d);

    loop_turn(loop, true);
    ck_assert_uint_eq(runs, 16);
    loop_turn(loop, true);
    ck_assert_uint_eq(runs, 32);

    loop_undefer(&d);
    loop_turn(loop, false);
    ck_assert_uint_eq(runs, 32);
}
END_TEST

static void cancel_other(struct deferred *d)
{
    struct work *w = container_of(d, struct work, deferred);

    note(w->name);
    loop_undefer(&w->other->deferred);
}

START_TEST(work_can_be_withdrawn_by_work_of_the_same_round)
{
    struct work a = work_named(1);
    struct work b = work_named(2);

    a.other = &b;
    deferred_init(&a.deferred, cancel_other);
    deferred_init(&b.deferred, run_work);
    loop_defer(loop, &a.deferred);
    loop_defer(loop, &b.deferred);

    loop_turn(loop, false);

    ck_assert_order((int[]){1}, 1);
}
END_TEST

static void reap_work(struct grave *g)
{
    note(container_of(g, struct work, grave)->name);
}

static void reap_and_bury_other(struct grave *g)
{
    struct work *w = container_of(g, struct work, grave);

    note(w->name);
    loop_bury(loop, &w->other->grave, reap_work);
}

static struct work grave_a = {.name = 1};
static struct work grave_b = {.name = 2};
static struct work grave_c = {.name = 3};

static void bury_c(struct deferred *d)
{
    note(container_of(d, struct work, deferred)->name);
    loop_bury(loop, &grave_c.grave, reap_work);
}

START_TEST(graves_are_reaped_in_order_after_deferred_work)
{
    struct work last = work_named(9);

    deferred_init(&last.deferred, bury_c);
    loop_defer(loop, &last.deferred);
    loop_bury(loop, &grave_a.grave, reap_work);
    loop_bury(loop, &grave_b.grave, reap_work);
    ck_assert_uint_eq(order_len, 0);

    loop_turn(loop, false);

    ck_assert_order((int[]){9, 1, 2, 3}, 4);
}
END_TEST

START_TEST(grave_dug_while_reaping_is_reaped_in_the_same_turn)
{
    grave_a.other = &grave_b;
    loop_bury(loop, &grave_a.grave, reap_and_bury_other);

    loop_turn(loop, false);

    ck_assert_order((int[]){1, 2}, 2);
}
END_TEST

START_TEST(loop_free_reaps_what_is_left)
{
    struct loop *other = loop_new(2);

    loop_bury(other, &grave_a.grave, reap_work);
    loop_free(other);

    ck_assert_order((int[]){1}, 1);
}
END_TEST

/* --- what the thread shares --- */

START_TEST(clock_stands_still_within_a_turn_and_moves_between_turns)
{
    loop_turn(loop, false);
    struct usec before = loop_now(loop);

    while (loop_clock().v == before.v) {
    }
    ck_assert_uint_eq(loop_now(loop).v, before.v);

    loop_turn(loop, false);
    ck_assert_uint_gt(loop_now(loop).v, before.v);
}
END_TEST

START_TEST(read_buffer_has_its_size_and_seed_decides_the_numbers)
{
    struct loop *same = loop_new(1);

    memset(loop_read_buffer(loop), 0xff, LOOP_READ_BUFFER_SIZE);
    ck_assert_uint_eq(rng_below(loop_rng(loop), 1000000), rng_below(loop_rng(same), 1000000));
    slab_release(loop_slab(loop), slab_alloc(loop_slab(loop), 100));
    loop_free(same);
}
END_TEST

static void setup(void)
{
    loop_setup();
    order_len = 0;
    runs = 0;
    senders_done = 0;
    memset(received, 0, sizeof received);
}

int main(void)
{
    TCase *tcase = tcase_create("loop");

    tcase_add_checked_fixture(tcase, setup, loop_teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, posted_tasks_run_in_the_order_posted);
    tcase_add_test(tcase, task_posted_by_a_task_runs_in_the_next_turn);
    tcase_add_test(tcase, tasks_of_other_threads_arrive_once_and_in_each_sender_s_order);
    tcase_add_test(tcase, stop_from_another_thread_ends_a_loop_that_waits);
    tcase_add_test(tcase, loop_free_runs_tasks_that_came_too_late);
    tcase_add_test(tcase, deferred_work_runs_once_at_the_end_of_the_turn);
    tcase_add_test(tcase, work_deferred_again_runs_in_a_later_round_of_the_same_turn);
    tcase_add_test(tcase, endless_work_gives_way_after_16_rounds_and_keeps_the_loop_from_waiting);
    tcase_add_test(tcase, work_can_be_withdrawn_by_work_of_the_same_round);
    tcase_add_test(tcase, graves_are_reaped_in_order_after_deferred_work);
    tcase_add_test(tcase, grave_dug_while_reaping_is_reaped_in_the_same_turn);
    tcase_add_test(tcase, loop_free_reaps_what_is_left);
    tcase_add_test(tcase, clock_stands_still_within_a_turn_and_moves_between_turns);
    tcase_add_test(tcase, read_buffer_has_its_size_and_seed_decides_the_numbers);
    return run_tcase(tcase);
}
