/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/accept.h"

#include <errno.h>

#include "base/mem.h"
#include "flow/connection.h"
#include "net/listener.h"

#define LISTENERS_MAX 4

struct gate {
    struct acceptor *acceptor;
    enum direction direction;
    struct listener *listener;
};

struct acceptor {
    struct worker *const *workers;
    unsigned worker_count;
    unsigned next; /* whose turn it is */
    struct gate gates[LISTENERS_MAX];
    unsigned gate_count;
};

struct handover {
    struct worker *worker;
    enum direction direction;
    int fd;
    struct addr peer;
};

static void take_over(void *arg)
{
    struct handover *h = arg;

    connection_accept(h->worker, h->direction, h->fd, &h->peer);
    mem_free(h);
}

static void on_accept(void *ctx, int fd, const struct addr *peer)
{
    struct gate *g = ctx;
    struct acceptor *a = g->acceptor;
    struct worker *w = a->workers[a->next];
    struct handover *h;

    a->next = (a->next + 1) % a->worker_count;
    if (w == a->workers[0]) {
        connection_accept(w, g->direction, fd, peer);
        return;
    }
    h = mem_alloc(sizeof *h);
    *h = (struct handover){.worker = w, .direction = g->direction, .fd = fd, .peer = *peer};
    loop_post(w->loop, take_over, h);
}

static int open_gate(struct acceptor *a, enum direction d, const struct addr *addr)
{
    struct gate *g = &a->gates[a->gate_count];
    int r;

    if (addr->family == ADDR_NONE) {
        return 0;
    }
    *g = (struct gate){.acceptor = a, .direction = d};
    r = listener_open(a->workers[0]->loop, addr, on_accept, g, &g->listener);
    if (r == 0) {
        a->gate_count++;
    }
    return r;
}

int acceptor_open(struct worker *const *workers, unsigned worker_count, struct acceptor **ret_acceptor, struct addr *ret_failed)
{
    const struct flow_options *o = workers[0]->options;
    const struct {
        enum direction direction;
        const struct addr *addr;
        bool is_twin;
    } wanted[LISTENERS_MAX] = {
        {OUTBOUND, &o->outbound, false},
        {OUTBOUND, &o->outbound_twin, true},
        {INBOUND, &o->inbound, false},
        {INBOUND, &o->inbound_twin, true},
    };
    struct acceptor *a = mem_alloc(sizeof *a);

    a->workers = workers;
    a->worker_count = worker_count;
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        int r = open_gate(a, wanted[i].direction, wanted[i].addr);
        bool is_family_missing = r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL;

        if (r < 0 && !(wanted[i].is_twin && is_family_missing)) {
            *ret_failed = *wanted[i].addr;
            acceptor_close(&a);
            return r;
        }
    }
    *ret_acceptor = a;
    return 0;
}

void acceptor_close(struct acceptor **link)
{
    struct acceptor *a = *link;

    if (a == NULL) {
        return;
    }
    *link = NULL;
    for (unsigned i = 0; i < a->gate_count; i++) {
        listener_close(&a->gates[i].listener);
    }
    mem_free(a);
}
