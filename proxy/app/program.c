/* SPDX-License-Identifier: Apache-2.0 */

#include "app/program.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "app/admin.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/socket.h"
#include "version.h"

#define API_PATIENCE usec_from_s(2) /* /ready waits no longer for the api's first answer */
#define DESCRIPTORS_OWN 32          /* what the program itself has open */
#define DESCRIPTORS_WORKER 8        /* each worker */
#define DESCRIPTORS_SPARE 256       /* or an eighth of the limit, if that is less */
#define DRAIN_POLL usec_from_ms(100)

/* Two descriptors for each, and some left for the pools, the api, the admin port and the pipes: accepting more clients never takes from
 * those that are being served what their servers need, nor from the probes. */
static int64_t connections_allowed(const struct proxy_settings *s)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT32_MAX) {
        limit.rlim_cur = INT32_MAX;
    }
    int64_t descriptors = (int64_t)limit.rlim_cur;
    int64_t spare = descriptors / 8 < DESCRIPTORS_SPARE ? descriptors / 8 : DESCRIPTORS_SPARE;
    int64_t allowed = (descriptors - spare - DESCRIPTORS_OWN - DESCRIPTORS_WORKER * (int64_t)s->workers) / 2;

    allowed = allowed > 1 ? allowed : 1;
    return s->max_connections > 0 && (int64_t)s->max_connections < allowed ? (int64_t)s->max_connections : allowed;
}

bool program_is_ready(const struct program *p)
{
    if (p->state != PROGRAM_RUNNING) {
        return false;
    }
    return p->settings->api_address[0] == '\0' || discovery_status(p->discovery).is_connected ||
           usec_since(loop_clock(), p->started).v >= API_PATIENCE.v;
}

/* --- the end --- */

static void stop(struct program *p)
{
    p->state = PROGRAM_STOPPED;
    loop_stop(p->control);
}

/* A worker that does not answer counts as busy. */
static uint64_t open_connections(struct program *p)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < p->worker_count; i++) {
        count += worker_connections(p->workers[i]);
    }
    return count;
}

static void close_acceptor_here(struct worker *w, void *arg)
{
    (void)w;
    acceptor_close(arg);
}

static void drain(struct program *p)
{
    p->state = PROGRAM_DRAINING;
    log_info(LOG_APP, NULL, "draining: %" PRIu64 " connections are open", open_connections(p));
    worker_call(p->workers[0], close_acceptor_here, &p->acceptor, usec_from_s(5));
    for (unsigned i = 0; i < p->worker_count; i++) {
        worker_drain(p->workers[i]);
    }
    p->grace_until = usec_add(loop_clock(), p->settings->drain_grace);
}

static void on_shutdown_timer(struct timer *t)
{
    struct program *p = container_of(t, struct program, shutdown);
    uint64_t left;

    if (p->state == PROGRAM_LEAVING) {
        drain(p);
    }
    left = open_connections(p);
    if (left == 0) {
        log_info(LOG_APP, NULL, "drained");
        stop(p);
    } else if (!usec_before(loop_clock(), p->grace_until)) {
        log_warn(LOG_APP, NULL, "the drain grace is over: closing %" PRIu64 " connections", left);
        stop(p);
    } else {
        timer_set(&p->shutdown, DRAIN_POLL);
    }
}

static void on_signal(struct signals *s, int signo)
{
    struct program *p = container_of(s, struct program, signals);

    if (signo == SIGHUP || signo == SIGUSR1) {
        return; /* nothing to reload, and no reason to die when a terminal closes */
    }
    if (p->state != PROGRAM_RUNNING) {
        log_warn(LOG_APP, NULL, "told to stop again: stopping at once");
        stop(p);
        return;
    }
    p->state = PROGRAM_LEAVING;
    log_info(LOG_APP, NULL, "told to stop: not ready any more, draining in %.1f s", usec_seconds(p->settings->drain_delay));
    timer_set(&p->shutdown, p->settings->drain_delay);
}

/* --- the beginning --- */

static void log_listen_failure(const char *setting, const struct addr *addr, int error)
{
    char text[ADDR_TEXT_SIZE];

    log_error(LOG_APP, NULL, "%s %s: %s", setting, addr_format(addr, text), strerror(-error));
}

static int open_ports(struct program *p)
{
    struct addr failed = {0};
    int r = acceptor_open(p->workers, p->worker_count, &p->acceptor, &failed);

    if (r < 0) {
        log_listen_failure(failed.port == p->options.inbound.port ? "--inbound-address" : "--outbound-address", &failed, r);
        return r;
    }
    r = admin_open(p);
    if (r < 0) {
        log_listen_failure("--admin-address", &p->settings->admin_address, r);
    }
    return r;
}

static void make_parts(struct program *p)
{
    struct discovery_options discovery;

    config_flow_options(p->settings, &p->options);
    p->options.max_connections = connections_allowed(p->settings);
    byte_budget_init(&p->buffers, p->settings->buffer_bytes);
    p->options.buffers = &p->buffers;
    config_discovery_options(p->settings, &discovery);
    p->worker_count = (unsigned)p->settings->workers;
    p->control = loop_new(loop_random_seed());
    p->metrics = metrics_new(PROGRAM_METRIC_PREFIX, program_families, PROGRAM_FAMILY_COUNT, p->worker_count + 1);
    program_metrics_init(&p->own, metrics_shard(p->metrics, p->worker_count));
    p->loads = load_registry_new();
    p->discovery = discovery_new(p->control, &discovery);
    p->workers = mem_alloc_array(p->worker_count, sizeof(struct worker *));
    for (unsigned i = 0; i < p->worker_count; i++) {
        p->workers[i] = worker_new(i, &p->options, metrics_shard(p->metrics, i), p->discovery, p->loads, loop_random_seed());
    }
    timer_init(&p->shutdown, p->control, on_shutdown_timer);
}

static int start_workers(struct program *p)
{
    int r = 0;

    for (unsigned i = 0; i < p->worker_count && r == 0; i++) {
        r = worker_start(p->workers[i]);
    }
    if (r < 0) {
        log_error(LOG_APP, NULL, "worker thread: %s", strerror(-r));
    }
    return r;
}

struct program *program_new(const struct proxy_settings *settings)
{
    struct program *p = mem_alloc(sizeof *p);
    int r;

    signal(SIGPIPE, SIG_IGN);
    if (socket_raise_fd_limit() < 0) {
        log_warn(LOG_APP, NULL, "the descriptor limit could not be raised");
    }
    p->settings = settings;
    p->started = loop_clock();
    make_parts(p);
    r = signals_start(&p->signals, p->control, on_signal);
    if (r < 0) {
        log_error(LOG_APP, NULL, "signals: %s", strerror(-r));
    }
    if (r < 0 || open_ports(p) < 0 || start_workers(p) < 0) {
        program_free(p);
        return NULL;
    }
    discovery_start(p->discovery);
    log_info(LOG_APP, NULL, "outrigger-proxy %s runs: %u workers, api %s", OUTRIGGER_VERSION, p->worker_count,
             settings->api_address[0] != '\0' ? settings->api_address : "none");
    return p;
}

void program_run(struct program *p)
{
    loop_run(p->control);
}

void program_free(struct program *p)
{
    timer_stop(&p->shutdown);
    http_server_close(&p->admin);
    if (p->acceptor != NULL) {
        worker_call(p->workers[0], close_acceptor_here, &p->acceptor, usec_from_s(5));
    }
    for (unsigned i = 0; i < p->worker_count; i++) {
        worker_stop(p->workers[i]);
    }
    for (unsigned i = 0; i < p->worker_count; i++) {
        worker_free(p->workers[i]);
    }
    mem_free(p->workers);
    discovery_free(p->discovery);
    signals_stop(&p->signals);
    load_registry_free(p->loads);
    program_metrics_deinit(&p->own);
    metrics_free(p->metrics);
    loop_free(p->control);
    mem_free(p);
}
