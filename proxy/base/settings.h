/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The settings engine: a program's settings.def is one row a setting; from it come the struct, the environment and flag parser,
 * --help, --print-config and the documentation. A flag beats its environment variable, which beats the default.
 *
 *     OUTRIGGER_LOG_LEVEL=debug   --log-level=debug   --log-level debug     (a bool flag alone means true)
 *
 * Owner:   the program owns the struct the rows point into.
 * Threads: parsed once at start, read-only afterwards.
 * Errors:  a bad value is refused by name, with the accepted range; nothing is opened before that.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "base/usec.h"

enum setting_type {
    SETTING_BOOL,     /* bool: true, false, 1, 0, yes, no, on, off */
    SETTING_UINT,     /* uint64_t in [min, max] */
    SETTING_BYTES,    /* uint64_t in [min, max]; suffix KiB, MiB, GiB or none */
    SETTING_DURATION, /* struct usec; min and max in microseconds; suffix us, ms, s, m, h is required, "0" alone is accepted */
    SETTING_ADDR,     /* struct addr, "IP:port"; empty (ADDR_NONE) where the default is empty */
    SETTING_HOSTPORT, /* const char *: "name:port", "IP:port" or empty */
    SETTING_TEXT,     /* const char *; at most max bytes */
    SETTING_CHOICE,   /* unsigned: index into `choices`, a comma-separated list */
    SETTING_PORTS,    /* struct port_ranges: "4567,8000-8100" */
    SETTING_CIDRS,    /* struct cidr_list: "10.0.0.0/8,fd00::/8" */
};

#define PORT_RANGES_MAX 64
#define CIDR_LIST_MAX 64

struct port_ranges {
    unsigned count;
    struct {
        uint16_t first;
        uint16_t last;
    } range[PORT_RANGES_MAX];
};

struct cidr_list {
    unsigned count;
    struct addr network[CIDR_LIST_MAX];
};

struct setting {
    const char *name; /* flag without the dashes, "log-level"; the variable is OUTRIGGER_ + upper case with '_' */
    enum setting_type type;
    size_t offset;        /* of the field in the program's settings struct */
    const char *fallback; /* as a user would write it */
    uint64_t min;
    uint64_t max;
    const char *choices; /* SETTING_CHOICE only, else NULL */
    const char *help;    /* one sentence */
};

struct settings_program {
    const char *name;    /* "outrigger-proxy" */
    const char *summary; /* one line for --help */
    const struct setting *rows;
    size_t row_count;
};

enum settings_outcome {
    SETTINGS_OK,
    SETTINGS_EXIT,  /* --help, --version or --print-config: printed to `out`; the program ends with status 0 */
    SETTINGS_ERROR, /* the reason is in `out`; the program ends with status 2 */
};

/*
 * Fills `values` (the program's struct) from defaults, `env` (as environ) and `argv`. Text values stay valid until settings_deinit;
 * it is needed after SETTINGS_OK only.
 * Unknown flags, unknown OUTRIGGER_* variables (except those starting with OUTRIGGER_TEST_) and stray arguments are errors.
 */
enum settings_outcome settings_parse(const struct settings_program *program, int argc, char *const *argv, char *const *env,
                                     void *values, struct text *out) MUST_CHECK;

void settings_deinit(const struct settings_program *program, void *values);

/* "name=value" lines that settings_parse would read back, for --print-config and the admin port's /config. */
void settings_print(const struct settings_program *program, const void *values, struct text *out);

/* JSON object of the same. */
void settings_print_json(const struct settings_program *program, const void *values, struct text *out);

void settings_help(const struct settings_program *program, struct text *out);

/* A Markdown table: flag, variable, default, range, meaning. */
void settings_write_docs(const struct settings_program *program, struct text *out);
