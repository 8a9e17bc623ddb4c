/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Discovery's answers, made by hand: two backends by path, endpoints by bits. */

#include "world.h"
#include "xds/snapshot.h"

/* /shop… goes to the service's first backend, /other… to its second, anything else of authority "shop" to either, by weight. */
struct snapshot *make_snapshot(const struct addr *addr, unsigned service, const struct answer *a);
