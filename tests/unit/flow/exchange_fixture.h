/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An exchange between raw sessions: a client on a socket pair, a worker in the middle, and endpoints that are listeners on loopback,
 * whose connections the test answers. No detection, no redirection, no api: the snapshot is made by hand.
 *
 *     h2 fixture's `client` ──▶ http_side of a connection ──▶ exchange, attempt ──▶ place[0], place[1] …
 *
 * What `client` and the endpoints hear is noted as in the tests of h2/ (fixture.h there). At the end nothing may live any more.
 */

#include "flow/connection.h"
#include "flow/http_side.h"
#include "flow/worker.h"
#include "h2/fixture.h"

#define PLACES_MAX 3
#define CONNECTIONS_MAX 6

/* Where an endpoint listens, and the connections that came. */
struct place {
    int listener; /* -1: refuses */
    struct addr addr;
    struct end connections[CONNECTIONS_MAX];
    unsigned count;
    unsigned taken[CONNECTIONS_MAX]; /* of each connection's requests, by next_request */
};

extern struct worker *worker;
extern struct flow_options flow_options; /* changed before exchange_start_* */
extern struct place place[PLACES_MAX];
extern struct connection *connection; /* the client's, while it lives */

void exchange_setup(void);
void exchange_teardown(void); /* asserts that no object lives */

/* The client's connection, outbound, to a Service of the first `places` places (0: no endpoint). */
void start_outbound(unsigned places);

/* The client's connection, inbound; the app is place[0]. */
void start_inbound(void);

/* Turns until nothing more happens, taking connections in. */
void settle_flow(void);

/* The next request that came to any of the places; `ret_place` says which. Fails the test if there is none. */
struct heard *next_request(struct place **ret_place);
bool has_next_request(void);

/* A gRPC request with this body; more fields from names and values that end with NULL. */
struct h2_headers *grpc_block(const char *name, ...);
void ask(struct heard *heard, const char *body);

/* An answer of 200, `body`, grpc-status 0. */
void answer(struct heard *request, const char *body);

/* What the worker has counted for the Service (outbound). */
uint64_t failures(enum close_reason reason);
uint64_t retries(enum close_reason reason);
