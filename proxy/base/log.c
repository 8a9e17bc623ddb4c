/* SPDX-License-Identifier: Apache-2.0 */

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define ID_MAX_BYTES 256

static const char *const level_names[LOG_LEVEL_COUNT] = {"error", "warn", "info", "debug", "trace"};

static const char *const topic_names[LOG_TOPIC_COUNT] = {
#define X(name, label, help) [name] = #label,
#include "base/log_topic.def"
#undef X
};

/* How far each topic's level is from LOG_INFO, so that the zeroes of a fresh process mean "info" everywhere. */
static _Atomic signed char verbosity[LOG_TOPIC_COUNT];
static _Atomic int current_format;

void log_set_format(enum log_format format)
{
    atomic_store_explicit(&current_format, (int)format, memory_order_relaxed);
}

static int topic_level(enum log_topic topic)
{
    return LOG_INFO + atomic_load_explicit(&verbosity[topic], memory_order_relaxed);
}

bool log_is_enabled(enum log_topic topic, enum log_level level)
{
    return (int)level <= topic_level(topic);
}

/* Index of `name` in `names`, or -1. */
static int find_name(const char *const *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(str_from(names[i]), name)) {
            return (int)i;
        }
    }
    return -1;
}

static void append_names(struct text *out, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_printf(out, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
}

static int refuse(struct text *error, const char *what, struct str word, const char *const *names, size_t count)
{
    text_append_json(error, word);
    text_printf(error, " is not a %s; accepted: ", what);
    append_names(error, names, count);
    return -EINVAL;
}

/* One part of a specification. Without a topic the level goes to `*base`, with one into `levels`. */
static int read_part(struct str part, int *base, int levels[static LOG_TOPIC_COUNT], struct text *error)
{
    size_t equals = str_find(part, '=');
    bool has_topic = equals < part.len;
    struct str name = has_topic ? (struct str){part.p + equals + 1, part.len - equals - 1} : part;
    int level = find_name(level_names, LOG_LEVEL_COUNT, name);

    if (level < 0) {
        return refuse(error, "log level", name, level_names, LOG_LEVEL_COUNT);
    }
    if (!has_topic) {
        *base = level;
        return 0;
    }
    struct str topic_name = {part.p, equals};
    int topic = find_name(topic_names, LOG_TOPIC_COUNT, topic_name);

    if (topic < 0) {
        return refuse(error, "log topic", topic_name, topic_names, LOG_TOPIC_COUNT);
    }
    levels[topic] = level;
    return 0;
}

int log_set_levels(struct str spec, struct text *ret_error)
{
    int base = -1; /* -1: not mentioned, stays as it is */
    int levels[LOG_TOPIC_COUNT];
    struct str part;

    for (size_t i = 0; i < LOG_TOPIC_COUNT; i++) {
        levels[i] = -1;
    }
    if (spec.len == 0) {
        return refuse(ret_error, "log level", spec, level_names, LOG_LEVEL_COUNT);
    }
    while (str_split(&spec, ',', &part)) {
        int rc = read_part(str_trim(part), &base, levels, ret_error);

        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < LOG_TOPIC_COUNT; i++) {
        int level = levels[i] >= 0 ? levels[i] : base;

        if (level >= 0) {
            atomic_store_explicit(&verbosity[i], (signed char)(level - LOG_INFO), memory_order_relaxed);
        }
    }
    return 0;
}

void log_get_levels(struct text *out)
{
    unsigned topics_at[LOG_LEVEL_COUNT] = {0};
    int levels[LOG_TOPIC_COUNT];
    int common = LOG_INFO;

    for (unsigned i = 0; i < LOG_TOPIC_COUNT; i++) {
        levels[i] = topic_level((enum log_topic)i);
        topics_at[levels[i]]++;
    }
    for (int level = 0; level < LOG_LEVEL_COUNT; level++) {
        common = topics_at[level] > topics_at[common] ? level : common;
    }
    text_printf(out, "%s", level_names[common]);
    for (size_t i = 0; i < LOG_TOPIC_COUNT; i++) {
        if (levels[i] != common) {
            text_printf(out, ",%s=%s", topic_names[i], level_names[levels[i]]);
        }
    }
}

/* Whether this call site may write now. When a second begins, `ret_left_out` says how many lines the last ones lost. */
static bool may_write(struct log_site *site, unsigned *ret_left_out)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    long window = atomic_load_explicit(&site->window_second, memory_order_relaxed);

    /* Of several threads that see the new second, the one that moves the window also reports. */
    if (window != now.tv_sec && atomic_compare_exchange_strong(&site->window_second, &window, now.tv_sec)) {
        atomic_store(&site->in_window, 0);
        *ret_left_out = atomic_exchange(&site->left_out, 0);
    }
    if (atomic_fetch_add(&site->in_window, 1) < (site->per_second > 0 ? site->per_second : LOG_LINES_PER_SECOND)) {
        return true;
    }
    atomic_fetch_add(&site->left_out, 1);
    return false;
}

static void append_time(struct text *line)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    text_printf(line, "%s.%06ldZ", seconds, now.tv_nsec / 1000);
}

struct line {
    enum log_topic topic;
    enum log_level level;
    struct str id; /* empty for none */
    struct str message;
    unsigned left_out;
};

/* A message may quote bytes from the network: a control character must not begin a forged line or talk to a terminal. */
static void append_printable(struct text *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < 0x20 || c == 0x7f) {
            text_printf(out, "\\x%02x", (unsigned)c);
        } else {
            text_append(out, &s.p[i], 1);
        }
    }
}

static void append_text(struct text *out, const struct line *l)
{
    append_time(out);
    text_printf(out, " %s %s", level_names[l->level], topic_names[l->topic]);
    if (l->id.len > 0) {
        text_append(out, " ", 1);
        append_printable(out, l->id);
    }
    text_append(out, ": ", 2);
    append_printable(out, l->message);
    if (l->left_out > 0) {
        text_printf(out, " (%u like this left out before)", l->left_out);
    }
}

static void append_json(struct text *out, const struct line *l)
{
    text_append_str(out, STR("{\"time\":\""));
    append_time(out);
    text_printf(out, "\",\"level\":\"%s\",\"topic\":\"%s\"", level_names[l->level], topic_names[l->topic]);
    if (l->id.len > 0) {
        text_append_str(out, STR(",\"id\":"));
        text_append_json(out, l->id);
    }
    text_append_str(out, STR(",\"message\":"));
    text_append_json(out, l->message);
    if (l->left_out > 0) {
        text_printf(out, ",\"left_out\":%u", l->left_out);
    }
    text_append_str(out, STR("}"));
}

/* Escapes can make a line longer than its message: the message is halved until the whole line, with its closing brace, fits. */
static void write_line(struct line *l)
{
    struct text out;

    text_init(&out, LINE_MAX_BYTES - 1);
    for (;;) {
        if (atomic_load_explicit(&current_format, memory_order_relaxed) == LOG_JSON) {
            append_json(&out, l);
        } else {
            append_text(&out, l);
        }
        if (!out.is_cut || l->message.len == 0) {
            break;
        }
        l->message.len /= 2;
        text_clear(&out);
    }
    out.max = LINE_MAX_BYTES;
    text_append(&out, "\n", 1);

    ssize_t written = write(STDERR_FILENO, out.p, out.len);

    (void)written; /* nowhere to complain to */
    text_deinit(&out);
}

void log_write(struct log_site *site, enum log_topic topic, enum log_level level, const char *id, const char *format, ...)
{
    int saved_errno = errno; /* callers log an error and then return it */
    char message[LINE_MAX_BYTES];
    unsigned left_out = 0;
    va_list args;

    if (!may_write(site, &left_out)) {
        errno = saved_errno;
        return;
    }
    va_start(args, format);
    int len = vsnprintf(message, sizeof message, format, args);
    va_end(args);

    struct line line = {.topic = topic, .level = level, .id = str_from(id), .left_out = left_out};

    if (line.id.len > ID_MAX_BYTES) {
        line.id.len = ID_MAX_BYTES;
    }
    line.message = (struct str){message, len < 0 ? 0 : (size_t)len};
    if (line.message.len >= sizeof message) {
        line.message.len = sizeof message - 1;
    }
    write_line(&line);
    errno = saved_errno;
}
