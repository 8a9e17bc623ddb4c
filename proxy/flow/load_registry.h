/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one thing workers share: in-flight counts, one `struct load` for each (cluster, address, pod uid) over all workers.
 *
 * Owner:   the program; a load lives as long as some worker's endpoint refers to it.
 * Threads: any; taking and giving back a load takes a lock, counting does not.
 */

#include "base/addr.h"
#include "policy/load.h"

struct load_registry;

struct load_registry *load_registry_new(void);
void load_registry_free(struct load_registry *r); /* every load must have been given back */

struct load *load_registry_get(struct load_registry *r, const char *cluster, const struct addr *addr, const char *uid);
void load_registry_put(struct load_registry *r, struct load **load);
