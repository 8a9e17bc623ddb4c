/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A host is a domain alone, with the Service's port and with the pod's: a headless Service is dialled at the latter, a Service whose
 * address was replaced at the former. Clients refuse a domain that appears twice, so the first claim to one has it.
 */

#include "api/model/pod_route.h"

#include <string.h>

#include "base/mem.h"

#include "api/model/name.h"

#define DOMAINS_PER_HOST (NAME_HOST_FORMS * 3)

char *cluster_name(const struct backend *b, const struct backend_port *port, enum addr_family family)
{
    enum addr_family primary = backend_port_primary_family(b, port);
    bool is_second = family != ADDR_NONE && family != primary && backend_port_has_family(port, family) &&
                     backend_port_has_family(port, primary);
    struct text name;

    text_init(&name, NAME_MAX_LEN);
    name_write_cluster(&name, b->service->namespace, b->service->name, port->port->number, is_second ? family : ADDR_NONE);
    return text_steal(&name);
}

static bool has_domain(const struct pod_route *r, const char *domain)
{
    for (size_t h = 0; h <= r->host_count; h++) { /* the one being built as well */
        for (size_t d = 0; d < r->hosts[h].domain_count; d++) {
            if (strcmp(r->hosts[h].domains[d], domain) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Takes `domain` over. */
static void add_domain(struct pod_route *r, char *domain)
{
    struct encode_virtual_host *host = &r->hosts[r->host_count];

    if (has_domain(r, domain)) {
        mem_free(domain);
        return;
    }
    host->domains[host->domain_count++] = domain;
}

static void add_host_form(struct pod_route *r, const struct claim *claim, enum name_host_form form, struct str cluster_domain)
{
    const struct service *s = claim->backend->service;
    struct text host;

    text_init(&host, NAME_MAX_LEN);
    name_write_host(&host, form, s->name, s->namespace, cluster_domain);
    add_domain(r, mem_copy_string(host.p, host.len));
    add_domain(r, mem_printf("%s:%u", host.p, claim->port->port->number));
    add_domain(r, mem_printf("%s:%u", host.p, claim->endpoint->addr.port));
    text_deinit(&host);
}

/* No other Service of that name claims the address. */
static bool is_name_unique(const struct claimed_address *address, const struct claim *claim)
{
    list_for_each(link, &address->claims) {
        const struct service *other = list_entry(link, struct claim, in_address)->backend->service;

        if (strcmp(other->name, claim->backend->service->name) == 0 &&
            strcmp(other->namespace, claim->backend->service->namespace) != 0) {
            return false;
        }
    }
    return true;
}

static bool may_be_short(const struct claimed_address *address, const struct claim *claim, struct str namespace)
{
    if (namespace.len == 0) {
        return is_name_unique(address, claim);
    }
    return str_eq(str_from(claim->backend->service->namespace), namespace);
}

static void add_service(struct pod_route *r, const struct claimed_address *address, const struct claim *claim,
                        struct str namespace, struct str cluster_domain)
{
    struct encode_virtual_host *host = &r->hosts[r->host_count];

    *host = (struct encode_virtual_host){.domains = mem_alloc_array(DOMAINS_PER_HOST, sizeof(char *))};
    host->cluster = cluster_name(claim->backend, claim->port, address->addr.family);
    if (may_be_short(address, claim, namespace)) {
        add_host_form(r, claim, HOST_SHORT, cluster_domain);
    }
    add_host_form(r, claim, HOST_NAMESPACE, cluster_domain);
    add_host_form(r, claim, HOST_SVC, cluster_domain);
    add_host_form(r, claim, HOST_FULL, cluster_domain);
    r->host_count++;
}

static void add_pod(struct pod_route *r, const struct claimed_address *address)
{
    struct encode_virtual_host *host = &r->hosts[r->host_count];
    char text[ADDR_TEXT_SIZE];

    *host = (struct encode_virtual_host){.domains = mem_alloc_array(1, sizeof(char *)), .domain_count = 1};
    host->cluster = mem_strdup(addr_format(&address->addr, text));
    host->domains[0] = mem_strdup("*");
    r->host_count++;
}

void pod_route_init(struct pod_route *r, const struct claimed_address *address, struct str namespace, struct str cluster_domain)
{
    memset(r, 0, sizeof *r);
    list_for_each(link, &address->claims) {
        const struct claim *claim = list_entry(link, struct claim, in_address);

        if (claim->kind == CLAIM_POD && r->host_count < POD_ROUTE_SERVICES_MAX) {
            add_service(r, address, claim, namespace, cluster_domain);
        }
    }
    add_pod(r, address);
}

void pod_route_deinit(struct pod_route *r)
{
    for (size_t h = 0; h < r->host_count; h++) {
        for (size_t d = 0; d < r->hosts[h].domain_count; d++) {
            mem_free(r->hosts[h].domains[d]);
        }
        mem_free(r->hosts[h].domains);
        mem_free(r->hosts[h].cluster);
    }
    r->host_count = 0;
}
