/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * RFC 4648 §4 base64, as mbedTLS has it.
 *
 * Owner:   results are the caller's (mem_free).
 * Threads: any.
 */

#include <stddef.h>

#include "base/str.h"

/* The bytes, with a NUL behind them; NULL when the text is not base64. Line breaks are passed over. */
char *base64_decode(struct str text, size_t *ret_len);
