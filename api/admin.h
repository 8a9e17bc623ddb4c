/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The admin port's pages: probes, metrics, settings, log levels.
 *
 * Owner:   the program.
 * Threads: the loop's.
 * Errors:  negative errno from admin_open.
 */

#include "api/program.h"

int admin_open(struct program *p) MUST_CHECK;
