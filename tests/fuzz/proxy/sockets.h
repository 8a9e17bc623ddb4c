/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The kernel's part, as the proxy sees it (world.h): socket pairs, redirection, dialling, cut reads and writes, resets. */

#include "world.h"

void sockets_reset(void);

/* A place for one more peer; NULL: none. */
struct peer *sockets_free_peer(void);

/* Opens `p` at one end of a new pair; the other end, which is the proxy's, is returned. */
int sockets_pair(struct peer *p, bool is_endpoint, enum plan plan);

/* Services come first, then the endpoints. */
void sockets_address(unsigned destination, struct addr *ret_addr);

/* Where the next accepted connection was going. */
void sockets_set_destination(unsigned destination);

/* The proxy's end will say ECONNRESET once all is read. */
void sockets_reset_peer(const struct peer *p);
