/* SPDX-License-Identifier: Apache-2.0 */

#include "app/admin.h"

#include "app/trace_page.h"
#include "net/log_page.h"

#define WORKER_LIMIT usec_from_s(2)

static void handle_live(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    (void)request;
    text_printf(&response->body, "live\n");
}

static void handle_ready(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct program *p = ctx;

    (void)request;
    if (program_is_ready(p)) {
        text_printf(&response->body, "ready\n");
        return;
    }
    response->status = 503;
    text_printf(&response->body, p->state == PROGRAM_RUNNING ? "waiting for the api\n" : "draining\n");
}

static void refresh_here(struct worker *w, void *arg)
{
    (void)arg;
    cluster_table_refresh_metrics(w->clusters);
}

static void handle_metrics(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct program *p = ctx;
    struct discovery_status discovery = discovery_status(p->discovery);

    (void)request;
    for (unsigned i = 0; i < p->worker_count; i++) {
        (void)worker_call(p->workers[i], refresh_here, NULL, WORKER_LIMIT); /* a busy worker's gauges are a scrape older */
    }
    program_metrics_refresh(&p->own, program_is_ready(p), &discovery);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(p->metrics, &response->body);
}

static void handle_config(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct program *p = ctx;

    (void)request;
    settings_print(&proxy_program, p->settings, &response->body);
}

/* --- /endpoints --- */

static const char *kind_text(const struct snapshot *s)
{
    if (s == NULL) {
        return "no answer from the api yet: HTTP/2 is served from the original destination";
    }
    switch (s->kind) {
    case DESTINATION_ABSENT:
        return "not a Service: raw TCP";
    case DESTINATION_TCP:
        return "a Service that asks for raw TCP";
    case DESTINATION_HTTP:
        return "balanced request by request";
    }
    return "";
}

static void print_destination(const struct addr *addr, struct snapshot *snapshot, void *ctx)
{
    char text[ADDR_TEXT_SIZE];
    struct text *out = ctx;

    text_printf(out, "%-28s %s", addr_format(addr, text), kind_text(snapshot));
    if (snapshot != NULL && snapshot->kind == DESTINATION_HTTP) {
        for (size_t i = 0; i < snapshot->backend_count; i++) {
            text_printf(out, "%s %s", i == 0 ? ":" : ",", snapshot->backends[i].name);
        }
    }
    text_printf(out, "\n");
}

static void print_detections(const struct server_first_view *view, void *ctx)
{
    char text[ADDR_TEXT_SIZE];
    struct text *out = ctx;

    text_printf(out, "%-28s", addr_format(&view->destination, text));
    for (unsigned i = 0; i < DETECT_LABEL_COUNT; i++) {
        if (view->outcomes[i] > 0) {
            text_printf(out, " %s %llu", detect_label_text((enum detect_label)i), (unsigned long long)view->outcomes[i]);
        }
    }
    text_printf(out, "%s\n", view->is_server_first ? "  (its server speaks first: dialled at accept)" : "");
}

static void print_worker(struct worker *w, void *arg)
{
    struct text *out = arg;

    text_printf(out, "worker %u: %u connections\n\ndestinations\n", w->index, w->connection_count);
    directory_for_each(w->directory, print_destination, out);
    text_printf(out, "\nwhat connections turned out to be\n");
    server_first_for_each(w->server_first, loop_now(w->loop), print_detections, out);
    text_printf(out, "\nendpoints\n");
    cluster_table_print(w->clusters, out);
    text_printf(out, "\n");
}

static void handle_endpoints(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct program *p = ctx;

    (void)request;
    for (unsigned i = 0; i < p->worker_count; i++) {
        if (!worker_call(p->workers[i], print_worker, &response->body, WORKER_LIMIT)) {
            text_printf(&response->body, "worker %u did not answer in time\n", i);
        }
    }
}

static const struct http_page pages[] = {
    {HTTP_GET, "/live", false, handle_live, "200 while the process runs"},
    {HTTP_GET, "/ready", false, handle_ready, "200 while it takes traffic; 503 while draining"},
    {HTTP_GET, "/metrics", false, handle_metrics, "Prometheus text format"},
    {HTTP_GET, "/config", true, handle_config, "the settings in force"},
    {HTTP_GET, "/endpoints", true, handle_endpoints,
     "destinations, what they were detected as, endpoints as the balancer sees them"},
    {HTTP_GET, "/log-level", true, log_page_get, "the log levels"},
    {HTTP_POST, "/log-level", true, log_page_set, "?level=warn,h2=debug changes them"},
    {HTTP_GET, "/trace", true, trace_page_get, "which connections have their frames logged"},
    {HTTP_POST, "/trace", true, trace_page_add,
     "?peer=10.0.0.7, ?service=shop/cart:50051 or ?connection=out-12, with &seconds=60: logs frames for that long"},
    {HTTP_POST, "/trace/stop", true, trace_page_stop, "ends that"},
};

int admin_open(struct program *p)
{
    return http_server_open(p->control, &p->settings->admin_address, pages, ARRAY_LEN(pages), p, &p->admin);
}
