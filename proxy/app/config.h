/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * outrigger-proxy's settings: the struct behind settings.def, and what the layers below get of it.
 *
 * Owner:   main.
 * Threads: read-only once parsed.
 * Errors:  settings that contradict each other are refused with a sentence naming them.
 */

#include "base/settings.h"
#include "flow/options.h"
#include "policy/server_first.h"
#include "xds/discovery.h"

struct proxy_settings {
#define X(field, type, flag, kind, fallback, min, max, choices, help) type field;
#include "app/settings.def"
#undef X
};

extern const struct settings_program proxy_program;

/* Checks what concerns several settings at once. False: the reason is in `ret_error`. */
bool config_validate(const struct proxy_settings *s, struct text *ret_error) MUST_CHECK;

/* `ret_options` keeps no pointer into `s`. */
void config_flow_options(const struct proxy_settings *s, struct flow_options *ret_options);

/* The texts are links into `s`. */
void config_discovery_options(const struct proxy_settings *s, struct discovery_options *ret_options);
