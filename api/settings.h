/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * outrigger-api's settings: the struct behind settings.def, and what the ADS server gets of it.
 *
 * Owner:   main.
 * Threads: read-only once parsed.
 * Errors:  settings that contradict each other are refused with a sentence naming them.
 */

#include "base/settings.h"

#include "api/xds/ads_server.h"

struct api_settings {
#define X(field, type, flag, kind, fallback, min, max, choices, help) type field;
#include "api/settings.def"
#undef X
};

extern const struct settings_program api_program;

/* Checks what concerns several settings at once. False: the reason is in `ret_error`. */
bool api_settings_validate(const struct api_settings *s, struct text *ret_error) MUST_CHECK;

struct ads_server_options api_settings_ads_options(const struct api_settings *s);
