/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/delta_state.h"

#include <string.h>

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

enum interest_outcome delta_state_subscribe(struct delta_state *s, enum resource_type type, struct str name)
{
    struct interest *i;
    enum interest_outcome outcome;

    if (str_eq(name, STR("*"))) {
        return INTEREST_TAKEN;
    }
    outcome = interests_need(&s->names, type, name, &i);
    if (outcome == INTEREST_TAKEN) {
        i->told = TOLD_NOTHING;
        interest_mark_due(i);
    }
    return outcome;
}

void delta_state_unsubscribe(struct delta_state *s, enum resource_type type, struct str name)
{
    struct interest *i = interests_find(&s->names, type, name);

    if (i != NULL) {
        interest_free(i);
    }
}

void delta_state_hold(struct delta_state *s, enum resource_type type, struct str name, struct str version)
{
    struct interest *i = interests_find(&s->names, type, name);

    if (i == NULL || version.len == 0) {
        return;
    }
    i->told = TOLD_VERSION;
    memset(i->version, 0, sizeof i->version);
    /* One that is too long is not of our making: "" differs from all of ours. */
    if (version.len < sizeof i->version) {
        memcpy(i->version, version.p, version.len);
    }
}

/* --- passes --- */

/* Adds what this name needs told, if anything. True when the name is done with in this step. */
static bool tell(struct interest *i, const struct view *view, bool keeps_absent, struct delta_response *response)
{
    bool is_news;
    struct resource *res = interest_lookup(i, view, &is_news);

    if (!is_news) {
        resource_unref(&res);
        return true;
    }
    if (res == NULL && keeps_absent) {
        return false;
    }
    interest_note(i, res);
    if (res == NULL) {
        delta_response_remove(response, i->base.topic->name);
    } else {
        delta_response_add(response, &res);
    }
    return true;
}

/* Gathers one response of one step. True when the step is over. */
static bool run_step(struct delta_state *s, const struct step *step, const struct view *view, struct delta_response *response)
{
    list_for_each(node, &s->names.type[step->type].now) {
        struct interest *i = list_entry(node, struct interest, due);

        if (delta_response_is_full(response)) {
            return false;
        }
        if (tell(i, view, step->keeps_absent, response)) {
            list_unlink(&i->due);
        }
    }
    return true;
}

static bool begin_pass(struct delta_state *s)
{
    bool is_due = interests_begin_pass(&s->names);

    s->step = is_due ? 0 : STEP_COUNT;
    return is_due;
}

bool delta_state_next(struct delta_state *s, const struct view *view, enum resource_type *ret_type,
                      struct delta_response *ret_response)
{
    if (!resources_is_synced(s->names.resources)) {
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

void delta_state_init(struct delta_state *s, struct topics *t, struct resources *r, struct api_metrics *m, uint64_t max,
                      void (*on_due)(struct interests *names))
{
    interests_init(&s->names, t, r, m, max);
    s->names.on_due = on_due;
    s->step = STEP_COUNT;
}

void delta_state_deinit(struct delta_state *s)
{
    interests_deinit(&s->names);
}
