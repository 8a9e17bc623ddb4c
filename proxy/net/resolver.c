/* SPDX-License-Identifier: Apache-2.0 */

/*
 * evdns_getaddrinfo answers from within when it can (hosts file, bad names): then the report waits for the end of the turn. A query
 * that is cancelled while evdns works on it lives until evdns lets go of it, which it says by one more callback; the resolver lives at
 * least as long.
 */

#include "net/resolver.h"

#include <assert.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define HOST_MAX 253 /* RFC 1035 §2.3.4: 255 octets on the wire */

struct resolver {
    struct loop *loop;
    struct evdns_base *base;
    size_t open_count;    /* queries of callers */
    size_t pending_count; /* queries that evdns will call back for */
    bool is_closing;
    struct grave grave;
};

struct resolver_query {
    struct resolver *resolver;
    resolver_done_fn *on_done;
    void *ctx;
    uint16_t port;
    struct evdns_getaddrinfo_request *request; /* NULL unless evdns works on it */
    struct deferred report;
    bool is_starting;
    bool is_reporting;
    bool is_cancelled;
    const char *error;
    size_t count;
    struct addr addresses[RESOLVER_MAX_ADDRESSES];
};

/* Failures are reported to who asked; evdns would also write them to standard error. */
static void ignore_log(int is_warning, const char *text)
{
    (void)is_warning;
    (void)text;
}

struct resolver *resolver_new_from(struct loop *l, const char *resolv_conf, const char *hosts)
{
    struct resolver *r = mem_alloc(sizeof *r);

    evdns_set_log_fn(ignore_log);
    r->loop = l;
    r->base = evdns_base_new(loop_base(l), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    assert(r->base != NULL); /* reads no file yet: fails only without memory */
    /* Both fill in defaults for what they cannot read. */
    (void)evdns_base_resolv_conf_parse(r->base, DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC, resolv_conf);
    (void)evdns_base_load_hosts(r->base, hosts);
    return r;
}

struct resolver *resolver_new(struct loop *l)
{
    return resolver_new_from(l, "/etc/resolv.conf", "/etc/hosts");
}

static void reap(struct grave *g)
{
    struct resolver *r = container_of(g, struct resolver, grave);

    evdns_base_free(r->base, 0);
    mem_free(r);
}

void resolver_free(struct resolver *r)
{
    if (r == NULL) {
        return;
    }
    assert(r->open_count == 0);
    r->is_closing = true;
    if (r->pending_count == 0) {
        loop_bury(r->loop, &r->grave, reap);
    }
}

static void finish(struct resolver_query *q)
{
    q->resolver->open_count--;
    q->is_reporting = true;
    q->on_done(q->ctx, q->addresses, q->count, q->error);
    mem_free(q);
}

static void on_report(struct deferred *d)
{
    finish(container_of(d, struct resolver_query, report));
}

static void add_address(struct resolver_query *q, const struct sockaddr *sa)
{
    struct addr a = {0};

    if (q->count == RESOLVER_MAX_ADDRESSES || !addr_from_sockaddr(sa, &a)) {
        return;
    }
    a.port = q->port;
    q->addresses[q->count++] = a;
}

static void take_result(struct resolver_query *q, int result, struct evutil_addrinfo *list)
{
    for (const struct evutil_addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        add_address(q, ai->ai_addr);
    }
    if (list != NULL) {
        evutil_freeaddrinfo(list);
    }
    if (q->count == 0) {
        q->error = result != 0 ? evutil_gai_strerror(result) : "no address of a family we know";
    }
}

static void on_answer(int result, struct evutil_addrinfo *list, void *ctx)
{
    struct resolver_query *q = ctx;
    struct resolver *r = q->resolver;

    take_result(q, result, list);
    if (q->is_starting) {
        loop_defer(r->loop, &q->report);
        return;
    }
    q->request = NULL;
    r->pending_count--;
    if (q->is_cancelled) {
        mem_free(q);
    } else {
        finish(q);
    }
    if (r->is_closing && r->pending_count == 0) {
        loop_bury(r->loop, &r->grave, reap);
    }
}

static void ask(struct resolver_query *q, const char *host)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};

    q->is_starting = true;
    q->request = evdns_getaddrinfo(q->resolver->base, host, NULL, &hints, on_answer, q);
    q->is_starting = false;
    if (q->request != NULL) {
        q->resolver->pending_count++;
    }
}

/* Cuts "name:port" at the colon. False unless both parts can be right. */
static bool split(const char *host_port, struct str *ret_host, uint16_t *ret_port)
{
    struct str all = str_from(host_port);
    size_t colon = str_find(all, ':');
    uint64_t port = 0;

    if (colon == 0 || colon >= all.len || colon > HOST_MAX ||
        !str_to_u64((struct str){all.p + colon + 1, all.len - colon - 1}, UINT16_MAX, &port) || port == 0) {
        return false;
    }
    *ret_host = (struct str){all.p, colon};
    *ret_port = (uint16_t)port;
    return true;
}

struct resolver_query *resolver_start(struct resolver *r, const char *host_port, resolver_done_fn *on_done, void *ctx)
{
    struct resolver_query *q = mem_alloc(sizeof *q);
    struct str host = {0};

    q->resolver = r;
    q->on_done = on_done;
    q->ctx = ctx;
    deferred_init(&q->report, on_report);
    r->open_count++;
    if (addr_parse(str_from(host_port), &q->addresses[0])) {
        q->count = 1;
        loop_defer(r->loop, &q->report);
    } else if (split(host_port, &host, &q->port)) {
        CLEANUP_FREE char *name = mem_copy_string(host.p, host.len);

        ask(q, name);
    } else {
        q->error = "not of the form host:port";
        loop_defer(r->loop, &q->report);
    }
    return q;
}

void resolver_cancel(struct resolver_query **q)
{
    struct resolver_query *gone = *q;

    *q = NULL;
    if (gone == NULL || gone->is_reporting) {
        return;
    }
    gone->resolver->open_count--;
    if (gone->request != NULL) {
        gone->is_cancelled = true;
        evdns_getaddrinfo_cancel(gone->request);
    } else {
        loop_undefer(&gone->report);
        mem_free(gone);
    }
}
