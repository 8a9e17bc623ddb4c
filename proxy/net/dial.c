/* SPDX-License-Identifier: Apache-2.0 */

#include "net/dial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void on_connected(struct connect *c, int result);

static void try_next(struct dial *d)
{
    connect_start(&d->connect, d->loop, &d->addresses[d->next++], &d->options, on_connected);
}

static void failed(struct dial *d, const char *reason)
{
    char text[ADDR_TEXT_SIZE];
    char error[ADDR_TEXT_SIZE + 256];

    if (d->next < d->count) {
        try_next(d);
        return;
    }
    snprintf(error, sizeof error, "%s: %s", addr_format(&d->addresses[d->next - 1], text), reason);
    d->on_done(d, error);
}

/* --- TLS --- */

static void tls_failed(struct dial *d, const char *reason)
{
    char copy[200];

    snprintf(copy, sizeof copy, "TLS: %s", reason); /* it goes with the stream */
    timer_stop(&d->tls_timer);
    stream_close(&d->stream);
    failed(d, copy);
}

/* A stream under TLS is writable once it is secured, or has failed. */
static void on_secured(struct stream *s)
{
    struct dial *d = container_of(s, struct dial, stream);
    ssize_t r = stream_send(s, "", 0);

    if (r < 0 && r != -EAGAIN) {
        tls_failed(d, r == -EPROTO ? stream_tls_error(s) : strerror((int)-r));
        return;
    }
    timer_stop(&d->tls_timer);
    stream_want_write(s, false);
    d->on_done(d, NULL);
}

static void on_tls_timer(struct timer *t)
{
    tls_failed(container_of(t, struct dial, tls_timer), "no answer in time");
}

static void secure(struct dial *d)
{
    stream_set_handlers(&d->stream, NULL, on_secured);
    if (stream_start_tls(&d->stream, d->tls, d->server_name) < 0) {
        tls_failed(d, "no session could be set up");
        return;
    }
    timer_set(&d->tls_timer, DIAL_TLS_LIMIT);
    stream_want_write(&d->stream, true);
}

/* --- addresses --- */

static void on_connected(struct connect *c, int result)
{
    struct dial *d = container_of(c, struct dial, connect);

    if (result < 0) {
        failed(d, strerror(-result));
        return;
    }
    stream_move(&d->stream, &c->stream);
    if (d->tls != NULL) {
        secure(d);
    } else {
        d->on_done(d, NULL);
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
    timer_init(&d->tls_timer, l, on_tls_timer);
}

void dial_deinit(struct dial *d)
{
    resolver_cancel(&d->query);
    connect_cancel(&d->connect);
    timer_stop(&d->tls_timer);
    stream_close(&d->stream);
    resolver_free(d->resolver);
}

void dial_start(struct dial *d, const char *host_port)
{
    dial_start_tls(d, host_port, NULL, NULL);
}

void dial_start_tls(struct dial *d, const char *host_port, struct tls_context *context, const char *server_name)
{
    d->tls = context;
    d->server_name = server_name;
    d->query = resolver_start(d->resolver, host_port, on_resolved, d);
}
