/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A listening TCP socket. Accepts at most LISTENER_BATCH connections a turn; when descriptors run out, or its owner wants no more, it
 * pauses for LISTENER_PAUSE_MS and tries again. Meanwhile clients wait in the kernel's queue.
 *
 * Owner:   the program.
 * Threads: the loop's. One listener hands its sockets on to other loops by itself if it has to (flow/accept).
 * Errors:  negative errno from listener_open.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/container.h"
#include "base/usec.h"
#include "net/loop.h"

#define LISTENER_BATCH 64
#define LISTENER_PAUSE_MS 100

struct listener;

/* `fd` (non-blocking, close-on-exec) is the handler's. `peer` is the client's address. */
typedef void listener_accept_fn(void *ctx, int fd, const struct addr *peer);

/* `addr.port` 0 asks the kernel for a port. An IPv6 listener takes IPv6 only. */
int listener_open(struct loop *l, const struct addr *addr, listener_accept_fn *on_accept, void *ctx,
                  struct listener **ret_listener) MUST_CHECK;
void listener_close(struct listener **l); /* accepts NULL inside */
struct addr listener_addr(const struct listener *l);
uint64_t listener_pauses(const struct listener *l); /* how often it paused */

/* What it accepts from now on has socket_set_keepalive(fd, idle). */
void listener_set_keepalive(struct listener *l, struct usec idle);

/*
 * `may_accept` is asked when a client waits; false makes it pause. `on_pause` hears of every pause: -EUSERS for that one, else accept's
 * negative errno (-EMFILE, …). Both get listener_open's ctx.
 */
void listener_set_gate(struct listener *l, bool (*may_accept)(void *ctx), void (*on_pause)(void *ctx, int error));
