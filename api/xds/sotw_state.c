/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/sotw_state.h"

static const enum resource_type steps[] = {RESOURCE_CLUSTER, RESOURCE_ENDPOINTS, RESOURCE_LISTENER, RESOURCE_ROUTE};

#define STEP_COUNT ((unsigned)ARRAY_LEN(steps)) /* as the step: no pass is on */

/* --- requests --- */

void sotw_state_begin(struct sotw_state *s)
{
    s->round++;
}

enum interest_outcome sotw_state_name(struct sotw_state *s, enum resource_type type, struct str name)
{
    struct interest *i;
    enum interest_outcome outcome;

    if (str_eq(name, STR("*"))) {
        return INTEREST_TAKEN;
    }
    outcome = interests_need(&s->names, type, name, &i);
    if (outcome == INTEREST_TAKEN) {
        i->round = s->round;
        if (i->told == TOLD_NOTHING) {
            interest_mark_due(i);
        }
    }
    return outcome;
}

static void forget_unnamed(struct hash_node *node, void *ctx)
{
    const struct sotw_state *s = ctx;
    struct interest *i = container_of(node, struct interest, by_name);

    if (i->round != s->round) {
        interest_free(i);
    }
}

void sotw_state_end(struct sotw_state *s, enum resource_type type)
{
    hash_for_each(&s->names.type[type].by_name, forget_unnamed, s);
}

/* --- Listeners and Clusters: all or nothing --- */

struct gathering {
    const struct view *view;
    struct delta_response *response;
};

static void gather(struct hash_node *node, void *ctx)
{
    struct gathering *g = ctx;
    struct interest *i = container_of(node, struct interest, by_name);
    bool is_news;
    struct resource *res = interest_lookup(i, g->view, &is_news);

    interest_note(i, res);
    if (res != NULL) {
        delta_response_add(g->response, &res);
    }
}

/* True when there is a response, which may be empty. */
static bool tell_all(struct sotw_state *s, enum resource_type type, const struct view *view, struct delta_response *response)
{
    struct gathering g = {.view = view, .response = response};
    bool has_news = false;
    struct list *node;

    while ((node = list_pop_front(&s->names.type[type].now)) != NULL) {
        bool is_news;
        struct resource *res = interest_lookup(list_entry(node, struct interest, due), view, &is_news);

        has_news = has_news || is_news;
        resource_unref(&res);
    }
    if (has_news) {
        hash_for_each(&s->names.type[type].by_name, gather, &g);
    }
    return has_news;
}

/* --- Routes and Endpoints: what is news --- */

static bool tell_news(struct sotw_state *s, enum resource_type type, const struct view *view, struct delta_response *response)
{
    struct list *node;

    while (!delta_response_is_full(response) && (node = list_pop_front(&s->names.type[type].now)) != NULL) {
        struct interest *i = list_entry(node, struct interest, due);
        bool is_news;
        struct resource *res = interest_lookup(i, view, &is_news);

        interest_note(i, res);
        if (res != NULL && is_news) {
            delta_response_add(response, &res);
        }
        resource_unref(&res);
    }
    return !delta_response_is_empty(response);
}

/* --- passes --- */

static bool is_whole(enum resource_type type)
{
    return type == RESOURCE_LISTENER || type == RESOURCE_CLUSTER;
}

static bool begin_pass(struct sotw_state *s)
{
    bool is_due = interests_begin_pass(&s->names);

    s->step = is_due ? 0 : STEP_COUNT;
    return is_due;
}

bool sotw_state_next(struct sotw_state *s, const struct view *view, enum resource_type *ret_type,
                     struct delta_response *ret_response)
{
    if (!resources_is_synced(s->names.resources)) {
        return false;
    }
    while (s->step < STEP_COUNT || begin_pass(s)) {
        enum resource_type type = steps[s->step];
        bool is_told = is_whole(type) ? tell_all(s, type, view, ret_response) : tell_news(s, type, view, ret_response);

        if (list_is_empty(&s->names.type[type].now)) {
            s->step++;
        }
        if (is_told) {
            *ret_type = type;
            return true;
        }
    }
    return false;
}

/* --- life --- */

void sotw_state_init(struct sotw_state *s, struct topics *t, struct resources *r, struct api_metrics *m, uint64_t max,
                     void (*on_due)(struct interests *names))
{
    interests_init(&s->names, t, r, m, max);
    s->names.on_due = on_due;
    s->step = STEP_COUNT;
}

void sotw_state_deinit(struct sotw_state *s)
{
    interests_deinit(&s->names);
}
