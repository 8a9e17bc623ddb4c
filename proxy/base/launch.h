/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every program's main does: settings from flags and environment, --help and its like, the log, then the program itself.
 *
 * Owner:   main; `settings` is released when launch returns.
 * Errors:  the exit status. Bad settings are refused on standard error before anything is opened.
 */

#include "base/settings.h"
#include "base/str.h"

enum launch_status {
    LAUNCH_DONE,
    LAUNCH_FAILED,   /* it could not start, or not do what it was asked for */
    LAUNCH_SETTINGS, /* the settings are wrong */
};

struct launch {
    const struct settings_program *program; /* has the settings log-level and log-format ("text,json") */
    void *settings;                         /* the program's struct, all zero */
    bool (*validate)(const void *settings, struct text *ret_error);
    int (*run)(const void *settings); /* enum launch_status */
};

/* The process's exit status. */
int launch(const struct launch *l, int argc, char *const *argv) MUST_CHECK;
