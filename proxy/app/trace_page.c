/* SPDX-License-Identifier: Apache-2.0 */

#include "app/trace_page.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"

#define ERROR_MAX 512
#define SECONDS_UNLESS_SAID 60

static const char usage[] = "say which: POST /trace?peer=10.0.0.7, ?service=shop/cart:50051 or ?connection=out-12 (one of them), "
                            "with &seconds=60\n";

struct choice {
    const char *name;
    enum trace_by by;
};

static const struct choice choices[] = {
    {"connection", TRACE_CONNECTION},
    {"peer", TRACE_PEER},
    {"service", TRACE_SERVICE},
};

void trace_page_get(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    (void)request;
    trace_print(loop_clock(), &response->body);
}

static bool read_seconds(struct str query, uint64_t *ret_seconds)
{
    char *value = http_query_value(query, "seconds");
    bool is_ok = true;

    *ret_seconds = SECONDS_UNLESS_SAID;
    if (value != NULL) {
        is_ok = str_to_u64(str_from(value), UINT32_MAX, ret_seconds);
    }
    mem_free(value);
    return is_ok;
}

/* The one choice of the query, with its value (mem_free); NULL if there is none, or more than one. */
static const struct choice *read_choice(struct str query, char **ret_value)
{
    const struct choice *chosen = NULL;
    char *found = NULL;

    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        char *value = http_query_value(query, choices[i].name);

        if (value != NULL && found != NULL) {
            mem_free(value);
            mem_free(found);
            return NULL;
        }
        if (value != NULL) {
            chosen = &choices[i];
            found = value;
        }
    }
    *ret_value = found;
    return chosen;
}

void trace_page_add(void *ctx, const struct http_request *request, struct http_response *response)
{
    char *value = NULL;
    const struct choice *choice = read_choice(request->query, &value);
    uint64_t seconds;
    struct text error;

    text_init(&error, ERROR_MAX);
    if (choice == NULL || !read_seconds(request->query, &seconds)) {
        response->status = 400;
        text_append_str(&response->body, str_from(usage));
    } else if (trace_add(choice->by, str_from(value), loop_clock(), seconds, &error) < 0) {
        response->status = 400;
        text_printf(&response->body, "%s\n", error.p);
    } else {
        log_info(LOG_ADMIN, NULL, "frames of %s=%s are logged for %llu s", choice->name, value, (unsigned long long)seconds);
        trace_page_get(ctx, request, response);
    }
    text_deinit(&error);
    mem_free(value);
}

void trace_page_stop(void *ctx, const struct http_request *request, struct http_response *response)
{
    unsigned ended = trace_clear();

    (void)ctx;
    (void)request;
    log_info(LOG_ADMIN, NULL, "%u trace rules ended", ended);
    text_printf(&response->body, "%u ended\n", ended);
}
