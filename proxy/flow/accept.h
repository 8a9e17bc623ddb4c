/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The redirection's listeners, and which worker gets a connection: one thread accepts and deals sockets out in turn, so that a few
 * long-lived connections spread evenly over the workers. At max_connections, or without a descriptor, accepting pauses.
 *
 * Owner:   the program.
 * Threads: opened, stopped and freed on the control thread while the first worker does not run, or through worker_call on it;
 *          accepting happens on the first worker's loop.
 * Errors:  negative errno, and which address it was about in *ret_failed.
 */

#include "flow/worker.h"

struct acceptor;

/* `workers` outlive the acceptor. An address of ADDR_NONE is left out; a twin in a family the host does not have is skipped. */
int acceptor_open(struct worker *const *workers, unsigned worker_count, struct acceptor **ret_acceptor,
                  struct addr *ret_failed) MUST_CHECK;

/* On the first worker's thread (worker_call), or when it does not run. Nulls the link; accepts NULL inside. */
void acceptor_close(struct acceptor **a);
