/* SPDX-License-Identifier: Apache-2.0 */

#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/object.h"
#include "flow/connection.h"
#include "net/socket.h"
#include "snapshot.h"
#include "sockets.h"
#include "xds/channel.h"

#define TEXT_MAX ((size_t)16 * 1024 * 1024)
#define OPTIONS_MAX 30
#define QUIET usec_from_s(25) /* longer than any timer that holds a connection whose ends are gone */

struct world world;

static struct metrics *metrics;
static struct load_registry *loads;
static struct flow_options usual_options;
static struct flow_options bare_options;
static struct loop *control; /* it and discovery outlive the inputs: an address that nobody asks about is forgotten */
static struct discovery *discovery;
static int64_t fds_before;

/* --- options --- */

/* As the program would, so that nothing is off here that is on there. */
static void read_options(struct str flags, struct flow_options *ret_options)
{
    struct proxy_settings settings;
    char *argv[OPTIONS_MAX + 1] = {mem_strdup("proxy")};
    char *no_env[] = {NULL};
    struct text out;
    struct str flag;
    int argc = 1;

    text_init(&out, 4096);
    while (argc < OPTIONS_MAX && str_split(&flags, ' ', &flag)) {
        argv[argc++] = mem_copy_string(flag.p, flag.len);
    }
    enum settings_outcome outcome = settings_parse(&proxy_program, argc, argv, no_env, &settings, &out);

    assert(outcome == SETTINGS_OK);
    config_flow_options(&settings, ret_options);
    settings_deinit(&proxy_program, &settings);
    text_deinit(&out);
    while (argc > 0) {
        mem_free(argv[--argc]);
    }
}

static void read_options_once(void)
{
    read_options(STR("--endpoint-metrics --forwarded-for --max-streams=20"), &usual_options);
    read_options(STR("--endpoint-metrics --max-streams=4 --pool-connections=2 --pool-waiting=3 --pool-idle=5s "
                     "--max-header-bytes=8KiB --retry-buffer-bytes=1KiB --retry-process-bytes=2KiB "
                     "--stream-window-bytes=16KiB --connection-window-bytes=65535 --request-timeout=20s --response-timeout=9s "
                     "--stream-idle-timeout=7s --pool-max-age=30s --pool-requests=5 --client-keepalive-after=20s"),
                 &bare_options);
}

/* --- life --- */

static void begin_once(void)
{
    static const struct discovery_options no_api = {.api_address = "", .node_id = "fuzz"};

    if (control == NULL) {
        read_options_once();
        clock_reset();
        control = loop_new(1);
        discovery = discovery_new(control, &no_api);
    }
}

static void set_log(bool is_talkative)
{
    struct text error;
    int r;

    text_init(&error, 100);
    r = log_set_levels(is_talkative ? STR("trace") : STR("error"), &error);
    assert(r == 0);
}

void world_begin(bool is_bare, bool is_talkative)
{
    set_log(is_talkative);
    begin_once();
    fds_before = socket_count_open_fds();
    clock_reset();
    memset(world.dialling, 0, sizeof world.dialling);
    memset(world.plan, 0, sizeof world.plan);
    memset(world.answers, 0, sizeof world.answers);
    world.recv_max = 0;
    world.send_max = 0;
    world.requests_started = 0;
    world.requests_finished = 0;
    sockets_reset();
    for (unsigned i = 0; i < WORLD_PEERS; i++) {
        world.peers[i].fd = -1;
    }
    metrics = metrics_new("f_", flow_families, FLOW_FAMILY_COUNT, 1);
    loads = load_registry_new();
    world.worker = worker_new(0, is_bare ? &bare_options : &usual_options, metrics_shard(metrics, 0), discovery, loads, 1);
}

/* --- the end --- */

/* Lines `name{…} value` must all be 0. */
static void expect_zero(struct str all, struct str name)
{
    struct str line;

    while (str_split(&all, '\n', &line)) {
        if (str_starts_with(line, name) && !str_ends_with(line, STR(" 0"))) {
            fprintf(stderr, "%.*s\n", (int)line.len, line.p);
            abort();
        }
    }
}

static void expect_none(enum object_kind kind)
{
    if (object_live(kind) != 0) {
        fprintf(stderr, "%s left: %lld\n", object_label(kind), (long long)object_live(kind));
        abort();
    }
}

void world_quiesce(void)
{
    struct text text;

    for (unsigned i = 0; i < WORLD_PEERS; i++) {
        peer_close(&world.peers[i]);
    }
    for (unsigned i = 0; i < WORLD_ENDPOINTS; i++) {
        world.dialling[i] = DIAL_REFUSE_LATER; /* a new connection would be kept for its idle time */
    }
    world.recv_max = 0;
    world.send_max = 0;
    world_pass(QUIET);
    assert(world.worker->connection_count == 0);
    assert(world.worker->copies.used_bytes == 0);
    expect_none(OBJECT_CONNECTION);
    expect_none(OBJECT_EXCHANGE);
    expect_none(OBJECT_H2_SESSION);
    expect_none(OBJECT_H2_STREAM);
    expect_none(OBJECT_RELAY);
    assert(world.requests_started == world.requests_finished);

    text_init(&text, TEXT_MAX);
    cluster_table_refresh_metrics(world.worker->clusters);
    metrics_write(metrics, &text);
    expect_zero((struct str){text.p, text.len}, STR("f_connections_active"));
    expect_zero((struct str){text.p, text.len}, STR("f_requests_in_flight"));
    expect_zero((struct str){text.p, text.len}, STR("f_endpoint_in_flight"));
    text_deinit(&text);
}

void world_end(void)
{
    worker_free(world.worker);
    loop_turn(control, false);
    loop_turn(control, false);
    for (unsigned i = 0; i < WORLD_PEERS; i++) {
        peer_close(&world.peers[i]);
    }
    assert(world.requests_started == world.requests_finished);
    load_registry_free(loads);
    metrics_free(metrics);
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        expect_none((enum object_kind)kind);
    }
    assert(clock_timers() == 0);
    assert(socket_count_open_fds() == fds_before);
}

/* --- acts --- */

void world_turn(void)
{
    loop_turn(world.worker->loop, false);
    for (unsigned i = 0; i < WORLD_PEERS; i++) {
        peer_turn(&world.peers[i]);
    }
}

void world_pass(struct usec time)
{
    clock_advance(world.worker->loop, time, world_turn);
}

struct peer *world_connect(enum direction d, unsigned destination)
{
    struct peer *p = sockets_free_peer();
    struct addr from = {.family = ADDR_V4, .port = 40000, .bytes = {10, 244, 0, 9}};
    int fd;

    if (p == NULL) {
        return NULL;
    }
    fd = sockets_pair(p, false, PLAN_ANSWER);
    sockets_set_destination(destination);
    connection_accept(world.worker, d, fd, &from);
    return p;
}

struct told {
    struct addr addr;
    struct snapshot *snapshot;
};

static void take_answer(void *arg)
{
    struct told *t = arg;

    directory_on_answer(world.worker->directory, &t->addr, t->snapshot);
    mem_free(t);
}

void world_tell(unsigned service)
{
    const struct answer *a = &world.answers[service];

    if (a->is_known) {
        struct told *t = mem_alloc(sizeof *t);

        sockets_address(service, &t->addr);
        t->snapshot = make_snapshot(&t->addr, service, a);
        loop_post(world.worker->loop, take_answer, t);
    }
}

void world_answer(unsigned service, const struct answer *a)
{
    world.answers[service % WORLD_SERVICES] = *a;
    world_tell(service % WORLD_SERVICES);
}

void world_look(void)
{
    struct text text;

    text_init(&text, TEXT_MAX);
    cluster_table_refresh_metrics(world.worker->clusters);
    cluster_table_print(world.worker->clusters, &text);
    text_deinit(&text);
}

struct peer *world_peer(unsigned choice)
{
    for (unsigned i = 0; i < WORLD_PEERS; i++) {
        struct peer *p = &world.peers[(choice + i) % WORLD_PEERS];

        if (p->fd >= 0) {
            return p;
        }
    }
    return NULL;
}

void world_close_peer(struct peer *p, bool is_reset)
{
    if (is_reset) {
        sockets_reset_peer(p);
    }
    peer_close(p);
}
