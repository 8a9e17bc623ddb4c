/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Requests wait on one list until there is a connection, and are on another while they are under way. A connection that goes away
 * while requests are open on it stays on `leaving` until they have ended.
 */

#include "api/kube/client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "h2/session.h"
#include "net/dial.h"
#include "policy/backoff.h"

#include "api/kube/token.h"

/* client-go's own: from 0.8 s, doubling, to 30 s. */
static const struct backoff_policy backoff_policy = {.first = {800 * 1000}, .max = {30 * 1000000}, .jitter_percent = 50};
static const struct connect_options connect_options = {.timeout = {5 * 1000000}, .user_timeout = {30 * 1000000}};

/* The windows are for lists of many megabytes; the rest for a server that is looked after by somebody else. */
static const struct h2_options h2_options = {
    .max_concurrent_streams = 0,
    .stream_window_bytes = 4 * 1024 * 1024,
    .connection_window_bytes = 16 * 1024 * 1024,
    .max_header_list_bytes = 64 * 1024,
    .out_buffer_bytes = 64 * 1024,
    .ping_after = {30 * 1000000},
    .ping_timeout = {15 * 1000000},
};

/* One HTTP/2 connection. */
struct link {
    struct list node; /* of the client's links; the first one that takes requests is used */
    struct kube_client *client;
    struct h2_session *session;
};

struct kube_client {
    struct loop *loop;
    struct kube_config config;
    struct kube_token token;
    struct tls_context *tls;
    struct dial dial;
    bool is_dialling;
    struct list links;
    struct list waiting;
    struct list open;
    uint32_t count; /* of requests */
    struct backoff backoff;
    struct timer retry;
    struct deferred flush;
};

struct kube_request {
    struct list node;
    struct kube_client *client;
    struct grave grave;
    struct h2_stream *stream; /* link; NULL while waiting */
    char *path;
    const struct kube_request_ops *ops;
    void *ctx;
    bool is_complete; /* END_STREAM has come */
};

/* --- requests --- */

static void request_reap(struct grave *g)
{
    struct kube_request *r = container_of(g, struct kube_request, grave);

    mem_free(r->path);
    mem_free(r);
}

static void request_free(struct kube_request *r)
{
    list_unlink(&r->node);
    r->client->count--;
    loop_bury(r->client->loop, &r->grave, request_reap);
}

static void request_end(struct kube_request *r, int error, const char *text)
{
    r->stream = NULL;
    r->ops->on_end(r, error, text);
    request_free(r);
}

static void fail_waiting(struct kube_client *c, int error, const char *text)
{
    struct list failing;
    struct list *node;

    list_init(&failing);
    list_splice(&failing, &c->waiting);
    while ((node = list_pop_front(&failing)) != NULL) {
        request_end(list_entry(node, struct kube_request, node), error, text);
    }
}

/* --- events of a request's stream --- */

static unsigned number_of(struct str value)
{
    uint64_t number;

    return str_to_u64(value, 100000, &number) ? (unsigned)number : 0;
}

static void on_headers(struct h2_stream *s, enum h2_block block, struct h2_headers *headers, bool is_end)
{
    struct kube_request *r = s->ctx;
    struct kube_response response = {
        .status = number_of(h2_headers_value(headers, STR(":status"))),
        .retry_after_s = number_of(h2_headers_value(headers, STR("retry-after"))),
    };

    h2_headers_free(&headers);
    r->is_complete = is_end;
    if (block == H2_RESPONSE) {
        if (response.status == 401) {
            kube_token_forget(&r->client->token); /* rotated earlier than thought */
        }
        r->ops->on_response(r, &response);
    }
}

static void on_data(struct h2_stream *s, const uint8_t *data, size_t len)
{
    struct kube_request *r = s->ctx;

    h2_stream_consume(s, len);
    r->ops->on_data(r, data, len);
}

static void on_end(struct h2_stream *s)
{
    struct kube_request *r = s->ctx;

    r->is_complete = true;
}

static void on_stream_closed(struct h2_stream *s, uint32_t error, enum close_reason reason, bool is_unprocessed)
{
    struct kube_request *r = s->ctx;

    (void)is_unprocessed;
    if (r->is_complete && error == H2_NO_ERROR) {
        request_end(r, 0, "");
    } else {
        request_end(r, -ECONNRESET, close_reason_text(reason));
    }
}

static const struct h2_stream_ops stream_ops = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_closed = on_stream_closed,
};

/* --- sending --- */

static struct h2_headers *headers_of(const struct kube_request *r)
{
    struct kube_client *c = r->client;
    struct h2_headers *h = h2_headers_new(loop_slab(c->loop));
    const char *token = kube_token_get(&c->token, loop_now(c->loop));

    h2_headers_add_literal(h, STR(":method"), STR("GET"));
    h2_headers_add_literal(h, STR(":scheme"), STR("https"));
    h2_headers_add(h, STR(":authority"), str_from(c->config.authority));
    h2_headers_add(h, STR(":path"), str_from(r->path));
    h2_headers_add_literal(h, STR("accept"), STR("application/json"));
    h2_headers_add_literal(h, STR("user-agent"), STR("outrigger"));
    if (token != NULL) {
        struct text bearer;

        text_init(&bearer, KUBE_FILE_MAX);
        text_printf(&bearer, "Bearer %s", token);
        h2_headers_add(h, STR("authorization"), (struct str){bearer.p, bearer.len});
        text_deinit(&bearer);
    }
    return h;
}

/* False when this session takes no request now. */
static bool send_on(struct kube_request *r, struct h2_session *session)
{
    int error = h2_session_request(session, headers_of(r), true, &stream_ops, r, &r->stream);

    if (error < 0) {
        r->stream = NULL;
        return false;
    }
    list_unlink(&r->node);
    list_push_back(&r->client->open, &r->node);
    return true;
}

static struct h2_session *usable_session(struct kube_client *c, bool *ret_is_full)
{
    *ret_is_full = false;
    list_for_each(node, &c->links) {
        struct link *l = list_entry(node, struct link, node);

        if (!h2_session_is_going_away(l->session)) {
            *ret_is_full = h2_session_capacity(l->session) == 0;
            return l->session;
        }
    }
    return NULL;
}

static void dial_now(struct kube_client *c);

static void on_flush(struct deferred *d)
{
    struct kube_client *c = container_of(d, struct kube_client, flush);

    while (!list_is_empty(&c->waiting)) {
        bool is_full;
        struct h2_session *session = usable_session(c, &is_full);

        if (session == NULL && !c->is_dialling && !timer_is_set(&c->retry)) {
            dial_now(c);
        }
        if (session == NULL || is_full || !send_on(list_entry(c->waiting.next, struct kube_request, node), session)) {
            return; /* goes on when there is a connection, or when a stream has ended */
        }
    }
}

/* --- connections --- */

static void connection_failed(struct kube_client *c, const char *text)
{
    struct usec delay = backoff_failed(&c->backoff, loop_rng(c->loop));

    c->is_dialling = false;
    timer_set(&c->retry, delay);
    log_warn(LOG_SOURCE, c->config.host_port, "%s; next attempt in %.1f s", text, usec_seconds(delay));
    fail_waiting(c, -ECONNREFUSED, text);
}

static void on_retry(struct timer *t)
{
    on_flush(&container_of(t, struct kube_client, retry)->flush);
}

static void on_settings(struct h2_session *s)
{
    struct link *l = h2_session_ctx(s);

    backoff_succeeded(&l->client->backoff);
    loop_defer(l->client->loop, &l->client->flush);
}

static void on_stream_ended(struct h2_session *s)
{
    struct link *l = h2_session_ctx(s);

    loop_defer(l->client->loop, &l->client->flush);
}

static void on_goaway(struct h2_session *s, uint32_t error, int32_t last_stream_id)
{
    struct link *l = h2_session_ctx(s);

    (void)error;
    (void)last_stream_id;
    h2_session_drain(s, CLOSE_GOAWAY);
    loop_defer(l->client->loop, &l->client->flush);
}

static void on_session_closed(struct h2_session *s, enum close_reason reason)
{
    struct link *l = h2_session_ctx(s);
    struct kube_client *c = l->client;
    bool was_silent = !h2_session_has_settings(s);

    list_unlink(&l->node);
    mem_free(l);
    if (was_silent) {
        connection_failed(c, close_reason_text(reason)); /* or it would be dialled again and again */
    } else {
        log_info(LOG_SOURCE, c->config.host_port, "connection to the Kubernetes API ended: %s", close_reason_text(reason));
        loop_defer(c->loop, &c->flush);
    }
}

static const struct h2_session_ops session_ops = {
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_stream_ended = on_stream_ended,
    .on_closed = on_session_closed,
};

static void on_dialled(struct dial *d, const char *error)
{
    struct kube_client *c = container_of(d, struct kube_client, dial);
    struct link *l;

    if (error != NULL) {
        connection_failed(c, error);
        return;
    }
    c->is_dialling = false;
    l = mem_alloc(sizeof *l);
    l->client = c;
    l->session = h2_session_new(H2_CLIENT, &d->stream, &h2_options, &session_ops, l);
    list_push_front(&c->links, &l->node);
    loop_defer(c->loop, &c->flush);
}

static const char *const h2_only[] = {"h2", NULL};

/* Certificate authorities may have been exchanged since the last time. */
static bool renew_tls(struct kube_client *c, struct text *error)
{
    char *ca = c->config.ca_file != NULL ? kube_read_file(c->config.ca_file) : NULL;
    struct tls_options options = {
        .trust_pem = str_from(c->config.ca_file != NULL ? ca : c->config.ca_pem),
        .certificate_pem = str_from(c->config.certificate_pem),
        .key_pem = str_from(c->config.key_pem),
        .alpn = h2_only,
    };

    tls_context_unref(&c->tls);
    if (c->config.ca_file != NULL && ca == NULL) {
        text_printf(error, "%s: %s", c->config.ca_file, strerror(errno));
        return false;
    }
    c->tls = tls_context_new(TLS_CLIENT, &options, error);
    mem_free(ca);
    return c->tls != NULL;
}

static void dial_now(struct kube_client *c)
{
    struct text error;

    text_init(&error, 1000);
    c->is_dialling = true;
    if (renew_tls(c, &error)) {
        dial_start_tls(&c->dial, c->config.host_port, c->tls, c->config.server_name);
    } else {
        connection_failed(c, error.p);
    }
    text_deinit(&error);
}

/* --- interface --- */

struct kube_client *kube_client_new(struct loop *l, struct kube_config *config)
{
    struct kube_client *c = mem_alloc(sizeof *c);

    c->loop = l;
    c->config = *config;
    *config = (struct kube_config){0};
    kube_token_init(&c->token, c->config.token_file, c->config.token);
    list_init(&c->links);
    list_init(&c->waiting);
    list_init(&c->open);
    dial_init(&c->dial, l, connect_options, on_dialled);
    backoff_init(&c->backoff, &backoff_policy);
    timer_init(&c->retry, l, on_retry);
    deferred_init(&c->flush, on_flush);
    return c;
}

void kube_client_close(struct kube_client **client)
{
    struct kube_client *c = *client;
    struct list *node;

    if (c == NULL) {
        return;
    }
    *client = NULL;
    assert(c->count == 0);
    while ((node = list_pop_front(&c->links)) != NULL) {
        struct link *l = list_entry(node, struct link, node);

        h2_session_abandon(l->session, H2_NO_ERROR, CLOSE_SHUTDOWN);
        mem_free(l);
    }
    dial_deinit(&c->dial);
    timer_stop(&c->retry);
    loop_undefer(&c->flush);
    tls_context_unref(&c->tls);
    kube_token_deinit(&c->token);
    kube_config_deinit(&c->config);
    mem_free(c);
}

struct kube_request *kube_client_send(struct kube_client *c, struct str path, const struct kube_request_ops *ops, void *ctx)
{
    struct kube_request *r = mem_alloc(sizeof *r);

    assert(c->count < KUBE_REQUESTS_MAX);
    r->client = c;
    r->path = mem_printf("%s%.*s", c->config.path_prefix, (int)path.len, path.p);
    r->ops = ops;
    r->ctx = ctx;
    list_push_back(&c->waiting, &r->node);
    c->count++;
    loop_defer(c->loop, &c->flush);
    return r;
}

void kube_request_cancel(struct kube_request **request)
{
    struct kube_request *r = *request;

    if (r == NULL) {
        return;
    }
    *request = NULL;
    if (r->stream != NULL) {
        h2_stream_detach(r->stream, H2_CANCEL);
    }
    request_free(r);
}

void *kube_request_ctx(const struct kube_request *r)
{
    return r->ctx;
}

struct loop *kube_client_loop(const struct kube_client *c)
{
    return c->loop;
}
