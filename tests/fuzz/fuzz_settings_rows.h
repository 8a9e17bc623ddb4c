/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One setting of each type, as wide as the engine allows. */

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/settings.h"

struct fuzz_values {
    bool a_bool;
    uint64_t a_uint;
    uint64_t a_size;
    struct usec a_duration;
    struct addr an_addr;
    const char *a_hostport;
    const char *a_text;
    unsigned a_choice;
    struct port_ranges some_ports;
    struct cidr_list some_cidrs;
};

static const struct setting fuzz_rows[] = {
    {"bool", SETTING_BOOL, offsetof(struct fuzz_values, a_bool), "no", 0, 0, NULL, "b"},
    {"uint", SETTING_UINT, offsetof(struct fuzz_values, a_uint), "0", 0, UINT64_MAX, NULL, "u"},
    {"size", SETTING_BYTES, offsetof(struct fuzz_values, a_size), "0", 0, UINT64_MAX - 1, NULL, "s"},
    {"duration", SETTING_DURATION, offsetof(struct fuzz_values, a_duration), "0", 0, UINT64_MAX - 1, NULL, "d"},
    {"addr", SETTING_ADDR, offsetof(struct fuzz_values, an_addr), "", 0, 0, NULL, "a"},
    {"hostport", SETTING_HOSTPORT, offsetof(struct fuzz_values, a_hostport), "", 0, 0, NULL, "h"},
    {"text", SETTING_TEXT, offsetof(struct fuzz_values, a_text), "", 0, 1000, NULL, "t"},
    {"choice", SETTING_CHOICE, offsetof(struct fuzz_values, a_choice), "one", 0, 0, "one,two,three", "c"},
    {"ports", SETTING_PORTS, offsetof(struct fuzz_values, some_ports), "", 0, 0, NULL, "p"},
    {"cidrs", SETTING_CIDRS, offsetof(struct fuzz_values, some_cidrs), "", 0, 0, NULL, "n"},
};
static const struct settings_program fuzz_program = {"outrigger-fuzz", "s", fuzz_rows, ARRAY_LEN(fuzz_rows)};

/* What was accepted, printed and given back as flags, must print the same. */
static inline void fuzz_expect_round_trip(const struct fuzz_values *values)
{
    struct fuzz_values again;
    struct text first;
    struct text second;
    char *argv[ARRAY_LEN(fuzz_rows) + 2] = {mem_strdup("fuzz")};
    char *env[] = {NULL};
    int argc = 1;
    struct str line;

    text_init(&first, 1 << 20);
    text_init(&second, 1 << 20);
    settings_print(&fuzz_program, values, &first);
    for (struct str rest = {first.p, first.len}; str_split(&rest, '\n', &line) && line.len > 0;) {
        argv[argc++] = mem_printf("--%.*s", (int)line.len, line.p);
    }
    enum settings_outcome outcome = settings_parse(&fuzz_program, argc, argv, env, &again, &second);

    assert(outcome == SETTINGS_OK);
    settings_print(&fuzz_program, &again, &second);
    assert(strcmp(first.p, second.p) == 0);
    settings_deinit(&fuzz_program, &again);
    text_deinit(&first);
    text_deinit(&second);
    while (argc > 0) {
        mem_free(argv[--argc]);
    }
}
