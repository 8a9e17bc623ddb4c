/* SPDX-License-Identifier: Apache-2.0 */

/* A real worker thread against discovery, in every order of ending. Made for the thread and the leak sanitizer. */

#include "../unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/object.h"
#include "fake_ads.h"
#include "xds/directory.h"
#include "xds/discovery.h"

#define ADDRESSES 50
#define CHANGES_WANTED 200

struct worker {
    pthread_t thread;
    struct loop *loop;
    struct loop *control; /* to wake it */
    struct discovery *discovery;
    struct directory *directory;
    struct directory_watch watches[ADDRESSES];
    unsigned changes;
    atomic_bool is_done;
};

static struct worker *current; /* one worker in these tests */

static void nothing(void *arg)
{
    (void)arg;
}

static void on_change(struct directory_watch *w)
{
    (void)w;
    if (++current->changes == CHANGES_WANTED) {
        loop_stop(current->loop);
    }
}

static void watch_all(struct worker *w)
{
    for (unsigned i = 0; i < ADDRESSES; i++) {
        struct addr addr;
        char text[32];

        snprintf(text, sizeof text, "10.96.0.%u:80", i);
        ck_assert(addr_parse(str_from(text), &addr));
        directory_watch(w->directory, &addr, &w->watches[i], on_change);
    }
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;

    w->loop = loop_new(2);
    w->directory = directory_new(w->loop, w->discovery, usec_from_s(60));
    watch_all(w);
    loop_run(w->loop);
    for (unsigned i = 0; i < ADDRESSES; i++) {
        directory_unwatch(&w->watches[i]);
    }
    directory_free(w->directory);
    loop_free(w->loop);
    atomic_store(&w->is_done, true);
    loop_post(w->control, nothing, NULL);
    return NULL;
}

/* Answers until the worker has had enough and has left, so that answers are under way while it leaves. */
static void answer_until_done(struct fake_ads *server, struct worker *w)
{
    unsigned version = 0;

    while (!atomic_load(&w->is_done)) {
        loop_turn(server->loop, true);
        if (server->call == NULL || server->line_count < (version == 0 ? 1 : ADDRESSES)) {
            continue;
        }
        fake_ads_forget_lines(server);
        version++;
        for (unsigned i = 0; i < ADDRESSES; i++) {
            char name[32];
            char text[32];

            snprintf(name, sizeof name, "10.96.0.%u:80", i);
            snprintf(text, sizeof text, "shop/%u:80", version);
            fake_ads_send(server, XDS_LISTENER, name, text, tcp_listener(text));
        }
    }
}

START_TEST(a_worker_may_leave_while_answers_are_on_their_way)
{
    struct fake_ads server;
    struct worker worker = {0};
    struct discovery_options options = {.connect_timeout = {1000000}};

    worker.control = loop_new(1);
    fake_ads_open(&server, worker.control);
    options.api_address = server.address;
    worker.discovery = discovery_new(worker.control, &options);
    current = &worker;
    ck_assert_int_eq(pthread_create(&worker.thread, NULL, run_worker, &worker), 0);
    discovery_start(worker.discovery);
    answer_until_done(&server, &worker);
    pthread_join(worker.thread, NULL);
    discovery_free(worker.discovery);
    fake_ads_close(&server);
    loop_free(worker.control);
    ck_assert_uint_ge(worker.changes, CHANGES_WANTED);
    ck_assert_int_eq(object_live(OBJECT_SNAPSHOT), 0);
}
END_TEST

UNIT_MAIN("channel", NULL, NULL, a_worker_may_leave_while_answers_are_on_their_way)
