/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who is meant by an address that an application dials: each Service claims its own addresses with each of its ports, and the address
 * of every pod behind it. Several may claim one: the best claim to a Service address wins; pods are shared.
 *
 * Owner:   embedded; the claims link to backends, whose owner withdraws them before it lets go.
 * Threads: the api's loop thread.
 * Errors:  none.
 * Limits:  the backends' own.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/list.h"

#include "api/model/backend.h"

enum claim_kind { CLAIM_CLUSTER_IP, CLAIM_LOAD_BALANCER, CLAIM_EXTERNAL, CLAIM_POD };

struct claim {
    struct list in_address;
    enum claim_kind kind;
    const struct backend *backend;
    const struct backend_port *port;
    const struct backend_endpoint *endpoint; /* CLAIM_POD, else NULL */
};

struct claimed_address {
    struct hash_node node;
    struct addr addr;
    struct list claims; /* best first: by kind, then namespace/name, then port */
};

struct claims {
    struct hash_table addresses;
};

void claims_init(struct claims *c);
void claims_deinit(struct claims *c);

void claims_add(struct claims *c, const struct backend *b);
void claims_withdraw(struct claims *c, const struct backend *b);

/* NULL when nobody claims it; else at least one claim is there. */
const struct claimed_address *claims_find(const struct claims *c, const struct addr *addr);

static inline const struct claim *claims_best(const struct claimed_address *a)
{
    return list_entry(a->claims.next, struct claim, in_address);
}

/* The first pod claim, or NULL. */
const struct claim *claims_first_pod(const struct claimed_address *a);
