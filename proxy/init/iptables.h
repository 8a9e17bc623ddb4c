/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Puts the rules into the kernel through the iptables programs, one family at a time, in one transaction. A kernel has two backends
 * (nft and legacy) whose rules do not see each other; with `auto` the first one that works is taken. What an earlier run left in the other
 * one is taken away, so that a pod whose image changed is not redirected twice.
 *
 * Owner:   no state but the kernel's.
 * Threads: one.
 * Errors:  an outcome, with a sentence in `ret_text` that contains what iptables itself said.
 * Limits:  waits at most IPTABLES_LOCK_SECONDS for another program that holds the xtables lock; a nat table that prints more than
 *          IPTABLES_SAVE_MAX bytes is refused.
 */

#include "init/init_settings.h"

#define IPTABLES_LOCK_SECONDS "30"
#define IPTABLES_SAVE_MAX ((size_t)4 * 1024 * 1024)

enum iptables_mode { IPTABLES_AUTO, IPTABLES_NFT, IPTABLES_LEGACY }; /* the choices of --iptables-mode */

enum iptables_outcome {
    IPTABLES_DONE,    /* the text names the backend */
    IPTABLES_MISSING, /* this family does not exist here: no program, no address, no kernel table */
    IPTABLES_FAILED,
};

/* Is this process allowed to? False with a sentence that says what is missing. */
bool iptables_is_permitted(struct text *ret_text) MUST_CHECK;

/* The nat table of `family` holds our rules afterwards, and only once. */
enum iptables_outcome iptables_apply(const struct init_settings *s, enum addr_family family, struct text *ret_text) MUST_CHECK;

/*
 * Nothing of ours is left in any backend that --iptables-mode allows. Connections that are captured at that moment are cut off: with the
 * last redirecting rule the kernel stops tracking them. (A change of the rules, in contrast, leaves them alone.)
 */
enum iptables_outcome iptables_remove(const struct init_settings *s, enum addr_family family, struct text *ret_text) MUST_CHECK;
