/* SPDX-License-Identifier: Apache-2.0 */

#include "simulation.h"

#include <assert.h>
#include <math.h>

#include "base/container.h"

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){.now = usec_from_s(1)};
    rng_init(&sim->picks, seed);
    rng_init(&sim->noise, seed + 1000003);
    endpoint_set_init(&sim->set);
}

void sim_deinit(struct sim *sim)
{
    endpoint_set_deinit(&sim->set);
}

void sim_add(struct sim *sim, size_t count, struct usec service, double spread)
{
    for (size_t i = 0; i < count; i++) {
        assert(sim->server_count < SIM_SERVERS_MAX);
        struct sim_server *s = &sim->servers[sim->server_count++];

        *s = (struct sim_server){.service = service, .spread = spread};
        endpoint_stats_init(&s->stats, &s->load, &balance_policy_default, sim->now);
        endpoint_set_add(&sim->set, &s->stats);
    }
}

void sim_remove(struct sim *sim, size_t server)
{
    endpoint_set_remove(&sim->set, &sim->servers[server].stats);
}

/* About normal, mean 0, deviation 1: the sum of twelve uniform numbers. */
static double gauss(struct rng *rng)
{
    double sum = -6;

    for (unsigned i = 0; i < 12; i++) {
        sum += (double)rng_below(rng, 1u << 30) / (double)(1u << 30);
    }
    return sum;
}

static void start(struct sim *sim)
{
    struct endpoint_stats *picked = balancer_pick(&sim->set, sim->now, &sim->picks, NULL, 0);

    assert(picked != NULL && sim->flight_count < SIM_FLIGHTS_MAX);
    struct sim_server *s = container_of(picked, struct sim_server, stats);
    struct sim_flight *f = &sim->flights[sim->flight_count++];

    *f = (struct sim_flight){.server = s, .started = sim->now};
    f->is_failure = rng_below(&sim->noise, 100) < s->fail_percent;
    double time = f->is_failure ? 1000 : (double)s->service.v * exp(s->spread * gauss(&sim->noise));
    f->ends = usec_add(sim->now, (struct usec){(uint64_t)time + 1});
    s->picked++;
    balancer_started(picked);
}

static void finish(struct sim *sim, size_t index)
{
    struct sim_flight f = sim->flights[index];
    struct endpoint_stats *s = &f.server->stats;

    sim->flights[index] = sim->flights[--sim->flight_count];
    sim->now = f.ends;
    balancer_ended(s, false);
    if (f.is_failure) {
        balancer_failed(&sim->set, s, sim->now, &sim->picks);
        sim->failures++;
        return;
    }
    balancer_latency(&sim->set, s, usec_since(f.ends, f.started), sim->now);
    balancer_succeeded(&sim->set, s, sim->now);
}

static size_t next_to_end(const struct sim *sim)
{
    size_t next = 0;

    for (size_t i = 1; i < sim->flight_count; i++) {
        next = usec_before(sim->flights[i].ends, sim->flights[next].ends) ? i : next;
    }
    return next;
}

void sim_run(struct sim *sim, unsigned requests, size_t concurrency)
{
    for (unsigned i = 0; i < requests; i++) {
        while (sim->flight_count >= concurrency) {
            finish(sim, next_to_end(sim));
        }
        start(sim);
    }
}

void sim_forget(struct sim *sim)
{
    sim->failures = 0;
    for (size_t i = 0; i < sim->server_count; i++) {
        sim->servers[i].picked = 0;
    }
}
