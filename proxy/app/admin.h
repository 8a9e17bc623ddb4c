/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The admin port's pages: probes, metrics, settings, what the balancer thinks, log levels.
 *
 * Owner:   the program.
 * Threads: the control thread's; what workers know is asked of them with a limit, and left out (and said so) past it.
 * Errors:  negative errno from admin_open.
 */

#include "app/program.h"

int admin_open(struct program *p) MUST_CHECK;
