/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Proves the redirection by a real connection. It goes to an address reserved for documentation (RFC 5737, RFC 3849), where nobody can
 * answer, with a hop limit of 1, so that nothing beyond this network namespace can answer for it.
 *
 *     - the outbound port is free (before the proxy starts): the check listens there itself, and demands that this very connection
 *       arrives and that its original destination is the documentation address;
 *     - the outbound port is taken (the proxy runs): that the connection is established at all is the proof.
 *
 * What it cannot do from inside is to come in from outside. The inbound rules stand in the same transaction as the outbound ones, so
 * they are there if those are.
 *
 * Owner:   no state.
 * Threads: one; blocks for at most CHECK_TIMEOUT_MS.
 * Errors:  an outcome, with a sentence in `ret_text`.
 */

#include "init/init_settings.h"

#define CHECK_TIMEOUT_MS 2000

enum check_outcome {
    CHECK_PASSED,
    CHECK_IMPOSSIBLE, /* nothing of this family can leave: no address, no route, or the settings skip everything */
    CHECK_FAILED,
};

enum check_outcome check_redirection(const struct init_settings *s, enum addr_family family, struct text *ret_text) MUST_CHECK;

/* An address and port that the settings do not exempt; false if there is none. Pure. */
bool check_choose_target(const struct init_settings *s, enum addr_family family, struct addr *ret_target) MUST_CHECK;
