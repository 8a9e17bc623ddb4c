/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/interest.h"

#include <string.h>

#include "base/mem.h"

void interest_free(struct interest *i)
{
    struct interests *s = i->owner;
    enum resource_type type = i->base.topic->type;

    hash_remove(&s->type[type].by_name, &i->by_name);
    list_unlink(&i->due);
    topics_cancel(s->topics, &i->base);
    metric_move(s->metrics->type[type].subscriptions, -1);
    s->count--;
    mem_free(i);
}

void interest_mark_due(struct interest *i)
{
    struct interests *s = i->owner;

    if (!list_is_linked(&i->due)) {
        list_push_back(&s->type[i->base.topic->type].waiting, &i->due);
    }
    s->on_due(s);
}

static void on_topic_changed(struct subscription *base)
{
    interest_mark_due(container_of(base, struct interest, base));
}

struct interest *interests_find(const struct interests *s, enum resource_type type, struct str name)
{
    const struct hash_table *table = &s->type[type].by_name;

    for (struct hash_node *node = hash_first(table, topic_hash(type, name)); node != NULL; node = hash_next(node)) {
        struct interest *i = container_of(node, struct interest, by_name);

        if (str_eq(i->base.topic->name, name)) {
            return i;
        }
    }
    return NULL;
}

static struct interest *add(struct interests *s, enum resource_type type, struct str name)
{
    struct interest *i = mem_alloc(sizeof *i);

    i->owner = s;
    i->base.on_changed = on_topic_changed;
    list_init(&i->due);
    list_init(&i->base.in_topic);
    topics_subscribe(s->topics, &i->base, type, name);
    hash_insert(&s->type[type].by_name, &i->by_name, topic_hash(type, name));
    s->count++;
    metric_move(s->metrics->type[type].subscriptions, 1);
    return i;
}

enum interest_outcome interests_need(struct interests *s, enum resource_type type, struct str name,
                                     struct interest **ret_interest)
{
    struct interest *i;

    if (name.len == 0 || name.len > INTEREST_NAME_MAX) {
        return INTEREST_BAD_NAME;
    }
    i = interests_find(s, type, name);
    if (i == NULL && s->count >= s->max) {
        return INTEREST_TOO_MANY;
    }
    *ret_interest = i != NULL ? i : add(s, type, name);
    return INTEREST_TAKEN;
}

bool interests_begin_pass(struct interests *s)
{
    bool is_due = false;

    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        is_due = is_due || !list_is_empty(&s->type[i].waiting);
        list_splice(&s->type[i].now, &s->type[i].waiting);
    }
    return is_due;
}

struct resource *interest_lookup(const struct interest *i, const struct view *view, bool *ret_is_news)
{
    struct resource *res = resources_lookup(i->owner->resources, i->base.topic->type, i->base.topic->name, view);

    if (res == NULL) {
        *ret_is_news = i->told != TOLD_ABSENT;
    } else {
        *ret_is_news = i->told != TOLD_VERSION || strcmp(i->version, res->version) != 0;
    }
    return res;
}

void interest_note(struct interest *i, const struct resource *res)
{
    i->told = res != NULL ? TOLD_VERSION : TOLD_ABSENT;
    if (res != NULL) {
        memcpy(i->version, res->version, sizeof i->version);
    }
}

void interests_init(struct interests *s, struct topics *t, struct resources *r, struct api_metrics *m, uint64_t max)
{
    *s = (struct interests){.resources = r, .topics = t, .metrics = m, .max = max};
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        hash_init(&s->type[i].by_name);
        list_init(&s->type[i].waiting);
        list_init(&s->type[i].now);
    }
}

static void free_visited(struct hash_node *node, void *ctx)
{
    (void)ctx;
    interest_free(container_of(node, struct interest, by_name));
}

void interests_deinit(struct interests *s)
{
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        hash_for_each(&s->type[i].by_name, free_visited, NULL);
        hash_deinit(&s->type[i].by_name);
    }
}
