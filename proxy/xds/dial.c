/* SPDX-License-Identifier: Apache-2.0 */

#include "xds/dial.h"

#include <stdio.h>
#include <string.h>

static void on_connected(struct connect *c, int result);

static void try_next(struct dial *d)
{
    connect_start(&d->connect, d->loop, &d->addresses[d->next++], &d->options, on_connected);
}

static void on_connected(struct connect *c, int result)
{
    struct dial *d = container_of(c, struct dial, connect);
    char text[ADDR_TEXT_SIZE];
    char error[ADDR_TEXT_SIZE + 64];

    if (result == 0) {
        d->on_done(d, NULL);
    } else if (d->next < d->count) {
        try_next(d);
    } else {
        snprintf(error, sizeof error, "%s: %s", addr_format(&d->addresses[d->next - 1], text), strerror(-result));
        d->on_done(d, error);
    }
}

/* Fisher and Yates. */
static void shuffle(struct addr *addresses, size_t count, struct rng *rng)
{
    for (size_t left = count; left > 1; left--) {
        size_t chosen = (size_t)rng_below(rng, left);
        struct addr swapped = addresses[left - 1];

        addresses[left - 1] = addresses[chosen];
        addresses[chosen] = swapped;
    }
}

static void on_resolved(void *ctx, const struct addr *addresses, size_t count, const char *error)
{
    struct dial *d = ctx;

    d->query = NULL;
    if (count == 0) {
        d->on_done(d, error != NULL ? error : "the name has no address");
        return;
    }
    memcpy(d->addresses, addresses, count * sizeof *addresses);
    shuffle(d->addresses, count, loop_rng(d->loop));
    d->count = count;
    d->next = 0;
    try_next(d);
}

void dial_init(struct dial *d, struct loop *l, struct connect_options options, void (*on_done)(struct dial *d, const char *error))
{
    *d = (struct dial){.loop = l, .options = options, .on_done = on_done, .resolver = resolver_new(l)};
}

void dial_deinit(struct dial *d)
{
    resolver_cancel(&d->query);
    connect_cancel(&d->connect);
    resolver_free(d->resolver);
}

void dial_start(struct dial *d, const char *host_port)
{
    d->query = resolver_start(d->resolver, host_port, on_resolved, d);
}
