/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What else we ask of sockets: where a redirected connection wanted to go, which addresses are ours.
 *
 * Threads: any.
 * Errors:  negative errno.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/container.h"
#include "base/usec.h"

/* The destination before iptables REDIRECT (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST). A connection that was not redirected yields the
 * listener's own address, or -ENOENT when it is untracked. */
int socket_original_dst(int fd, struct addr *ret_addr) MUST_CHECK;

/* The local address the kernel gave this accepted connection. */
int socket_local_addr(int fd, struct addr *ret_addr) MUST_CHECK;

/* Is this IP one of this host's (network namespace's)? Asks the kernel by a bind that is thrown away. */
bool socket_is_local_ip(const struct addr *ip);

/*
 * A peer that has said nothing for `idle` (whole seconds, rounded up) is probed, and given up when nothing came for twice that: the
 * socket's error is then -ETIMEDOUT. 0: never. Only for silence while nothing is under way; bytes that are not acknowledged are the
 * kernel's matter (tcp_retries2: about 15 minutes) unless TCP_USER_TIMEOUT is set, which also cuts off a live peer that does not read
 * for that long.
 */
void socket_set_keepalive(int fd, struct usec idle);

/* RST to the peer of a socket that no stream owns, and close it. */
void socket_abort(int fd);

/* A bound, listening socket (non-blocking, close-on-exec, no delay on what it accepts), or negative errno. An IPv6 one takes IPv6
 * only. For net/listener and net/http_server. */
int socket_listen(const struct addr *addr) MUST_CHECK;

/* Descriptors this process has open; 0 where /proc is not mounted. For metrics. */
int64_t socket_count_open_fds(void);

/* Each connection takes descriptors, and the soft limit is often 1,024: takes all the kernel lets us have. */
int socket_raise_fd_limit(void) MUST_CHECK;
