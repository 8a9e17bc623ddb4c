/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One worker of the proxy, and everything around it in one process and thread: clients, endpoints, discovery's answers, time. The
 * worker, its loop, HTTP/2 and flow are the real ones; at link time (--wrap) sockets become socket pairs whose other ends are peers,
 * redirection and dialling lead to the peers, and time is clock.h's.
 *
 * Limits:  WORLD_PEERS connections at a time; past it clients are not opened, and endpoints refuse.
 */

#include "clock.h"
#include "flow/worker.h"
#include "peer.h"

#define WORLD_PEERS 16
#define WORLD_SERVICES 2 /* addresses that discovery may know something about */
#define WORLD_ENDPOINTS 4

/* What an endpoint does with a dial. */
enum dialling { DIAL_ACCEPT, DIAL_REFUSE, DIAL_REFUSE_LATER, DIAL_HANG, DIAL_KIND_COUNT };

/* What discovery says about a service. */
struct answer {
    bool is_known;
    enum destination_kind kind;
    unsigned endpoints; /* bits: which ones the first backend has; the second has the others. 0x80: they are new pods */
    unsigned draining;
};

struct world {
    struct worker *worker;
    struct answer answers[WORLD_SERVICES];
    struct peer peers[WORLD_PEERS];
    enum dialling dialling[WORLD_ENDPOINTS];
    enum plan plan[WORLD_ENDPOINTS];
    size_t recv_max; /* bytes the proxy gets in one recv; 0: all there are */
    size_t send_max;
    uint64_t requests_started;
    uint64_t requests_finished;
};

extern struct world world;

/* `is_bare`: with the smallest buffers and limits that the settings allow. `is_talkative`: every line of the log is formatted. */
void world_begin(bool is_bare, bool is_talkative);

/* Both ends of everything close; then nothing may be left but what retention keeps. */
void world_quiesce(void);

/* Frees the worker, with whatever is still open; then nothing may be left at all. */
void world_end(void);

/* A new client's connection to a service (0 … WORLD_SERVICES − 1), or to one of the endpoints by its own address; NULL: no room. */
struct peer *world_connect(enum direction d, unsigned destination);

/* Discovery knows this from now on: it tells who has asked, and who will ask. */
void world_answer(unsigned service, const struct answer *a);
void world_tell(unsigned service); /* what it knows, if it knows something */

/* Somebody looks at metrics and at what the balancer thinks. */
void world_look(void);

/* The nth open peer; NULL if there is none. */
struct peer *world_peer(unsigned choice);

/* Ends it; `is_reset`: the proxy sees a reset after what came before. */
void world_close_peer(struct peer *p, bool is_reset);

/* One turn of the loop, and one of each peer. */
void world_turn(void);
void world_pass(struct usec time);
