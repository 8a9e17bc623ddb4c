/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "fixture.h"
#include "net/signals.h"

static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

static struct signals signals;
static bool has_signal;
static int last;
static unsigned count;
static bool must_stop;

static void on_signal(struct signals *s, int signo)
{
    has_signal = true;
    last = signo;
    count++;
    if (must_stop) {
        signals_stop(s);
    }
}

static void setup(void)
{
    loop_setup();
    has_signal = false;
    count = 0;
    must_stop = false;
    ck_assert_int_eq(signals_start(&signals, loop, on_signal), 0);
}

static void teardown(void)
{
    signals_stop(&signals);
    loop_teardown();
}

START_TEST(signal_becomes_an_event)
{
    ck_assert_int_eq(kill(getpid(), all[_i]), 0);
    ck_assert(!has_signal);
    turn_until(&has_signal);

    ck_assert_int_eq(last, all[_i]);
    loop_turn(loop, false);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(different_signals_are_all_told)
{
    ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
    ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
    while (count < 2) {
        loop_turn(loop, true);
    }
    loop_turn(loop, false);

    ck_assert_uint_eq(count, 2);
}
END_TEST

static void *send_term(void *arg)
{
    (void)arg;
    kill(getpid(), SIGTERM);
    return NULL;
}

START_TEST(signal_wakes_a_loop_that_waits_though_other_threads_exist)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, send_term, NULL), 0);
    turn_until(&has_signal);
    pthread_join(thread, NULL);

    ck_assert_int_eq(last, SIGTERM);
}
END_TEST

START_TEST(callback_may_stop_it_and_the_mask_is_as_before)
{
    sigset_t mask;

    must_stop = true;
    ck_assert_int_eq(kill(getpid(), SIGHUP), 0);
    turn_until(&has_signal);
    loop_turn(loop, false);

    ck_assert_uint_eq(count, 1);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        ck_assert_int_eq(sigismember(&mask, all[i]), 0);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("signals");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, signal_becomes_an_event, 0, (int)ARRAY_LEN(all));
    tcase_add_test(tcase, different_signals_are_all_told);
    tcase_add_test(tcase, signal_wakes_a_loop_that_waits_though_other_threads_exist);
    tcase_add_test(tcase, callback_may_stop_it_and_the_mask_is_as_before);
    return run_tcase(tcase);
}
