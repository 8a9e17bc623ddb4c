/* SPDX-License-Identifier: Apache-2.0 */

#include "api/program.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/socket.h"
#include "version.h"

#include "api/admin.h"

/* --- from the source to the proxies --- */

static void push(struct debounce *d)
{
    struct program *p = container_of(d, struct program, push);
    struct world *w = model_commit(p->model);

    metric_set(p->metrics.services, (int64_t)model_service_count(p->model));
    metric_set(p->metrics.slices, (int64_t)model_slice_count(p->model));
    metric_set(p->metrics.synced, 1);
    ads_server_apply(p->ads, w);
    world_unref(&w);
}

static void on_model_change(void *ctx)
{
    struct program *p = ctx;

    debounce_poke(&p->push);
}

/* --- the end --- */

static void on_drained(void *ctx)
{
    struct program *p = ctx;

    loop_stop(p->loop);
}

static void on_grace_over(struct timer *t)
{
    struct program *p = container_of(t, struct program, grace);

    log_info(LOG_APP, NULL, "connections that have not ended are cut");
    loop_stop(p->loop);
}

static void on_signal(struct signals *s, int signo)
{
    struct program *p = container_of(s, struct program, signals);

    if (signo != SIGTERM && signo != SIGINT) {
        return;
    }
    if (p->is_stopping) {
        log_info(LOG_APP, NULL, "second signal: stopping at once");
        loop_stop(p->loop);
        return;
    }
    log_info(LOG_APP, NULL, "%s: ending the streams", strsignal(signo));
    p->is_stopping = true;
    ads_server_drain(p->ads, on_drained, p);
    timer_set(&p->grace, p->settings->shutdown_grace);
}

/* --- the start --- */

static int fail(const char *what, int error)
{
    log_error(LOG_APP, NULL, "%s: %s", what, strerror(-error));
    return error;
}

/* The source first: when a port opens, everything can be answered. */
static int start(struct program *p)
{
    struct ads_server_options options = api_settings_ads_options(p->settings);
    struct source_options source = {.manifests = p->settings->manifests, .kubeconfig = p->settings->kubeconfig};
    char listen[ADDR_TEXT_SIZE];
    int error = signals_start(&p->signals, p->loop, on_signal);

    if (error < 0) {
        return fail("signals", error);
    }
    error = source_start(&p->source, p->loop, &source, p->model, on_model_change, p);
    if (error < 0) {
        return error;
    }
    source_metrics_init(&p->source_metrics, p->metrics.shard, &p->source);
    error = ads_server_open(p->loop, &options, p->resources, &p->metrics, &p->ads);
    if (error < 0) {
        return fail(addr_format(&options.listen, listen), error);
    }
    if (p->source.is_complete) {
        push(&p->push);
    } /* otherwise nothing is answered before everything is known */
    error = admin_open(p);
    if (error < 0) {
        return fail(addr_format(&p->settings->admin_address, listen), error);
    }
    options.listen = ads_server_addr(p->ads);
    log_info(LOG_APP, NULL, "outrigger-api %s serves %zu Services from %s at %s", OUTRIGGER_VERSION,
             model_service_count(p->model), p->source.name, addr_format(&options.listen, listen));
    return 0;
}

struct program *program_new(const struct api_settings *settings)
{
    struct program *p = mem_alloc(sizeof *p);

    if (socket_raise_fd_limit() < 0) {
        log_warn(LOG_APP, NULL, "the descriptor limit could not be raised");
    }
    p->settings = settings;
    p->loop = loop_new(loop_random_seed());
    p->signals.fd = -1;
    api_metrics_init(&p->metrics);
    p->model = model_new();
    p->resources = resources_new(str_from(settings->cluster_domain));
    debounce_init(&p->push, p->loop, settings->push_debounce, settings->push_debounce_max, push);
    timer_init(&p->grace, p->loop, on_grace_over);
    if (start(p) < 0) {
        program_free(p);
        return NULL;
    }
    return p;
}

void program_run(struct program *p)
{
    loop_run(p->loop);
}

void program_free(struct program *p)
{
    timer_stop(&p->grace);
    debounce_stop(&p->push);
    /* One more signal must not change how the program ends. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signals_stop(&p->signals);
    if (p->admin != NULL) {
        http_server_close(&p->admin);
    }
    ads_server_close(&p->ads);
    source_metrics_deinit(&p->source_metrics);
    source_stop(&p->source);
    loop_free(p->loop);
    resources_free(p->resources);
    model_free(p->model);
    api_metrics_deinit(&p->metrics);
    mem_free(p);
}

bool program_is_ready(const struct program *p)
{
    return !p->is_stopping && resources_is_synced(p->resources);
}
