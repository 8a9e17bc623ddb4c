/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A Listener says what a dialled address is. gRPC's form is an api_listener; Envoy's form for sidecars is a filter chain. Of several
 * filters the first that ends the chain (connection manager or TCP proxy) decides.
 */

#include <string.h>

#include "base/mem.h"
#include "xds/decode.h"

#define HCM "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
#define TCP_PROXY "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
#define ROUTER "envoy.extensions.filters.http.router.v3.Router"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager hcm_message;
typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpFilter http_filter_message;
typedef Envoy__Extensions__Filters__Network__TcpProxy__V3__TcpProxy tcp_proxy_message;

/* A filter that is not understood may deny or rewrite requests: leaving it out is no answer unless the server says it is. */
static bool check_http_filters(struct decode *d, const hcm_message *m)
{
    for (size_t i = 0; i < m->n_http_filters; i++) {
        const http_filter_message *filter = m->http_filters[i];

        if (!filter->is_optional && !filter->disabled && !decode_any_is(filter->typed_config, ROUTER)) {
            return decode_fail(d, "HTTP filter \"%s\" is not supported", filter->name);
        }
    }
    return true;
}

static bool take_inline_route(struct decode *d, const Envoy__Config__Route__V3__RouteConfiguration *m)
{
    struct decode inner = *d;

    d->out->route = config_new(XDS_ROUTE);
    inner.out = d->out->route;
    return decode_route(&inner, m);
}

static bool take_rds(struct decode *d, const hcm_message *m)
{
    const Envoy__Config__Core__V3__ConfigSource *source = m->rds->config_source;

    if (source != NULL &&
        source->config_source_specifier_case == ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER__NOT_SET) {
        return decode_fail(d, "route comes neither by ADS nor inline");
    }
    if (!decode_check_name(d, m->rds->route_config_name, "route name")) {
        return false;
    }
    d->out->route_name = mem_strdup(m->rds->route_config_name);
    return true;
}

static bool take_label(struct decode *d, const char *label)
{
    if (strlen(label) > CONFIG_NAME_MAX) {
        return decode_fail(d, "cluster or stat prefix of more than %u bytes", CONFIG_NAME_MAX);
    }
    d->out->label = mem_strdup(label);
    return true;
}

static bool take_hcm(struct decode *d, const Google__Protobuf__Any *any)
{
    const hcm_message *m =
        decode_unpack(d, &envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor,
                      any->value.data, any->value.len);

    if (m == NULL || !check_http_filters(d, m)) {
        return false;
    }
    d->out->kind = DESTINATION_HTTP;
    if (!take_label(d, m->stat_prefix)) {
        return false;
    }
    if (m->route_specifier_case ==
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_ROUTE_CONFIG) {
        return take_inline_route(d, m->route_config);
    }
    if (m->route_specifier_case ==
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_RDS) {
        return take_rds(d, m);
    }
    return decode_fail(d, "has neither rds nor route_config");
}

static bool take_tcp_proxy(struct decode *d, const Google__Protobuf__Any *any)
{
    const tcp_proxy_message *m = decode_unpack(d, &envoy__extensions__filters__network__tcp_proxy__v3__tcp_proxy__descriptor,
                                               any->value.data, any->value.len);

    if (m == NULL) {
        return false;
    }
    d->out->kind = DESTINATION_TCP;
    return take_label(d, m->cluster_specifier_case ==
                                 ENVOY__EXTENSIONS__FILTERS__NETWORK__TCP_PROXY__V3__TCP_PROXY__CLUSTER_SPECIFIER_CLUSTER
                             ? m->cluster
                             : m->stat_prefix);
}

static bool take_chain(struct decode *d, const Envoy__Config__Listener__V3__FilterChain *chain)
{
    for (size_t i = 0; i < chain->n_filters; i++) {
        const Google__Protobuf__Any *config = chain->filters[i]->typed_config;

        if (decode_any_is(config, HCM)) {
            return take_hcm(d, config);
        }
        if (decode_any_is(config, TCP_PROXY)) {
            return take_tcp_proxy(d, config);
        }
    }
    return decode_fail(d, "filter chain has neither an HttpConnectionManager nor a TcpProxy");
}

bool decode_listener(struct decode *d, const Envoy__Config__Listener__V3__Listener *m)
{
    if (m->api_listener != NULL) {
        const Google__Protobuf__Any *any = m->api_listener->api_listener;

        return decode_any_is(any, HCM) ? take_hcm(d, any) : decode_fail(d, "api_listener is no HttpConnectionManager");
    }
    if (m->n_filter_chains == 1) {
        return take_chain(d, m->filter_chains[0]);
    }
    if (m->n_filter_chains == 0 && m->default_filter_chain != NULL) {
        return take_chain(d, m->default_filter_chain);
    }
    return decode_fail(d, "has neither an api_listener nor exactly one filter chain");
}
