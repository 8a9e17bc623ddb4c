/* SPDX-License-Identifier: Apache-2.0 */

#include "init/init_settings.h"

#include <inttypes.h>

static const struct setting rows[] = {
#define X(field, type, flag, kind, fallback, min, max, choices, help) \
    {flag, kind, offsetof(struct init_settings, field), fallback, min, max, choices, help},
#include "init/settings.def"
#undef X
};

const struct settings_program init_program = {
    .name = "outrigger-init",
    .summary = "Redirects a pod's TCP connections to outrigger-proxy: programs the iptables rules, once, for IPv4 and IPv6.",
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
};

bool init_settings_validate(const struct init_settings *s, struct text *ret_error)
{
    if (s->dry_run + s->check + s->remove > 1) {
        text_printf(ret_error, "--dry-run, --check and --remove exclude each other");
        return false;
    }
    if (s->outbound_port == s->inbound_port || s->outbound_port == s->admin_port || s->inbound_port == s->admin_port) {
        text_printf(ret_error,
                    "--outbound-port (%" PRIu64 "), --inbound-port (%" PRIu64 ") and --admin-port (%" PRIu64 ") must differ",
                    s->outbound_port, s->inbound_port, s->admin_port);
        return false;
    }
    if (s->ipv4 == INIT_FAMILY_OFF && s->ipv6 == INIT_FAMILY_OFF) {
        text_printf(ret_error, "--ipv4=off and --ipv6=off leave nothing to do");
        return false;
    }
    return true;
}

enum init_family_mode init_settings_family_mode(const struct init_settings *s, enum addr_family family)
{
    return (enum init_family_mode)(family == ADDR_V6 ? s->ipv6 : s->ipv4);
}

const char *init_family_label(enum addr_family family)
{
    return family == ADDR_V6 ? "IPv6" : "IPv4";
}
