/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The state-of-the-world protocol's rules, as gRPC's own clients speak it: each request names everything of its type; a response for
 * Listeners and Clusters names everything that exists (what is left out does not), one for Routes and Endpoints only what is news.
 *
 * Types are told make before break: Clusters, Endpoints, Listeners, Routes. An empty list of names, and "*", ask for nothing: gRPC
 * clients never want everything.
 *
 * Owner:   embedded in the stream.
 * Threads: the loop's.
 * Errors:  sotw_state_name says which rule a name broke.
 * Limits:  those of interest.h. A response for Listeners or Clusters is whole, however large; others stop at DELTA_RESPONSE_BYTES.
 */

#include "api/xds/delta_response.h"
#include "api/xds/interest.h"

struct sotw_state {
    struct interests names;
    uint64_t round; /* of the request being read */
    unsigned step;
};

/* `on_due` as in interest.h. */
void sotw_state_init(struct sotw_state *s, struct topics *t, struct resources *r, struct api_metrics *m, uint64_t max,
                     void (*on_due)(struct interests *names));
void sotw_state_deinit(struct sotw_state *s);

/* A request: begin, each of its names, end. Names that it leaves out are forgotten; new ones are due. */
void sotw_state_begin(struct sotw_state *s);
enum interest_outcome sotw_state_name(struct sotw_state *s, enum resource_type type, struct str name) MUST_CHECK;
void sotw_state_end(struct sotw_state *s, enum resource_type type);

/*
 * Gathers the next response into the empty `ret_response` and counts it as told. It may be empty, when nothing that was asked for
 * exists. False when nothing is due, or nothing may be told yet because the resources are not synced.
 */
bool sotw_state_next(struct sotw_state *s, const struct view *view, enum resource_type *ret_type,
                     struct delta_response *ret_response) MUST_CHECK;
