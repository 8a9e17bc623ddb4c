/* SPDX-License-Identifier: Apache-2.0 */

#include "base/mem.h"
#include "xds/decode.h"

bool decode_cluster(struct decode *d, const Envoy__Config__Cluster__V3__Cluster *m)
{
    const Envoy__Config__Cluster__V3__Cluster__EdsClusterConfig *eds = m->eds_cluster_config;
    const char *name = m->name;

    if (m->cluster_discovery_type_case != ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE ||
        m->type != ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS) {
        return decode_fail(d, "is not of type EDS");
    }
    if (m->transport_socket != NULL) {
        /* To send in plain text what was meant to be encrypted is no fallback. */
        return decode_fail(d, "transport socket \"%.100s\" is not supported", m->transport_socket->name);
    }
    if (eds != NULL && eds->service_name[0] != '\0') {
        name = eds->service_name;
    }
    if (!decode_check_name(d, name, "name")) {
        return false;
    }
    d->out->endpoints_name = mem_strdup(name);
    return true;
}
