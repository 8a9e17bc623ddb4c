/* SPDX-License-Identifier: Apache-2.0 */

#include "net/log_page.h"

#include "base/log.h"
#include "base/mem.h"

#define ERROR_MAX 256

void log_page_get(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    (void)request;
    log_get_levels(&response->body);
    text_printf(&response->body, "\n");
}

void log_page_set(void *ctx, const struct http_request *request, struct http_response *response)
{
    char *level = http_query_value(request->query, "level");
    struct text error;

    text_init(&error, ERROR_MAX);
    if (level == NULL) {
        response->status = 400;
        text_printf(&response->body, "say which: POST /log-level?level=warn,discovery=debug\n");
    } else if (log_set_levels(str_from(level), &error) < 0) {
        response->status = 400;
        text_printf(&response->body, "%s\n", error.p);
    } else {
        log_info(LOG_ADMIN, NULL, "log level is now %s", level);
        log_page_get(ctx, request, response);
    }
    text_deinit(&error);
    mem_free(level);
}
