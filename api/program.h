/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * outrigger-api as a whole: who is made, in which order, and how it ends. One thread, one loop.
 *
 *     source ─▶ model ─▶ debounce ─▶ model_commit ─▶ ads_server_apply ─▶ proxies
 *
 *     running ─SIGTERM─▶ stopping (not ready; streams end UNAVAILABLE, GOAWAY) ─last connection gone, or grace over─▶ stopped
 *                └──────────────────── a second SIGTERM: stopped ────────────────────────────▲
 *
 * Owner:   main.
 * Threads: the loop's.
 * Errors:  program_new logs what went wrong and answers NULL.
 */

#include <stdbool.h>

#include "net/http_server.h"
#include "net/loop.h"
#include "net/signals.h"
#include "net/timer.h"

#include "api/metrics.h"
#include "api/model/model.h"
#include "api/settings.h"
#include "api/source/source.h"
#include "api/source_metrics.h"
#include "api/xds/ads_server.h"
#include "api/xds/debounce.h"

struct program {
    const struct api_settings *settings;
    struct loop *loop;
    struct api_metrics metrics;
    struct model *model;
    struct resources *resources;
    struct source source;
    struct source_metrics source_metrics;
    struct debounce push;
    struct ads_server *ads;
    struct http_server *admin;
    struct signals signals;
    struct timer grace;
    bool is_stopping;
};

struct program *program_new(const struct api_settings *settings);

/* Until it has been told to stop. */
void program_run(struct program *p);
void program_free(struct program *p);

/* True once the source has been read, until it is told to stop. */
bool program_is_ready(const struct program *p);
