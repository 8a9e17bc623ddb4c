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

/* The destination before iptables REDIRECT (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST). A connection that was not redirected yields the
 * listener's own address, or -ENOENT when it is untracked. */
int socket_original_dst(int fd, struct addr *ret_addr) MUST_CHECK;

/* The local address the kernel gave this accepted connection. */
int socket_local_addr(int fd, struct addr *ret_addr) MUST_CHECK;

/* Is this IP one of this host's (network namespace's)? Asks the kernel by a bind that is thrown away. */
bool socket_is_local_ip(const struct addr *ip);

/* RST to the peer of a socket that no stream owns, and close it. */
void socket_abort(int fd);

/* A bound, listening socket (non-blocking, close-on-exec, no delay on what it accepts), or negative errno. An IPv6 one takes IPv6
 * only. For net/listener and net/http_server. */
int socket_listen(const struct addr *addr) MUST_CHECK;

/* Descriptors this process has open; 0 where /proc is not mounted. For metrics. */
int64_t socket_count_open_fds(void);
