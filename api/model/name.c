/* SPDX-License-Identifier: Apache-2.0 */

#include "api/model/name.h"

/* "50051": no sign, no leading zero, 1 to 65535. */
static bool parse_port(struct str text, uint16_t *ret_port)
{
    uint64_t value;

    if (text.len == 0 || text.p[0] == '0' || !str_to_u64(text, UINT16_MAX, &value)) {
        return false;
    }
    *ret_port = (uint16_t)value;
    return true;
}

/* Cuts ":port" off the end. */
static bool cut_port(struct str *text, uint16_t *ret_port)
{
    size_t end = text->len;

    while (end > 0 && text->p[end - 1] != ':') {
        end--;
    }
    if (end == 0 || !parse_port((struct str){text->p + end, text->len - end}, ret_port)) {
        return false;
    }
    text->len = end - 1;
    return true;
}

static bool parse_address(struct str text, struct name *n)
{
    char canonical[ADDR_TEXT_SIZE];

    if (!addr_parse(text, &n->addr) || n->addr.port == 0) {
        return false;
    }
    n->kind = NAME_ADDRESS;
    n->port = n->addr.port;
    return str_eq(str_from(addr_format(&n->addr, canonical)), text);
}

static bool parse_cluster(struct str text, struct name *n)
{
    static const struct {
        struct str suffix;
        enum addr_family family;
    } families[] = {{{"/IPv4", 5}, ADDR_V4}, {{"/IPv6", 5}, ADDR_V6}};
    size_t slash;

    n->kind = NAME_CLUSTER;
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (str_ends_with(text, families[i].suffix)) {
            n->family = families[i].family;
            text.len -= families[i].suffix.len;
        }
    }
    if (!cut_port(&text, &n->port)) {
        return false;
    }
    slash = str_find(text, '/');
    if (slash == 0 || slash + 1 >= text.len) {
        return false;
    }
    n->namespace = (struct str){text.p, slash};
    n->service = (struct str){text.p + slash + 1, text.len - slash - 1};
    return str_find(n->service, '/') == n->service.len;
}

/* What may follow "service.namespace": nothing, ".svc" or ".svc.<domain>"; `rest` has lost the dot before it. */
static bool is_known_suffix(struct str rest, struct str cluster_domain)
{
    struct str svc;

    if (!str_split(&rest, '.', &svc) || !str_eq(svc, STR("svc"))) {
        return false;
    }
    return rest.p == NULL || str_eq(rest, cluster_domain);
}

static bool parse_host(struct str text, struct str cluster_domain, struct name *n)
{
    n->kind = NAME_HOST;
    if (!cut_port(&text, &n->port) || !str_split(&text, '.', &n->service) || n->service.len == 0) {
        return false;
    }
    if (text.p == NULL) {
        return true;
    }
    if (!str_split(&text, '.', &n->namespace) || n->namespace.len == 0) {
        return false;
    }
    return text.p == NULL || is_known_suffix(text, cluster_domain);
}

bool name_parse(struct str text, struct str cluster_domain, struct name *ret_name)
{
    struct name n = {0};
    bool is_ok;

    if (text.len == 0 || text.len > NAME_MAX_LEN) {
        return false;
    }
    if (str_find(text, '/') < text.len) {
        is_ok = parse_cluster(text, &n);
    } else {
        is_ok = parse_address(text, &n) || (n.addr.family == ADDR_NONE && parse_host(text, cluster_domain, &n));
    }
    if (is_ok) {
        *ret_name = n;
    }
    return is_ok;
}

void name_write_cluster(struct text *out, const char *namespace, const char *service, uint16_t port, enum addr_family family)
{
    text_printf(out, "%s/%s:%u", namespace, service, port);
    if (family != ADDR_NONE) {
        text_append_str(out, family == ADDR_V4 ? STR("/IPv4") : STR("/IPv6"));
    }
}

void name_write_host(struct text *out, enum name_host_form form, const char *service, const char *namespace,
                     struct str cluster_domain)
{
    text_printf(out, "%s", service);
    if (form >= HOST_NAMESPACE) {
        text_printf(out, ".%s", namespace);
    }
    if (form >= HOST_SVC) {
        text_append_str(out, STR(".svc"));
    }
    if (form == HOST_FULL) {
        text_append_str(out, STR("."));
        text_append_str(out, cluster_domain);
    }
}
