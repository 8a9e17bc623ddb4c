/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The settings of outrigger-init: settings.def as a struct.
 *
 * Owner:   main; const for everybody else.
 * Errors:  init_settings_validate names what no single row can know: settings that contradict each other.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/settings.h"

enum init_family_mode { INIT_FAMILY_AUTO, INIT_FAMILY_ON, INIT_FAMILY_OFF }; /* the choices of --ipv4 and --ipv6 */

struct init_settings {
#define X(field, type, flag, kind, fallback, min, max, choices, help) type field;
#include "init/settings.def"
#undef X
};

extern const struct settings_program init_program;

/* False, with a sentence in `ret_error`, if two actions are asked for at once or two of the sidecar's ports are the same. */
bool init_settings_validate(const struct init_settings *s, struct text *ret_error) MUST_CHECK;

/* --ipv4 or --ipv6. */
enum init_family_mode init_settings_family_mode(const struct init_settings *s, enum addr_family family);

/* "IPv4", "IPv6". */
const char *init_family_label(enum addr_family family);
