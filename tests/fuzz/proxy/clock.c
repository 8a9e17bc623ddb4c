/* SPDX-License-Identifier: Apache-2.0 */

#include "clock.h"

#include <assert.h>
#include <time.h>

#include "net/timer.h"

#define STORM_TURNS 1000

int __wrap_clock_gettime(clockid_t id, struct timespec *ret_time);
int __real_clock_gettime(clockid_t id, struct timespec *ret_time);
void __wrap_timer_init(struct timer *t, struct loop *l, void (*on_fire)(struct timer *t));
void __wrap_timer_set(struct timer *t, struct usec delay);
bool __wrap_timer_is_set(const struct timer *t);
void __wrap_timer_stop(struct timer *t);

static struct usec now;
static struct timer *pending[CLOCK_TIMERS_MAX]; /* in the order set */
static size_t count;

void clock_reset(void)
{
    now = usec_from_s(1000);
    count = 0;
}

struct usec clock_now(void)
{
    return now;
}

size_t clock_timers(void)
{
    return count;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret_time)
{
    if (id != CLOCK_MONOTONIC) {
        return __real_clock_gettime(id, ret_time);
    }
    *ret_time = (struct timespec){.tv_sec = (time_t)(now.v / 1000000), .tv_nsec = (long)(now.v % 1000000) * 1000};
    return 0;
}

/* --- timers --- */

static size_t place_of(const struct timer *t)
{
    size_t i = 0;

    while (i < count && pending[i] != t) {
        i++;
    }
    return i;
}

void __wrap_timer_init(struct timer *t, struct loop *l, void (*on_fire)(struct timer *t))
{
    assert(place_of(t) == count); /* a timer that is set may not be made anew, nor its memory be reused */
    t->loop = l;
    t->on_fire = on_fire;
    t->due = (struct usec){0};
}

void __wrap_timer_stop(struct timer *t)
{
    size_t i = place_of(t);

    if (i < count) {
        count--;
        for (; i < count; i++) {
            pending[i] = pending[i + 1];
        }
    }
}

void __wrap_timer_set(struct timer *t, struct usec delay)
{
    __wrap_timer_stop(t);
    assert(count < CLOCK_TIMERS_MAX);
    t->due = usec_add(loop_now(t->loop), delay);
    pending[count++] = t;
}

bool __wrap_timer_is_set(const struct timer *t)
{
    return place_of(t) < count;
}

/* --- passing --- */

static struct timer *earliest(void)
{
    struct timer *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (found == NULL || usec_before(pending[i]->due, found->due)) {
            found = pending[i];
        }
    }
    return found;
}

/* Runs within a turn. One only: what it does may stop or free others. */
static void fire(void *arg)
{
    struct timer *t = earliest();

    (void)arg;
    if (t != NULL && !usec_before(now, t->due)) {
        __wrap_timer_stop(t);
        t->on_fire(t);
    }
}

void clock_advance(struct loop *l, struct usec delay, void (*after_turn)(void))
{
    struct usec end = usec_add(now, delay);
    unsigned turns_without_time = 0;

    for (;;) {
        const struct timer *t = earliest();
        bool is_due = t != NULL && !usec_before(end, t->due);
        struct usec next = is_due ? t->due : end;

        if (usec_before(now, next)) {
            now = next;
            turns_without_time = 0;
        }
        assert(++turns_without_time < STORM_TURNS); /* a timer that fires again and again */
        if (is_due) {
            loop_post(l, fire, NULL);
        }
        loop_turn(l, false);
        if (after_turn != NULL) {
            after_turn();
        }
        if (!is_due) {
            return;
        }
    }
}
