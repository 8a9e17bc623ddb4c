/* SPDX-License-Identifier: Apache-2.0 */

#include "api/kube/call.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "net/timer.h"

struct kube_call {
    struct kube_client *client;
    struct kube_request *request; /* owned; NULL once over */
    struct timer limit;
    struct kube_response response;
    char *body;
    size_t len;
    size_t size;
    kube_done_fn *done;
    void *ctx;
};

static void call_free(struct kube_call *c)
{
    timer_stop(&c->limit);
    kube_request_cancel(&c->request);
    mem_free(c->body);
    mem_free(c);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static void fail(struct kube_call *c, int error, const char *text)
{
    struct kube_answer answer = {.error = error, .reason = "", .text = text};

    c->done(c->ctx, &answer);
    call_free(c);
}

static void on_response(struct kube_request *r, const struct kube_response *response)
{
    struct kube_call *c = kube_request_ctx(r);

    c->response = *response;
}

static void on_data(struct kube_request *r, const uint8_t *bytes, size_t len)
{
    struct kube_call *c = kube_request_ctx(r);

    if (len > KUBE_BODY_MAX - c->len) {
        fail(c, -EMSGSIZE, "the response is too large");
        return;
    }
    if (c->size - c->len < len) {
        c->size = (c->len + len) * 2;
        c->body = mem_realloc_array(c->body, c->size, 1);
    }
    memcpy(c->body + c->len, bytes, len);
    c->len += len;
}

static void on_end(struct kube_request *r, int error, const char *text)
{
    struct kube_call *c = kube_request_ctx(r);
    struct kube_answer answer = {.status = c->response.status, .retry_after_s = c->response.retry_after_s};
    json_error_t json_error;

    c->request = NULL; /* freed by its client */
    if (error != 0) {
        fail(c, error, text);
        return;
    }
    answer.body = json_loadb(c->len > 0 ? c->body : "", c->len, 0, &json_error);
    if (answer.body == NULL && answer.status < 300) {
        fail(c, -EBADMSG, json_error.text);
        return;
    }
    if (answer.body == NULL) { /* a middlebox's page, say */
        answer.body = json_object();
    }
    bool is_status = strcmp(text_of(answer.body, "kind"), "Status") == 0;

    answer.reason = is_status ? text_of(answer.body, "reason") : "";
    answer.text = is_status ? text_of(answer.body, "message") : "";
    c->done(c->ctx, &answer);
    json_decref(answer.body);
    call_free(c);
}

static const struct kube_request_ops request_ops = {.on_response = on_response, .on_data = on_data, .on_end = on_end};

static void on_limit(struct timer *t)
{
    fail(container_of(t, struct kube_call, limit), -ETIMEDOUT, "no whole answer in time");
}

struct kube_call *kube_call_start(struct kube_client *client, struct str path, kube_done_fn *done, void *ctx)
{
    struct kube_call *c = mem_alloc(sizeof *c);

    c->client = client;
    c->done = done;
    c->ctx = ctx;
    c->request = kube_client_send(client, path, &request_ops, c);
    timer_init(&c->limit, kube_client_loop(client), on_limit);
    timer_set(&c->limit, KUBE_CALL_LIMIT);
    return c;
}

void kube_call_cancel(struct kube_call **call)
{
    struct kube_call *c = *call;

    *call = NULL;
    if (c != NULL) {
        call_free(c);
    }
}

bool kube_answer_is_ok(const struct kube_answer *a)
{
    return a->error == 0 && a->status >= 200 && a->status < 300;
}

void kube_answer_describe(const struct kube_answer *a, struct text *out)
{
    if (a->error != 0) {
        text_printf(out, "%s", a->text);
    } else {
        text_printf(out, "HTTP %u%s%s%s%s", a->status, a->reason[0] != '\0' ? " " : "", a->reason, a->text[0] != '\0' ? ": " : "",
                    a->text);
    }
}
