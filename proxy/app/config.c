/* SPDX-License-Identifier: Apache-2.0 */

#include "app/config.h"

#define OUT_BUFFER_BYTES (64 * 1024) /* per session: two frames of the largest default size, and a few small ones */
#define USER_TIMEOUT usec_from_s(20) /* unacknowledged bytes: a host that died is noticed (architecture: within 20 s) */

static const struct setting rows[] = {
#define X(field, type, flag, kind, fallback, min, max, choices, help) \
    {flag, kind, offsetof(struct proxy_settings, field), fallback, min, max, choices, help},
#include "app/settings.def"
#undef X
};

const struct settings_program proxy_program = {
    .name = "outrigger-proxy",
    .summary =
        "The sidecar: balances every HTTP/2 request over a Service's endpoints by latency, passes all else through as raw TCP.",
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
};

bool config_validate(const struct proxy_settings *s, struct text *ret_error)
{
    if (s->outbound_address.port == s->inbound_address.port || s->outbound_address.port == s->admin_address.port ||
        s->inbound_address.port == s->admin_address.port) {
        text_printf(ret_error, "--outbound-address, --inbound-address and --admin-address must have different ports");
        return false;
    }
    if (!addr_is_loopback(&s->outbound_address)) {
        text_printf(ret_error, "--outbound-address must be a loopback address: it would forward for anybody who reaches it");
        return false;
    }
    if (s->connection_window_bytes < s->stream_window_bytes) {
        text_printf(ret_error, "--connection-window-bytes must not be less than --stream-window-bytes");
        return false;
    }
    if (s->buffer_bytes < s->connection_buffer_bytes) {
        text_printf(ret_error, "--buffer-bytes must not be less than --connection-buffer-bytes");
        return false;
    }
    return true;
}

/* The same place in the other family: 127.0.0.1 and ::1, 0.0.0.0 and ::. Other addresses have none. */
static struct addr twin_of(const struct addr *a)
{
    struct addr twin = {.family = a->family == ADDR_V4 ? ADDR_V6 : ADDR_V4, .port = a->port};

    if (addr_is_any(a)) {
        return twin;
    }
    if (a->family == ADDR_V4 && a->bytes[0] == 127 && a->bytes[3] == 1 && addr_is_loopback(a)) {
        twin.bytes[15] = 1;
        return twin;
    }
    return (struct addr){.family = ADDR_NONE};
}

static struct h2_options h2_of(const struct proxy_settings *s)
{
    return (struct h2_options){
        .max_concurrent_streams = (uint32_t)s->max_streams,
        .stream_window_bytes = (uint32_t)s->stream_window_bytes,
        .connection_window_bytes = (uint32_t)s->connection_window_bytes,
        .max_window_bytes = (uint32_t)s->max_window_bytes,
        .max_header_list_bytes = (uint32_t)s->max_header_bytes,
        .out_buffer_bytes = OUT_BUFFER_BYTES,
        .stall_timeout = s->stall_timeout,
        .reset_rate = (uint32_t)s->reset_rate,
    };
}

void config_flow_options(const struct proxy_settings *s, struct flow_options *ret_options)
{
    struct h2_options h2 = h2_of(s);
    struct h2_options endpoint = h2;

    endpoint.ping_after = s->keepalive_after;
    endpoint.ping_timeout = s->keepalive_timeout;
    h2.ping_after = s->client_keepalive_after;
    h2.ping_timeout = s->client_keepalive_timeout;
    h2.tcp_keepalive = s->tcp_keepalive;
    *ret_options = (struct flow_options){
        .workers = (unsigned)s->workers,
        .outbound = s->outbound_address,
        .outbound_twin = twin_of(&s->outbound_address),
        .inbound = s->inbound_address,
        .inbound_twin = twin_of(&s->inbound_address),
        .detect_silence = s->detect_silence,
        .detect_hold = s->detect_hold,
        .server_first_memory = SERVER_FIRST_MEMORY,
        .discovery_timeout = s->discovery_timeout,
        .discovery_retention = s->discovery_retention,
        .connect_timeout = s->connect_timeout,
        .timeouts = {.request = s->request_timeout, .response = s->response_timeout, .idle = s->stream_idle_timeout},
        .tcp_keepalive = s->tcp_keepalive,
        .retry_attempts = (uint32_t)s->retry_limit,
        .retry_buffer_bytes = s->retry_buffer_bytes,
        .retry_process_bytes = s->retry_process_bytes / s->workers,
        .connection_buffer_bytes = s->connection_buffer_bytes,
        .has_endpoint_metrics = s->endpoint_metrics,
        .has_forwarded_for = s->forwarded_for,
        .server = h2,
        .pool =
            {
                .h2 = endpoint,
                .connect_timeout = s->connect_timeout,
                .user_timeout = USER_TIMEOUT,
                .idle_timeout = s->pool_idle,
                .max_age = s->pool_max_age,
                .max_requests = (uint32_t)s->pool_requests,
                .max_connections = (uint32_t)s->pool_connections,
                .max_waiting = (uint32_t)s->pool_waiting,
            },
        .app = endpoint,
    };
}

void config_discovery_options(const struct proxy_settings *s, struct discovery_options *ret_options)
{
    *ret_options = (struct discovery_options){
        .api_address = s->api_address,
        .node_id = s->node_pod,
        .node_namespace = s->node_namespace,
        .node_pod = s->node_pod,
        .node_name = s->node_name,
        .connect_timeout = s->connect_timeout,
    };
}
