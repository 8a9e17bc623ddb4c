/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs another program to its end: a text in, two texts out, no shell.
 *
 * Owner:   no state.
 * Threads: one; waits for the child.
 * Errors:  negative errno if the program could not be started at all; else its exit status, 128 + n if signal n ended it.
 * Limits:  what the program prints is cut at the texts' own maximum.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/container.h"
#include "base/str.h"

#define RUN_PATH_SIZE 4096

/*
 * Looks `name` up in PATH (in the usual folders if there is none, as in a bare container). Fills `ret_path` and answers true if it is
 * there and may be executed.
 */
bool run_find(const char *name, char ret_path[static RUN_PATH_SIZE]) MUST_CHECK;

/* `argv` ends with NULL; argv[0] is the path to run. */
int run_program(const char *const *argv, struct str input, struct text *output, struct text *errors) MUST_CHECK;
