/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/xds_type.h"

static const struct {
    const char *url;
    const char *label;
} types[XDS_TYPE_COUNT] = {
    [XDS_LISTENER] = {"type.googleapis.com/envoy.config.listener.v3.Listener", "listener"},
    [XDS_ROUTE] = {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "route"},
    [XDS_CLUSTER] = {"type.googleapis.com/envoy.config.cluster.v3.Cluster", "cluster"},
    [XDS_ENDPOINTS] = {"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "endpoints"},
};

const char *xds_type_url(enum xds_type type)
{
    return types[type].url;
}

const char *xds_type_label(enum xds_type type)
{
    return types[type].label;
}

bool xds_type_from_url(struct str url, enum xds_type *ret_type)
{
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        if (str_eq(url, str_from(types[i].url))) {
            *ret_type = (enum xds_type)i;
            return true;
        }
    }
    return false;
}
