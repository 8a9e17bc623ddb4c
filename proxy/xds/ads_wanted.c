/* SPDX-License-Identifier: Apache-2.0 */

/* Each type has its table of names, and two lists: what the open stream has not been told of yet, and what it must be told to forget. */

#include "xds/ads_wanted.h"

#include <assert.h>

#include "base/mem.h"

struct leaving {
    struct list node;
    char *name;
};

static void drop_leaving(struct ads_wanted_type *t)
{
    struct list *node;

    while ((node = list_pop_front(&t->leaving)) != NULL) {
        struct leaving *l = list_entry(node, struct leaving, node);

        mem_free(l->name);
        mem_free(l);
    }
}

/* --- requests --- */

static void add_visited(struct hash_node *node, void *ctx)
{
    struct ads_subscription *s = container_of(node, struct ads_subscription, by_name);

    list_unlink(&s->unsent);
    ads_request_subscribe(ctx, s->name, s->version);
}

/* All names, and what is held of them. */
static void begin_type(struct ads_wanted *w, enum xds_type type, ads_send_fn *send, void *ctx)
{
    struct ads_wanted_type *t = &w->type[type];
    struct ads_request request;

    ads_request_init(&request, type);
    hash_for_each(&t->by_name, add_visited, &request);
    send(ctx, &request);
    ads_request_deinit(&request);
    t->has_begun = true;
}

/* Before new names: a name may be on both lists, and its last word is that it is wanted. */
static void send_leaving(struct ads_wanted *w, enum xds_type type, ads_send_fn *send, void *ctx)
{
    struct ads_wanted_type *t = &w->type[type];
    struct ads_request request;

    if (list_is_empty(&t->leaving)) {
        return;
    }
    ads_request_init(&request, type);
    list_for_each(node, &t->leaving) {
        ads_request_unsubscribe(&request, list_entry(node, struct leaving, node)->name);
    }
    send(ctx, &request);
    ads_request_deinit(&request);
    drop_leaving(t);
}

static void send_unsent(struct ads_wanted *w, enum xds_type type, ads_send_fn *send, void *ctx)
{
    struct ads_wanted_type *t = &w->type[type];

    while (!list_is_empty(&t->unsent)) {
        struct ads_request request;
        struct list *node;

        ads_request_init(&request, type);
        while (request.subscribe_count < ADS_REQUEST_NAMES_MAX && (node = list_pop_front(&t->unsent)) != NULL) {
            ads_request_subscribe(&request, list_entry(node, struct ads_subscription, unsent)->name, NULL);
        }
        send(ctx, &request);
        ads_request_deinit(&request);
    }
}

void ads_wanted_flush(struct ads_wanted *w, ads_send_fn *send, void *ctx)
{
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        struct ads_wanted_type *t = &w->type[i];

        if (t->has_begun) {
            send_leaving(w, (enum xds_type)i, send, ctx);
            send_unsent(w, (enum xds_type)i, send, ctx);
        } else if (t->by_name.count > 0) {
            begin_type(w, (enum xds_type)i, send, ctx);
        }
    }
}

bool ads_wanted_has_begun(const struct ads_wanted *w, enum xds_type type)
{
    return w->type[type].has_begun;
}

void ads_wanted_stream_ended(struct ads_wanted *w)
{
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        w->type[i].has_begun = false;
        drop_leaving(&w->type[i]);
    }
}

/* --- subscriptions --- */

void ads_wanted_init(struct ads_wanted *w)
{
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        hash_init(&w->type[i].by_name);
        list_init(&w->type[i].unsent);
        list_init(&w->type[i].leaving);
        w->type[i].has_begun = false;
    }
}

void ads_wanted_deinit(struct ads_wanted *w)
{
    for (unsigned i = 0; i < XDS_TYPE_COUNT; i++) {
        assert(w->type[i].by_name.count == 0);
        drop_leaving(&w->type[i]);
        hash_deinit(&w->type[i].by_name);
    }
}

void ads_wanted_add(struct ads_wanted *w, struct ads_subscription *s, enum xds_type type, struct str name)
{
    *s = (struct ads_subscription){.type = type, .name = mem_copy_string(name.p, name.len)};
    list_init(&s->unsent);
    hash_insert(&w->type[type].by_name, &s->by_name, hash_bytes(name.p, name.len));
    list_push_back(&w->type[type].unsent, &s->unsent);
}

bool ads_wanted_remove(struct ads_wanted *w, struct ads_subscription *s)
{
    struct ads_wanted_type *t = &w->type[s->type];
    bool is_known = t->has_begun && !list_is_linked(&s->unsent);

    hash_remove(&t->by_name, &s->by_name);
    list_unlink(&s->unsent);
    if (is_known) {
        struct leaving *l = mem_alloc(sizeof *l);

        l->name = s->name;
        list_push_back(&t->leaving, &l->node);
    } else {
        mem_free(s->name);
    }
    mem_free(s->version);
    s->name = NULL;
    s->version = NULL;
    return is_known;
}

struct ads_subscription *ads_wanted_find(const struct ads_wanted *w, enum xds_type type, struct str name)
{
    const struct hash_table *table = &w->type[type].by_name;

    for (struct hash_node *node = hash_first(table, hash_bytes(name.p, name.len)); node != NULL; node = hash_next(node)) {
        struct ads_subscription *s = container_of(node, struct ads_subscription, by_name);

        if (str_eq(str_from(s->name), name)) {
            return s;
        }
    }
    return NULL;
}
