/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A listening TCP socket. Accepts at most LISTENER_BATCH connections a turn; when descriptors run out it pauses and tries again, and
 * counts that.
 *
 * Owner:   the program.
 * Threads: the loop's. One listener hands its sockets on to other loops by itself if it has to (flow/accept).
 * Errors:  negative errno from listener_open.
 */

#include <stdint.h>

#include "base/addr.h"
#include "base/container.h"
#include "net/loop.h"

#define LISTENER_BATCH 64

struct listener;

/* `fd` (non-blocking, close-on-exec) is the handler's. `peer` is the client's address. */
typedef void listener_accept_fn(void *ctx, int fd, const struct addr *peer);

/* `addr.port` 0 asks the kernel for a port. An IPv6 listener takes IPv6 only. */
int listener_open(struct loop *l, const struct addr *addr, listener_accept_fn *on_accept, void *ctx,
                  struct listener **ret_listener) MUST_CHECK;
void listener_close(struct listener **l); /* accepts NULL inside */
struct addr listener_addr(const struct listener *l);
uint64_t listener_pauses(const struct listener *l); /* times it ran out of descriptors */
