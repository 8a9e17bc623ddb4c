/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/delta_state.h"

#include <string.h>

#include "base/mem.h"

enum told { TOLD_NOTHING, TOLD_VERSION, TOLD_ABSENT };

struct delta_subscription {
    struct subscription base;
    struct hash_node by_name; /* in the state's table */
    struct list due;          /* on the type's `waiting` or `now` */
    struct delta_state *state;
    enum told told;
    char version[17]; /* TOLD_VERSION: which */
};

/* A pass. Names of Clusters and Endpoints that are gone wait until no Route names them any more. */
static const struct step {
    enum resource_type type;
    bool keeps_absent; /* for the later step of the same type */
} steps[] = {
    {RESOURCE_CLUSTER, true}, {RESOURCE_ENDPOINTS, true}, {RESOURCE_LISTENER, false},
    {RESOURCE_ROUTE, false},  {RESOURCE_CLUSTER, false},  {RESOURCE_ENDPOINTS, false},
};

#define STEP_COUNT ((unsigned)ARRAY_LEN(steps)) /* as the step: no pass is on */

/* --- subscriptions --- */

static void subscription_free(struct delta_subscription *sub)
{
    struct delta_state *s = sub->state;
    enum resource_type type = sub->base.topic->type;

    hash_remove(&s->type[type].by_name, &sub->by_name);
    list_unlink(&sub->due);
    topics_cancel(s->topics, &sub->base);
    metric_move(s->metrics->type[type].subscriptions, -1);
    s->subscription_count--;
    mem_free(sub);
}

static void mark_due(struct delta_subscription *sub)
{
    struct delta_state *s = sub->state;

    if (!list_is_linked(&sub->due)) {
        list_push_back(&s->type[sub->base.topic->type].waiting, &sub->due);
    }
    s->on_due(s);
}

static void on_topic_changed(struct subscription *base)
{
    mark_due(container_of(base, struct delta_subscription, base));
}

static struct delta_subscription *find(const struct delta_state *s, enum resource_type type, struct str name)
{
    const struct hash_table *table = &s->type[type].by_name;

    for (struct hash_node *node = hash_first(table, topic_hash(type, name)); node != NULL; node = hash_next(node)) {
        struct delta_subscription *sub = container_of(node, struct delta_subscription, by_name);

        if (str_eq(sub->base.topic->name, name)) {
            return sub;
        }
    }
    return NULL;
}

static struct delta_subscription *add(struct delta_state *s, enum resource_type type, struct str name)
{
    struct delta_subscription *sub = mem_alloc(sizeof *sub);

    sub->state = s;
    sub->base.on_changed = on_topic_changed;
    list_init(&sub->due);
    list_init(&sub->base.in_topic);
    topics_subscribe(s->topics, &sub->base, type, name);
    hash_insert(&s->type[type].by_name, &sub->by_name, topic_hash(type, name));
    s->subscription_count++;
    metric_move(s->metrics->type[type].subscriptions, 1);
    return sub;
}

enum delta_outcome delta_state_subscribe(struct delta_state *s, enum resource_type type, struct str name)
{
    struct delta_subscription *sub;

    if (str_eq(name, STR("*"))) {
        return DELTA_TAKEN;
    }
    if (name.len == 0 || name.len > DELTA_NAME_MAX) {
        return DELTA_BAD_NAME;
    }
    sub = find(s, type, name);
    if (sub == NULL && s->subscription_count >= s->max_subscriptions) {
        return DELTA_TOO_MANY;
    }
    if (sub == NULL) {
        sub = add(s, type, name);
    }
    sub->told = TOLD_NOTHING;
    mark_due(sub);
    return DELTA_TAKEN;
}

void delta_state_unsubscribe(struct delta_state *s, enum resource_type type, struct str name)
{
    struct delta_subscription *sub = find(s, type, name);

    if (sub != NULL) {
        subscription_free(sub);
    }
}

void delta_state_hold(struct delta_state *s, enum resource_type type, struct str name, struct str version)
{
    struct delta_subscription *sub = find(s, type, name);

    if (sub == NULL || version.len == 0) {
        return;
    }
    sub->told = TOLD_VERSION;
    memset(sub->version, 0, sizeof sub->version);
    /* One that is too long is not of our making: "" differs from all of ours. */
    if (version.len < sizeof sub->version) {
        memcpy(sub->version, version.p, version.len);
    }
}

/* --- passes --- */

/* Adds what this name needs told, if anything. True when the name is done with in this step. */
static bool tell(struct delta_subscription *sub, const struct view *view, bool keeps_absent, struct delta_response *response)
{
    const struct topic *topic = sub->base.topic;
    struct resource *res = resources_lookup(sub->state->resources, topic->type, topic->name, view);

    if (res == NULL) {
        if (sub->told == TOLD_ABSENT) {
            return true;
        }
        if (keeps_absent) {
            return false;
        }
        sub->told = TOLD_ABSENT;
        delta_response_remove(response, topic->name);
        return true;
    }
    if (sub->told == TOLD_VERSION && strcmp(sub->version, res->version) == 0) {
        resource_unref(&res);
        return true;
    }
    sub->told = TOLD_VERSION;
    memcpy(sub->version, res->version, sizeof sub->version);
    delta_response_add(response, &res);
    return true;
}

/* Gathers one response of one step. True when the step is over. */
static bool run_step(struct delta_state *s, const struct step *step, const struct view *view, struct delta_response *response)
{
    list_for_each(node, &s->type[step->type].now) {
        struct delta_subscription *sub = list_entry(node, struct delta_subscription, due);

        if (delta_response_is_full(response)) {
            return false;
        }
        if (tell(sub, view, step->keeps_absent, response)) {
            list_unlink(&sub->due);
        }
    }
    return true;
}

/* False when nothing is due. */
static bool begin_pass(struct delta_state *s)
{
    bool is_due = false;

    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        is_due = is_due || !list_is_empty(&s->type[i].waiting);
        list_splice(&s->type[i].now, &s->type[i].waiting);
    }
    s->step = is_due ? 0 : STEP_COUNT;
    return is_due;
}

bool delta_state_next(struct delta_state *s, const struct view *view, enum resource_type *ret_type,
                      struct delta_response *ret_response)
{
    if (!resources_is_synced(s->resources)) {
        return false;
    }
    while (s->step < STEP_COUNT || begin_pass(s)) {
        const struct step *step = &steps[s->step];

        if (run_step(s, step, view, ret_response)) {
            s->step++;
        }
        if (!delta_response_is_empty(ret_response)) {
            *ret_type = step->type;
            return true;
        }
    }
    return false;
}

/* --- life --- */

void delta_state_init(struct delta_state *s, struct topics *t, struct resources *r, struct api_metrics *m,
                      uint64_t max_subscriptions)
{
    *s = (struct delta_state){
        .resources = r, .topics = t, .metrics = m, .max_subscriptions = max_subscriptions, .step = STEP_COUNT};
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        hash_init(&s->type[i].by_name);
        list_init(&s->type[i].waiting);
        list_init(&s->type[i].now);
    }
}

static void free_visited(struct hash_node *node, void *ctx)
{
    (void)ctx;
    subscription_free(container_of(node, struct delta_subscription, by_name));
}

void delta_state_deinit(struct delta_state *s)
{
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        hash_for_each(&s->type[i].by_name, free_visited, NULL);
        hash_deinit(&s->type[i].by_name);
    }
}
