/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Log lines to standard error, as text or JSON, by topic and level. Levels change at run time (admin port).
 *
 *     log_info(LOG_DISCOVERY, "api", "connected to %s", text);
 *     {"time":"…","level":"info","topic":"discovery","id":"api","message":"connected to …"}
 *
 * Only flow, app, init, the programs' main files, the shared admin page (net/log_page) and h2/frame_log log; base, policy, net and
 * the rest of h2 return.
 *
 * Owner:   process-wide; the one global besides the hash key.
 * Threads: any; one write(2) a line.
 * Errors:  a line that cannot be written is lost.
 * Limits:  a line is cut at 8 KiB. Of a repeated message (same call site) at most LOG_LINES_PER_SECOND are written; the next one says
 *          how many were left out.
 */

#include <stdbool.h>

#include "base/container.h"
#include "base/str.h"

#define LOG_LINES_PER_SECOND 10

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_LEVEL_COUNT };

enum log_topic {
#define X(name, label, help) name,
#include "base/log_topic.def"
#undef X
    LOG_TOPIC_COUNT
};

enum log_format { LOG_TEXT, LOG_JSON };

void log_set_format(enum log_format format);

/* "info" for all topics, or "warn,h2=debug,discovery=info". On error nothing changes and `ret_error` (≥ 1) gets the reason. */
int log_set_levels(struct str spec, struct text *ret_error) MUST_CHECK;

/* The current levels, in the form log_set_levels reads. */
void log_get_levels(struct text *out);

bool log_is_enabled(enum log_topic topic, enum log_level level);

struct log_site {        /* one static instance at each call, for the rate limit */
    unsigned per_second; /* 0: LOG_LINES_PER_SECOND */
    _Atomic long window_second;
    _Atomic unsigned in_window;
    _Atomic unsigned left_out;
};

/* `id` names the connection, peer or Service the line is about; may be NULL. */
void log_write(struct log_site *site, enum log_topic topic, enum log_level level, const char *id, const char *format, ...)
    PRINTF_LIKE(5, 6);

#define LOG_AT(topic, level, id, ...)                                 \
    do {                                                              \
        static struct log_site log_site_here;                         \
        if (log_is_enabled(topic, level)) {                           \
            log_write(&log_site_here, topic, level, id, __VA_ARGS__); \
        }                                                             \
    } while (0)

#define log_error(topic, id, ...) LOG_AT(topic, LOG_ERROR, id, __VA_ARGS__)
#define log_warn(topic, id, ...) LOG_AT(topic, LOG_WARN, id, __VA_ARGS__)
#define log_info(topic, id, ...) LOG_AT(topic, LOG_INFO, id, __VA_ARGS__)
#define log_debug(topic, id, ...) LOG_AT(topic, LOG_DEBUG, id, __VA_ARGS__)
#define log_trace(topic, id, ...) LOG_AT(topic, LOG_TRACE, id, __VA_ARGS__)
