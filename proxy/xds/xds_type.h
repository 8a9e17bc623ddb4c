/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The four resource types that the proxy asks for, in the order in which they lead to one another.
 *
 * Threads: any.
 */

#include <stdbool.h>

#include "base/container.h"
#include "base/str.h"

enum xds_type { XDS_LISTENER, XDS_ROUTE, XDS_CLUSTER, XDS_ENDPOINTS, XDS_TYPE_COUNT };

/* "type.googleapis.com/envoy.config.listener.v3.Listener" and so on. Static. */
const char *xds_type_url(enum xds_type type);

/* "listener", "route", "cluster", "endpoints". Static. */
const char *xds_type_label(enum xds_type type);

/* False for any other type. */
bool xds_type_from_url(struct str url, enum xds_type *ret_type) MUST_CHECK;
