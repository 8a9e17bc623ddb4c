/* SPDX-License-Identifier: Apache-2.0 */

#include "api/kube/reflector.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/timer.h"
#include "policy/backoff.h"

#include "api/kube/call.h"
#include "api/kube/lines.h"

/* The server ends a watch after this long, evenly spread: client-go's choice. */
#define WATCH_MIN_S 300
#define WATCH_SPREAD_S 300

static const struct backoff_policy backoff_policy = {.first = {800 * 1000}, .max = {30 * 1000000}, .jitter_percent = 50};

/* That an object is there, and since which list it was last seen. */
struct known {
    struct hash_node node;
    uint64_t round;
    size_t namespace_len;
    size_t name_len;
    char text[]; /* namespace, then name */
};

struct kube_reflector {
    struct kube_client *client;
    const struct kube_kind *kind;
    const struct kube_reflector_ops *ops;
    void *ctx;
    struct hash_table known;
    uint64_t round; /* of lists */
    char *version;  /* to watch from; NULL: a list is needed */
    char *next_page;
    struct kube_call *page;      /* while listing */
    struct kube_request *watch;  /* while watching */
    struct kube_response answer; /* of the watch */
    struct kube_lines lines;
    struct usec watch_started;
    bool is_gone; /* this watch said that its version is too old */
    struct timer timer;
    struct backoff backoff;
    struct kube_reflector_status status;
    char last_error[256];
};

static void list_page(struct kube_reflector *r);
static void start_watch(struct kube_reflector *r);

/* --- what is known --- */

static struct str text_of(const json_t *object, const char *key)
{
    const json_t *text = json_object_get(object, key);

    return json_is_string(text) ? (struct str){json_string_value(text), json_string_length(text)} : (struct str){"", 0};
}

static uint64_t hash_of(struct str namespace, struct str name)
{
    return hash_bytes(namespace.p, namespace.len) * 31 + hash_bytes(name.p, name.len);
}

static struct known *find(struct kube_reflector *r, struct str namespace, struct str name)
{
    uint64_t hash = hash_of(namespace, name);

    for (struct hash_node *n = hash_first(&r->known, hash); n != NULL; n = hash_next(n)) {
        struct known *k = container_of(n, struct known, node);

        if (str_eq((struct str){k->text, k->namespace_len}, namespace) &&
            str_eq((struct str){k->text + k->namespace_len, k->name_len}, name)) {
            return k;
        }
    }
    return NULL;
}

static struct known *need(struct kube_reflector *r, struct str namespace, struct str name)
{
    struct known *k = find(r, namespace, name);

    if (k != NULL || r->known.count >= REFLECTOR_OBJECTS_MAX) {
        return k;
    }
    k = mem_alloc(sizeof *k + namespace.len + name.len);
    k->namespace_len = namespace.len;
    k->name_len = name.len;
    memcpy(k->text, namespace.p, namespace.len);
    memcpy(k->text + namespace.len, name.p, name.len);
    hash_insert(&r->known, &k->node, hash_of(namespace, name));
    return k;
}

static void take_object(struct kube_reflector *r, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    struct str name = text_of(metadata, "name");
    struct known *k = name.len > 0 ? need(r, text_of(metadata, "namespace"), name) : NULL;

    if (k == NULL) {
        log_warn(LOG_SOURCE, r->kind->path, "%s", name.len == 0 ? "an object without a name" : "too many objects");
        return;
    }
    k->round = r->round;
    r->ops->on_object(r->ctx, object);
}

static void forget(struct kube_reflector *r, struct known *k)
{
    hash_remove(&r->known, &k->node);
    r->ops->on_deleted(r->ctx, (struct str){k->text, k->namespace_len}, (struct str){k->text + k->namespace_len, k->name_len});
    mem_free(k);
}

static void forget_unseen(struct hash_node *node, void *ctx)
{
    struct kube_reflector *r = ctx;
    struct known *k = container_of(node, struct known, node);

    if (k->round != r->round) {
        forget(r, k);
    }
}

static void take_deleted(struct kube_reflector *r, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    struct known *k = find(r, text_of(metadata, "namespace"), text_of(metadata, "name"));

    if (k != NULL) {
        forget(r, k);
    }
}

static void set_version(struct kube_reflector *r, struct str version)
{
    if (version.len > 0) {
        mem_free(r->version);
        r->version = mem_copy_string(version.p, version.len);
    }
}

/* --- failures --- */

static void on_timer(struct timer *t)
{
    struct kube_reflector *r = container_of(t, struct kube_reflector, timer);

    if (r->version != NULL) {
        start_watch(r);
    } else {
        list_page(r);
    }
}

/* Starts over with a list. */
static void drop_version(struct kube_reflector *r)
{
    mem_free(r->version);
    r->version = NULL;
    mem_free(r->next_page);
    r->next_page = NULL;
}

static void wait_and_retry(struct kube_reflector *r, unsigned retry_after_s, const char *reason)
{
    struct usec delay = backoff_failed(&r->backoff, loop_rng(kube_client_loop(r->client)));

    if (retry_after_s > 0) {
        delay = usec_add(usec_from_s(retry_after_s < 300 ? retry_after_s : 300), delay); /* with the jitter of the back-off */
    }
    r->status.failures++;
    if (strcmp(r->last_error, reason) != 0) {
        snprintf(r->last_error, sizeof r->last_error, "%s", reason);
        log_warn(LOG_SOURCE, r->kind->path, "%s; what is known stays in use", r->last_error);
    }
    timer_set(&r->timer, delay);
}

static void recovered(struct kube_reflector *r)
{
    backoff_succeeded(&r->backoff);
    if (r->last_error[0] != '\0') {
        log_info(LOG_SOURCE, r->kind->path, "followed again");
        r->last_error[0] = '\0';
    }
}

/* --- list --- */

static void list_complete(struct kube_reflector *r)
{
    hash_for_each(&r->known, forget_unseen, r);
    recovered(r);
    r->status.lists++;
    r->status.is_synced = true;
    r->ops->on_synced(r->ctx);
    start_watch(r);
}

static void take_page(struct kube_reflector *r, const json_t *list)
{
    const json_t *metadata = json_object_get(list, "metadata");
    const json_t *items = json_object_get(list, "items");
    struct str version = text_of(metadata, "resourceVersion");
    struct str next = text_of(metadata, "continue");

    if (version.len == 0) {
        wait_and_retry(r, 0, "a list without a resource version");
        return;
    }
    for (size_t i = 0; i < json_array_size(items); i++) {
        take_object(r, json_array_get(items, i));
    }
    mem_free(r->next_page);
    r->next_page = next.len > 0 ? mem_copy_string(next.p, next.len) : NULL;
    if (r->next_page != NULL) {
        list_page(r);
        return;
    }
    set_version(r, version);
    list_complete(r);
}

static void on_page(void *ctx, const struct kube_answer *answer)
{
    struct kube_reflector *r = ctx;
    struct text reason;

    r->page = NULL;
    if (kube_answer_is_ok(answer)) {
        take_page(r, answer->body);
        return;
    }
    if (answer->status == 410) { /* the continue token has expired: from the first page, at once */
        bool had_page = r->next_page != NULL;

        drop_version(r);
        if (had_page) {
            list_page(r);
            return;
        }
    }
    text_init(&reason, sizeof r->last_error - 1);
    text_printf(&reason, "cannot be listed: ");
    kube_answer_describe(answer, &reason);
    wait_and_retry(r, answer->retry_after_s, reason.p);
    text_deinit(&reason);
}

/* A continue token is base64 for URLs, but nothing says so. */
static void append_escaped(struct text *t, const char *s)
{
    for (; *s != '\0'; s++) {
        bool is_safe =
            (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("-_.~", *s) != NULL;

        text_printf(t, is_safe ? "%c" : "%%%02X", (unsigned char)*s);
    }
}

static void list_page(struct kube_reflector *r)
{
    struct text path;

    if (r->next_page == NULL) {
        r->round++;
    }
    text_init(&path, 8192);
    text_printf(&path, "%s?limit=%u", r->kind->path, r->kind->page_size);
    if (r->kind->query[0] != '\0') {
        text_printf(&path, "&%s", r->kind->query);
    }
    if (r->next_page != NULL) {
        text_printf(&path, "&continue=");
        append_escaped(&path, r->next_page);
    }
    r->page = kube_call_start(r->client, (struct str){path.p, path.len}, on_page, r);
    text_deinit(&path);
}

/* --- watch --- */

/* A server that ends each watch at once is not asked again at once. */
static bool has_lived(const struct kube_reflector *r)
{
    return usec_since(loop_now(kube_client_loop(r->client)), r->watch_started).v >= usec_from_s(1).v;
}

static void list_again(struct kube_reflector *r, const char *reason)
{
    drop_version(r);
    if (has_lived(r)) {
        list_page(r);
    } else {
        wait_and_retry(r, 0, reason);
    }
}

static void take_error(struct kube_reflector *r, const json_t *status)
{
    json_int_t code = json_integer_value(json_object_get(status, "code"));
    struct str reason = text_of(status, "reason");

    if (code == 410 || str_eq(reason, STR("Expired")) || str_eq(reason, STR("Gone"))) {
        r->is_gone = true;
    } else {
        snprintf(r->last_error, sizeof r->last_error, "watch: %.*s", (int)text_of(status, "message").len,
                 text_of(status, "message").p);
    }
}

static void take_event(struct kube_reflector *r, const json_t *event)
{
    struct str type = text_of(event, "type");
    const json_t *object = json_object_get(event, "object");

    if (str_eq(type, STR("ERROR"))) {
        take_error(r, object);
        return;
    }
    if (str_eq(type, STR("ADDED")) || str_eq(type, STR("MODIFIED"))) {
        take_object(r, object);
    } else if (str_eq(type, STR("DELETED"))) {
        take_deleted(r, object);
    } else if (!str_eq(type, STR("BOOKMARK"))) {
        return;
    }
    r->status.events++;
    set_version(r, text_of(json_object_get(object, "metadata"), "resourceVersion"));
    recovered(r);
}

static void on_line(void *ctx, struct str line)
{
    struct kube_reflector *r = ctx;
    json_error_t error;
    json_t *event = json_loadb(line.p, line.len, 0, &error);

    if (event == NULL) {
        log_warn(LOG_SOURCE, r->kind->path, "an event that is not JSON: %s", error.text);
        r->is_gone = true; /* something may have been missed: list again */
        return;
    }
    take_event(r, event);
    json_decref(event);
}

static void on_watch_response(struct kube_request *request, const struct kube_response *response)
{
    struct kube_reflector *r = kube_request_ctx(request);

    r->answer = *response;
    r->status.is_watching = response->status == 200;
    r->status.watches += response->status == 200;
}

static void on_watch_data(struct kube_request *request, const uint8_t *bytes, size_t len)
{
    struct kube_reflector *r = kube_request_ctx(request);

    if (r->answer.status != 200) {
        return;
    }
    bool is_framed = kube_lines_feed(&r->lines, bytes, len, on_line, r);

    if (!is_framed || r->is_gone) {
        kube_request_cancel(&r->watch);
        r->status.is_watching = false;
        list_again(r, is_framed ? "the watch lost its place" : "an event is too large");
    }
}

static void on_watch_end(struct kube_request *request, int error, const char *text)
{
    struct kube_reflector *r = kube_request_ctx(request);
    char reason[sizeof r->last_error];

    r->watch = NULL;
    r->status.is_watching = false;
    if (error == 0 && r->answer.status == 410) {
        list_again(r, "the resource version is too old");
        return;
    }
    if (error == 0 && r->answer.status == 200 && has_lived(r)) {
        start_watch(r); /* normal, after some minutes */
        return;
    }
    if (error != 0) {
        snprintf(reason, sizeof reason, "the watch broke off: %s", text);
    } else {
        snprintf(reason, sizeof reason, "cannot be watched: HTTP %u", r->answer.status);
    }
    wait_and_retry(r, r->answer.retry_after_s, reason);
}

static const struct kube_request_ops watch_ops = {
    .on_response = on_watch_response,
    .on_data = on_watch_data,
    .on_end = on_watch_end,
};

static void start_watch(struct kube_reflector *r)
{
    struct loop *l = kube_client_loop(r->client);
    struct text path;

    text_init(&path, 4096);
    text_printf(&path, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=", r->kind->path,
                WATCH_MIN_S + (unsigned)rng_below(loop_rng(l), WATCH_SPREAD_S));
    append_escaped(&path, r->version);
    if (r->kind->query[0] != '\0') {
        text_printf(&path, "&%s", r->kind->query);
    }
    kube_lines_reset(&r->lines);
    r->answer = (struct kube_response){0};
    r->is_gone = false;
    r->watch_started = loop_now(l);
    r->watch = kube_client_send(r->client, (struct str){path.p, path.len}, &watch_ops, r);
    text_deinit(&path);
}

/* --- life --- */

struct kube_reflector *kube_reflector_new(struct kube_client *client, const struct kube_kind *kind,
                                          const struct kube_reflector_ops *ops, void *ctx)
{
    struct kube_reflector *r = mem_alloc(sizeof *r);

    r->client = client;
    r->kind = kind;
    r->ops = ops;
    r->ctx = ctx;
    hash_init(&r->known);
    kube_lines_init(&r->lines, KUBE_LINE_MAX);
    backoff_init(&r->backoff, &backoff_policy);
    timer_init(&r->timer, kube_client_loop(client), on_timer);
    list_page(r);
    return r;
}

static void free_known(struct hash_node *node, void *ctx)
{
    (void)ctx;
    mem_free(container_of(node, struct known, node));
}

void kube_reflector_free(struct kube_reflector **reflector)
{
    struct kube_reflector *r = *reflector;

    if (r == NULL) {
        return;
    }
    *reflector = NULL;
    timer_stop(&r->timer);
    kube_call_cancel(&r->page);
    kube_request_cancel(&r->watch);
    hash_for_each(&r->known, free_known, NULL);
    hash_deinit(&r->known);
    kube_lines_deinit(&r->lines);
    mem_free(r->version);
    mem_free(r->next_page);
    mem_free(r);
}

struct kube_reflector_status kube_reflector_status(const struct kube_reflector *r)
{
    struct kube_reflector_status status = r->status;

    status.objects = r->known.count;
    status.last_error = r->last_error;
    return status;
}
