/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A service seen by one client, in simulated time: a fixed number of requests is always in flight, each goes where the balancer says,
 * and the server answers after its own time. Servers sleep rather than compute, so they do not slow each other's requests down.
 *
 * Owner:   embedded in the test; sim_init begins anew.
 * Limits:  SIM_SERVERS_MAX servers, SIM_FLIGHTS_MAX requests in flight.
 */

#include <stdbool.h>
#include <stddef.h>

#include "policy/balancer.h"

#define SIM_SERVERS_MAX 64
#define SIM_FLIGHTS_MAX 256

struct sim_server {
    struct endpoint_stats stats;
    struct load load;
    struct usec service;   /* typical time to answer */
    double spread;         /* of the logarithm of the time; 0: always the same */
    unsigned fail_percent; /* of its requests, which fail after a millisecond */
    unsigned picked;       /* requests given to it since sim_forget */
};

struct sim_flight {
    struct sim_server *server;
    struct usec started;
    struct usec ends;
    bool is_failure;
};

struct sim {
    struct usec now;
    struct rng picks;
    struct rng noise;
    struct endpoint_set set;
    struct sim_server servers[SIM_SERVERS_MAX];
    size_t server_count;
    struct sim_flight flights[SIM_FLIGHTS_MAX];
    size_t flight_count;
    unsigned failures; /* seen by the client since sim_forget */
};

void sim_init(struct sim *sim, uint64_t seed);
void sim_deinit(struct sim *sim);

/* Adds `count` servers with this typical time and spread. */
void sim_add(struct sim *sim, size_t count, struct usec service, double spread);

/* Takes a server out of the service; what it has in flight still ends. */
void sim_remove(struct sim *sim, size_t server);

/* Starts `requests` requests, each as soon as fewer than `concurrency` are in flight. */
void sim_run(struct sim *sim, unsigned requests, size_t concurrency);

/* Counts from here on. */
void sim_forget(struct sim *sim);
