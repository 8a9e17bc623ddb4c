/* SPDX-License-Identifier: Apache-2.0 */

#include "api/settings.h"

static const struct setting rows[] = {
#define X(field, type, flag, kind, fallback, min, max, choices, help) \
    {flag, kind, offsetof(struct api_settings, field), fallback, min, max, choices, help},
#include "api/settings.def"
#undef X
};

const struct settings_program api_program = {
    .name = "outrigger-api",
    .summary = "The control plane: reads Services and EndpointSlices and tells every outrigger-proxy what it asks for (xDS v3).",
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
};

bool api_settings_validate(const struct api_settings *s, struct text *ret_error)
{
    if (s->manifests[0] != '\0' && s->kubeconfig[0] != '\0') {
        text_printf(ret_error, "--manifests and --kubeconfig exclude each other: one source");
        return false;
    }
    if (usec_before(s->push_debounce_max, s->push_debounce)) {
        text_printf(ret_error, "--push-debounce-max must not be shorter than --push-debounce");
        return false;
    }
    return true;
}

struct ads_server_options api_settings_ads_options(const struct api_settings *s)
{
    return (struct ads_server_options){
        .listen = s->listen,
        .max_connections = s->max_connections,
        .max_streams = s->max_streams,
        .max_subscriptions = s->max_subscriptions,
        .stream_max_age = s->stream_max_age,
    };
}
