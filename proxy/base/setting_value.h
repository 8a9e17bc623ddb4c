/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One setting's value: from text, to text, and what is accepted. The engine around it is settings.h.
 *
 * Owner:   SETTING_TEXT and SETTING_HOSTPORT fields own their string; setting_value_free releases it.
 * Errors:  a value that is refused leaves the field untouched.
 */

#include "base/settings.h"

enum setting_verdict { SETTING_ACCEPTED, SETTING_MALFORMED, SETTING_OUT_OF_RANGE };

/* Before a field's first value. */
void setting_value_init(const struct setting *row, void *field);

/* A string that the field held is released. */
enum setting_verdict setting_value_parse(const struct setting *row, struct str value, void *field) MUST_CHECK;

void setting_value_free(const struct setting *row, void *field);

/* In the form setting_value_parse reads. */
void setting_value_print(const struct setting *row, const void *field, struct text *out);

/* "duration", "host:port": completes "is not a …". */
const char *setting_type_name(enum setting_type type);

/* "0s to 1h", "one of text, json": completes "accepted: …". */
void setting_value_print_range(const struct setting *row, struct text *out);
