/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules are written in exactly the form in which iptables-save prints them. So a rule found there can be compared, and deleted by
 * turning its -A into -D, without understanding it.
 */

#include "init/rules.h"

#include <inttypes.h>
#include <string.h>

/* The multiport match takes 15 numbers; a range counts as two. */
#define MULTIPORT_MAX 15

/* `--syn` in its long form. A packet in the middle of a connection is new to conntrack if the connection is older than our rules. */
#define OPENS_CONNECTION "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN"

static const struct {
    const char *hook;  /* built-in chain */
    const char *chain; /* ours */
    const char *jump;
} entries[] = {
    {"OUTPUT", RULES_OUTBOUND_CHAIN, "-A OUTPUT " OPENS_CONNECTION " -j " RULES_OUTBOUND_CHAIN},
    {"PREROUTING", RULES_INBOUND_CHAIN, "-A PREROUTING " OPENS_CONNECTION " -j " RULES_INBOUND_CHAIN},
};

/* ---- reading what is there ---- */

/* "-A OUTPUT … -j CHAIN": a rule of another chain that leads to `chain`. */
static bool line_leads_to(struct str line, const char *chain)
{
    struct str word;
    bool is_target = false;

    if (!str_split(&line, ' ', &word) || !str_eq(word, STR("-A")) || !str_split(&line, ' ', &word) ||
        str_eq(word, str_from(chain))) {
        return false;
    }
    while (str_split(&line, ' ', &word)) {
        if (is_target && str_eq(word, str_from(chain))) {
            return true;
        }
        is_target = str_eq(word, STR("-j")) || str_eq(word, STR("-g"));
    }
    return false;
}

/* ":CHAIN - [0:0]". */
static bool line_declares(struct str line, const char *chain)
{
    struct str name;

    return str_starts_with(line, STR(":")) && str_split(&line, ' ', &name) && name.len == strlen(chain) + 1 &&
           memcmp(name.p + 1, chain, name.len - 1) == 0;
}

static bool has_chain(struct str installed, const char *chain)
{
    struct str line;

    while (str_split(&installed, '\n', &line)) {
        if (line_declares(line, chain)) {
            return true;
        }
    }
    return false;
}

/* Exactly one rule leads to the chain, and it is the one we would write. */
static bool has_right_jump(struct str installed, const char *chain, const char *jump)
{
    unsigned found = 0;
    unsigned right = 0;
    struct str line;

    while (str_split(&installed, '\n', &line)) {
        if (line_leads_to(line, chain)) {
            found++;
            right += str_eq(str_trim(line), str_from(jump));
        }
    }
    return found == 1 && right == 1;
}

static void delete_jumps(struct str installed, const char *chain, struct text *out)
{
    struct str line;

    while (str_split(&installed, '\n', &line)) {
        if (line_leads_to(line, chain)) {
            text_printf(out, "-D%.*s\n", (int)(line.len - 2), line.p + 2);
        }
    }
}

/* ---- writing ---- */

static void write_skip_ports(const char *chain, const struct port_ranges *ports, struct text *out)
{
    unsigned used = 0;

    for (unsigned i = 0; i < ports->count; i++) {
        bool is_range = ports->range[i].first != ports->range[i].last;
        unsigned cost = is_range ? 2 : 1;

        if (used > 0 && used + cost > MULTIPORT_MAX) {
            text_printf(out, " -j RETURN\n");
            used = 0;
        }
        if (used == 0) {
            text_printf(out, "-A %s -p tcp -m multiport --dports ", chain);
        } else {
            text_printf(out, ",");
        }
        text_printf(out, "%u", ports->range[i].first);
        if (is_range) {
            text_printf(out, ":%u", ports->range[i].last);
        }
        used += cost;
    }
    if (used > 0) {
        text_printf(out, " -j RETURN\n");
    }
}

/* iptables-save leaves a network of everything out, so we do too. */
static void write_skip_cidrs(const char *chain, const char *side, const struct cidr_list *cidrs, enum addr_family family,
                             struct text *out)
{
    char ip[ADDR_TEXT_SIZE];

    for (unsigned i = 0; i < cidrs->count; i++) {
        const struct addr *network = &cidrs->network[i];

        if (network->family != family) {
            continue;
        }
        if (network->prefix == 0) {
            text_printf(out, "-A %s -j RETURN\n", chain);
        } else {
            text_printf(out, "-A %s %s %s/%u -j RETURN\n", chain, side, addr_format_ip(network, ip), network->prefix);
        }
    }
}

static void write_outbound(const struct init_settings *s, enum addr_family family, struct text *out)
{
    const char *chain = RULES_OUTBOUND_CHAIN;

    text_printf(out, "# the proxy's own connections\n");
    text_printf(out, "-A %s -m owner --uid-owner %" PRIu64 " -j RETURN\n", chain, s->proxy_uid);
    text_printf(out, "# inside the pod: loopback and the pod's own addresses\n");
    text_printf(out, "-A %s -o lo -j RETURN\n", chain);
    text_printf(out, "-A %s -d %s -j RETURN\n", chain, family == ADDR_V6 ? "::1/128" : "127.0.0.0/8");
    if (family == ADDR_V6) {
        text_printf(out, "# link-local: means something only together with an interface, which the original destination lacks\n");
        text_printf(out, "-A %s -d fe80::/10 -j RETURN\n", chain);
    }
    write_skip_ports(chain, &s->skip_outbound_ports, out);
    write_skip_cidrs(chain, "-d", &s->skip_outbound_cidrs, family, out);
    text_printf(out, "-A %s -p tcp -j REDIRECT --to-ports %" PRIu64 "\n", chain, s->outbound_port);
}

static void write_inbound(const struct init_settings *s, enum addr_family family, struct text *out)
{
    const char *chain = RULES_INBOUND_CHAIN;

    text_printf(out, "# what the pod only forwards, as with containers inside the pod\n");
    text_printf(out, "-A %s -m addrtype ! --dst-type LOCAL -j RETURN\n", chain);
    if (family == ADDR_V6) {
        text_printf(out, "-A %s -d fe80::/10 -j RETURN\n", chain);
    }
    text_printf(out, "# the sidecar's own ports: outbound, inbound, admin\n");
    text_printf(out, "-A %s -p tcp -m multiport --dports %" PRIu64 ",%" PRIu64 ",%" PRIu64 " -j RETURN\n", chain,
                s->outbound_port, s->inbound_port, s->admin_port);
    write_skip_ports(chain, &s->skip_inbound_ports, out);
    write_skip_cidrs(chain, "-s", &s->skip_inbound_cidrs, family, out);
    text_printf(out, "-A %s -p tcp -j REDIRECT --to-ports %" PRIu64 "\n", chain, s->inbound_port);
}

void rules_write(const struct init_settings *s, enum addr_family family, struct str installed, struct text *out)
{
    text_printf(out, "*nat\n");
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        text_printf(out, ":%s - [0:0]\n", entries[i].chain); /* creates the chain, or empties it */
    }
    write_outbound(s, family, out);
    write_inbound(s, family, out);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (!has_right_jump(installed, entries[i].chain, entries[i].jump)) {
            delete_jumps(installed, entries[i].chain, out);
            text_printf(out, "%s\n", entries[i].jump);
        }
    }
    text_printf(out, "COMMIT\n");
}

void rules_write_removal(struct str installed, struct text *out)
{
    if (!rules_are_installed(installed)) {
        return;
    }
    text_printf(out, "*nat\n");
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        delete_jumps(installed, entries[i].chain, out);
        if (has_chain(installed, entries[i].chain)) {
            text_printf(out, "-F %s\n-X %s\n", entries[i].chain, entries[i].chain);
        }
    }
    text_printf(out, "COMMIT\n");
}

bool rules_are_installed(struct str installed)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (has_chain(installed, entries[i].chain)) {
            return true;
        }
    }
    return false;
}
