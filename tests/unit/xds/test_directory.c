/* SPDX-License-Identifier: Apache-2.0 */

/* Directories by themselves: discovery is switched off, the test plays its part through the channel's worker end. */

#include "../unit.h"

#include <stdio.h>

#include "base/object.h"
#include "xds/build.h"
#include "xds/channel.h"
#include "xds/directory.h"
#include "xds/discovery.h"

struct watcher {
    struct directory_watch watch;
    unsigned changes;
    struct watcher *unwatches; /* on its change */
};

static struct loop *loop;
static struct discovery *discovery;
static struct directory *directory;
static struct addr address;

static void on_change(struct directory_watch *w)
{
    struct watcher *self = container_of(w, struct watcher, watch);

    self->changes++;
    if (self->unwatches != NULL) {
        directory_unwatch(&self->unwatches->watch);
    }
}

static void setup_with(struct usec retention)
{
    struct discovery_options options = {.api_address = ""};

    loop = loop_new(1);
    discovery = discovery_new(loop, &options);
    directory = directory_new(loop, discovery, retention);
    ck_assert(addr_parse(STR("10.0.0.1:1"), &address));
}

static void setup(void)
{
    setup_with(usec_from_s(60));
}

static void teardown(void)
{
    directory_free(directory);
    discovery_free(discovery);
    loop_free(loop);
    ck_assert_int_eq(object_live(OBJECT_SNAPSHOT), 0);
}

static struct snapshot *absent(void)
{
    return snapshot_build(&(struct snapshot_parts){.addr = address, .kind = DESTINATION_ABSENT, .name = ""});
}

static void watch(struct watcher *w)
{
    *w = (struct watcher){0};
    directory_watch(directory, &address, &w->watch, on_change);
}

START_TEST(a_watch_without_answer_has_none)
{
    struct watcher w;

    watch(&w);
    ck_assert_ptr_null(directory_answer(&w.watch));
    directory_unwatch(&w.watch);
}
END_TEST

START_TEST(every_watch_of_an_address_is_told)
{
    struct watcher a, b;

    watch(&a);
    watch(&b);
    directory_on_answer(directory, &address, absent());

    ck_assert_uint_eq(a.changes, 1);
    ck_assert_uint_eq(b.changes, 1);
    ck_assert_ptr_eq(directory_answer(&a.watch), directory_answer(&b.watch));
    directory_unwatch(&a.watch);
    directory_unwatch(&b.watch);
}
END_TEST

START_TEST(a_watch_that_ends_while_others_are_told_is_not_told)
{
    struct watcher a, b;

    watch(&a);
    watch(&b);
    a.unwatches = &b;
    directory_on_answer(directory, &address, absent());

    ck_assert_uint_eq(a.changes, 1);
    ck_assert_uint_eq(b.changes, 0);
    directory_unwatch(&a.watch);
}
END_TEST

START_TEST(a_watch_may_end_itself_while_it_is_told)
{
    struct watcher a;

    watch(&a);
    a.unwatches = &a;
    directory_on_answer(directory, &address, absent());

    ck_assert_uint_eq(a.changes, 1);
    ck_assert_ptr_null(directory_answer(&a.watch));
}
END_TEST

START_TEST(an_answer_nobody_waits_for_is_dropped)
{
    directory_on_answer(directory, &address, absent());
    ck_assert_int_eq(object_live(OBJECT_SNAPSHOT), 0);
}
END_TEST

START_TEST(an_address_is_remembered_for_the_retention_time)
{
    struct watcher a;

    watch(&a);
    directory_on_answer(directory, &address, absent());
    directory_unwatch(&a.watch);
    watch(&a);

    ck_assert_ptr_nonnull(directory_answer(&a.watch));
    directory_unwatch(&a.watch);
}
END_TEST

START_TEST(an_address_is_given_up_after_it)
{
    struct watcher a;

    directory_free(directory);
    directory = directory_new(loop, discovery, usec_from_ms(1));
    watch(&a);
    directory_on_answer(directory, &address, absent());
    directory_unwatch(&a.watch);
    while (object_live(OBJECT_SNAPSHOT) > 0) {
        loop_turn(loop, true);
    }

    watch(&a);
    ck_assert_ptr_null(directory_answer(&a.watch));
    directory_unwatch(&a.watch);
}
END_TEST

START_TEST(a_full_directory_leaves_a_watch_without_answer)
{
    static struct watcher all[DIRECTORY_MAX];
    struct watcher beyond;

    for (unsigned i = 0; i < DIRECTORY_MAX; i++) {
        address.port = (uint16_t)(i + 1);
        watch(&all[i]);
    }
    address.port = UINT16_MAX;
    watch(&beyond);
    directory_on_answer(directory, &address, absent());
    ck_assert_uint_eq(beyond.changes, 0);
    ck_assert_ptr_null(directory_answer(&beyond.watch));
    directory_unwatch(&beyond.watch);

    /* One that is no longer watched makes room, retention or not. */
    directory_unwatch(&all[0].watch);
    watch(&beyond);
    directory_on_answer(directory, &address, absent());
    ck_assert_uint_eq(beyond.changes, 1);
    directory_unwatch(&beyond.watch);
    for (unsigned i = 1; i < DIRECTORY_MAX; i++) {
        directory_unwatch(&all[i].watch);
    }
}
END_TEST

static void count_visited(const struct addr *addr, struct snapshot *snapshot, void *ctx)
{
    ck_assert(addr_eq(addr, &address));
    ck_assert_ptr_null(snapshot);
    (*(unsigned *)ctx)++;
}

START_TEST(every_address_held_is_visited)
{
    struct watcher a;
    unsigned count = 0;

    watch(&a);
    directory_for_each(directory, count_visited, &count);
    ck_assert_uint_eq(count, 1);
    directory_unwatch(&a.watch);
}
END_TEST

UNIT_MAIN("directory", setup, teardown, a_watch_without_answer_has_none, every_watch_of_an_address_is_told,
          a_watch_that_ends_while_others_are_told_is_not_told, a_watch_may_end_itself_while_it_is_told,
          an_answer_nobody_waits_for_is_dropped, an_address_is_remembered_for_the_retention_time, an_address_is_given_up_after_it,
          a_full_directory_leaves_a_watch_without_answer, every_address_held_is_visited)
