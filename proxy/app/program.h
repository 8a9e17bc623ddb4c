/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The program as a whole: who is made, in which order, and how it ends.
 *
 *     control thread: signals, admin port, discovery        worker threads: listeners (first worker), connections, endpoints
 *
 *     running ─SIGTERM─▶ leaving (un-ready, still accepting) ─drain delay─▶ draining (no listeners, GOAWAY) ─idle or grace─▶ stopped
 *                 └────────────────────────── a second SIGTERM: stopped ──────────────────────────────────────▲
 *
 * Owner:   main.
 * Threads: the control thread's.
 * Errors:  program_new logs what went wrong and answers NULL.
 */

#include <stdbool.h>

#include "app/config.h"
#include "app/program_metrics.h"
#include "base/metric.h"
#include "flow/accept.h"
#include "flow/worker.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/signals.h"
#include "net/timer.h"
#include "xds/discovery.h"

enum program_state { PROGRAM_RUNNING, PROGRAM_LEAVING, PROGRAM_DRAINING, PROGRAM_STOPPED };

struct program {
    const struct proxy_settings *settings;
    struct flow_options options;
    enum program_state state;
    struct loop *control;
    struct metrics *metrics;
    struct program_metrics own;
    struct byte_budget buffers; /* shared by all workers */
    struct load_registry *loads;
    struct discovery *discovery;
    struct worker **workers;
    unsigned worker_count;
    struct acceptor *acceptor;
    struct http_server *admin;
    struct signals signals;
    struct timer shutdown; /* the next step of the end */
    struct usec started;
    struct usec grace_until;
};

struct program *program_new(const struct proxy_settings *settings);

/* Until it has been told to stop and has drained. */
void program_run(struct program *p);
void program_free(struct program *p);

/* False while leaving or draining, and for at most 2 s after the start while the api has not answered. */
bool program_is_ready(const struct program *p);
