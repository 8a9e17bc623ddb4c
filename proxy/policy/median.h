/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The lower median of unsorted numbers, by selection: expected time in proportion to their count.
 *
 * Threads: any.
 * Errors:  none; the numbers are no NaNs.
 */

#include <stddef.h>

/* `count` ≥ 1. Reorders `values`. */
double median_select(double *values, size_t count);
