/* SPDX-License-Identifier: Apache-2.0 */

#include "api/admin.h"

#include "base/mem.h"
#include "net/http_pages.h"
#include "net/log_page.h"

static void handle_live(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    (void)request;
    text_printf(&response->body, "live\n");
}

static void handle_ready(void *ctx, const struct http_request *request, struct http_response *response)
{
    const struct program *p = ctx;

    (void)request;
    if (program_is_ready(p)) {
        text_printf(&response->body, "ready\n");
        return;
    }
    response->status = 503;
    text_printf(&response->body, p->is_stopping ? "stopping\n" : "reading the source\n");
}

static void handle_metrics(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct program *p = ctx;

    (void)request;
    source_metrics_refresh(&p->source_metrics, &p->source);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    api_metrics_write(&p->metrics, &response->body);
}

static void handle_config(void *ctx, const struct http_request *request, struct http_response *response)
{
    const struct program *p = ctx;

    (void)request;
    settings_print(&api_program, p->settings, &response->body);
}

/* "?client=ID" */
static void handle_clients(void *ctx, const struct http_request *request, struct http_response *response)
{
    const struct program *p = ctx;
    struct str prefix = STR("client=");
    struct str wanted = {"", 0};
    char *decoded = NULL;

    if (str_starts_with(request->query, prefix)) {
        decoded = http_decode((struct str){request->query.p + prefix.len, request->query.len - prefix.len}, true);
        wanted = str_from(decoded);
    } else if (request->query.len > 0) {
        http_fail(response, 400, "the query is not client=ID");
        return;
    }
    ads_server_print(p->ads, wanted, &response->body);
    mem_free(decoded);
}

static const struct http_page pages[] = {
    {HTTP_GET, "/live", false, handle_live, "200 while the process runs"},
    {HTTP_GET, "/ready", false, handle_ready, "200 once the source has been read; 503 while stopping"},
    {HTTP_GET, "/metrics", false, handle_metrics, "Prometheus text format"},
    {HTTP_GET, "/config", true, handle_config, "the settings in force"},
    {HTTP_GET, "/clients", true, handle_clients,
     "what each client holds, acknowledged and refused; ?client=ID with all its names"},
    {HTTP_GET, "/log-level", true, log_page_get, "the log levels"},
    {HTTP_POST, "/log-level", true, log_page_set, "?level=warn,discovery=debug changes them"},
};

int admin_open(struct program *p)
{
    return http_server_open(p->loop, &p->settings->admin_address, pages, ARRAY_LEN(pages), p, &p->admin);
}
