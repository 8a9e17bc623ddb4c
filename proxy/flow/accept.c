/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/accept.h"

#include <errno.h>

#include "base/mem.h"
#include "base/object.h"
#include "flow/connection.h"
#include "net/listener.h"

#define LISTENERS_MAX 4

enum pause_reason { PAUSE_LIMIT, PAUSE_DESCRIPTORS, PAUSE_OTHER, PAUSE_REASON_COUNT };

struct gate {
    struct acceptor *acceptor;
    enum direction direction;
    struct listener *listener;
    struct metric *pauses[PAUSE_REASON_COUNT];
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
    object_destroyed(OBJECT_HANDOVER);
}

/* Of all workers, those on their way to one included. Workers free a connection in the turn in which it closes. */
static bool may_accept(void *ctx)
{
    const struct gate *g = ctx;

    return object_live(OBJECT_CONNECTION) + object_live(OBJECT_HANDOVER) < g->acceptor->workers[0]->options->max_connections;
}

static void on_pause(void *ctx, int error)
{
    struct gate *g = ctx;

    switch (error) {
    case -EUSERS:
        metric_add(g->pauses[PAUSE_LIMIT], 1);
        return;
    case -EMFILE:
    case -ENFILE:
        metric_add(g->pauses[PAUSE_DESCRIPTORS], 1);
        return;
    default:
        metric_add(g->pauses[PAUSE_OTHER], 1);
        return;
    }
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
    object_created(OBJECT_HANDOVER);
    *h = (struct handover){.worker = w, .direction = g->direction, .fd = fd, .peer = *peer};
    loop_post(w->loop, take_over, h);
}

static const char *const pause_labels[PAUSE_REASON_COUNT] = {
    [PAUSE_LIMIT] = "limit",
    [PAUSE_DESCRIPTORS] = "descriptors",
    [PAUSE_OTHER] = "other",
};

static int open_gate(struct acceptor *a, enum direction d, const struct addr *addr)
{
    struct gate *g = &a->gates[a->gate_count];
    int r;

    if (addr->family == ADDR_NONE) {
        return 0;
    }
    *g = (struct gate){.acceptor = a, .direction = d};
    r = listener_open(a->workers[0]->loop, addr, on_accept, g, &g->listener);
    if (r < 0) {
        return r;
    }
    listener_set_keepalive(g->listener, a->workers[0]->options->tcp_keepalive);
    listener_set_gate(g->listener, may_accept, on_pause);
    for (unsigned i = 0; i < PAUSE_REASON_COUNT; i++) {
        g->pauses[i] =
            metric_get(a->workers[0]->metrics.shard, METRIC_ACCEPT_PAUSES, (const char *[]){direction_label(d), pause_labels[i]});
    }
    a->gate_count++;
    return 0;
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
        for (unsigned j = 0; j < PAUSE_REASON_COUNT; j++) {
            metric_put(&a->gates[i].pauses[j]);
        }
    }
    mem_free(a);
}
