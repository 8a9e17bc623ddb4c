/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/topics.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

void topics_init(struct topics *t)
{
    hash_init(&t->by_name);
}

void topics_deinit(struct topics *t)
{
    assert(t->by_name.count == 0);
    hash_deinit(&t->by_name);
}

uint64_t topic_hash(enum resource_type type, struct str name)
{
    return hash_bytes(name.p, name.len) + (uint64_t)type * 0x9e3779b97f4a7c15u;
}

static struct topic *find(const struct topics *t, enum resource_type type, struct str name, uint64_t hash)
{
    for (struct hash_node *node = hash_first(&t->by_name, hash); node != NULL; node = hash_next(node)) {
        struct topic *topic = container_of(node, struct topic, by_name);

        if (topic->type == type && str_eq(topic->name, name)) {
            return topic;
        }
    }
    return NULL;
}

static struct topic *topic_new(enum resource_type type, struct str name)
{
    struct topic *topic = mem_alloc(sizeof *topic + name.len);
    char *bytes = (char *)(topic + 1);

    if (name.len > 0) {
        memcpy(bytes, name.p, name.len);
    }
    list_init(&topic->subscriptions);
    topic->type = type;
    topic->name = (struct str){bytes, name.len};
    return topic;
}

void topics_subscribe(struct topics *t, struct subscription *s, enum resource_type type, struct str name)
{
    uint64_t hash = topic_hash(type, name);
    struct topic *topic = find(t, type, name, hash);

    if (topic == NULL) {
        topic = topic_new(type, name);
        hash_insert(&t->by_name, &topic->by_name, hash);
    }
    list_push_back(&topic->subscriptions, &s->in_topic);
    s->topic = topic;
}

void topics_cancel(struct topics *t, struct subscription *s)
{
    struct topic *topic = s->topic;

    list_unlink(&s->in_topic);
    s->topic = NULL;
    if (list_is_empty(&topic->subscriptions)) {
        hash_remove(&t->by_name, &topic->by_name);
        mem_free(topic);
    }
}

void topics_changed(const struct topics *t, enum resource_type type, struct str name)
{
    struct topic *topic = find(t, type, name, topic_hash(type, name));

    if (topic == NULL) {
        return;
    }
    list_for_each(node, &topic->subscriptions) {
        struct subscription *s = list_entry(node, struct subscription, in_topic);

        s->on_changed(s);
    }
}
