/* SPDX-License-Identifier: Apache-2.0 */

#include "base/metric_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const uint64_t metric_bucket_limits[METRIC_BUCKET_COUNT - 1] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

static const char *const bucket_names[METRIC_BUCKET_COUNT] = {
    "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
};

size_t metric_label_count(const struct metric_family *family)
{
    struct str rest = str_from(family->labels);
    struct str label;
    size_t count = 0;

    while (rest.len > 0 && str_split(&rest, ',', &label)) {
        count++;
    }
    assert(count <= METRIC_LABELS_MAX);
    return count;
}

static int compare_keys(const void *a, const void *b)
{
    const struct metric_sample *left = a;
    const struct metric_sample *right = b;
    size_t shorter = left->key_len < right->key_len ? left->key_len : right->key_len;
    int order = memcmp(left->key, right->key, shorter);

    return order != 0 ? order : (left->key_len > right->key_len) - (left->key_len < right->key_len);
}

static void merge_into(struct metric_sample *sum, const struct metric_sample *s, enum metric_kind kind)
{
    if (kind == METRIC_SECONDS) {
        sum->value = s->value > sum->value ? s->value : sum->value;
    } else {
        sum->value += s->value;
    }
    for (size_t i = 0; i < METRIC_BUCKET_COUNT; i++) {
        sum->buckets[i] += s->buckets[i];
    }
}

/* The same series of several shards becomes one. */
static void sort_and_merge(struct metric_samples *samples, enum metric_kind kind)
{
    size_t kept = 0;

    if (samples->count == 0) {
        return;
    }
    qsort(samples->rows, samples->count, sizeof *samples->rows, compare_keys);
    for (size_t i = 1; i < samples->count; i++) {
        if (compare_keys(&samples->rows[kept], &samples->rows[i]) == 0) {
            merge_into(&samples->rows[kept], &samples->rows[i], kind);
            mem_free(samples->rows[i].key);
        } else {
            samples->rows[++kept] = samples->rows[i];
        }
    }
    samples->count = kept + 1;
}

static void append_escaped(struct text *out, const char *value, bool is_label)
{
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\n') {
            text_append(out, "\\n", 2);
        } else if (*c == '\\' || (*c == '"' && is_label)) {
            text_append(out, (char[]){'\\', *c}, 2);
        } else {
            text_append(out, c, 1);
        }
    }
}

struct writer {
    const char *prefix;
    const struct metric_family *family;
    struct text *out;
};

/* `name_suffix{labels,le="…"} `; without labels and le, no braces. */
static void write_name(const struct writer *w, const struct metric_sample *s, const char *suffix, const char *le)
{
    struct str rest = str_from(w->family->labels);
    struct str label;
    const char *value = s->key;
    const char *before = "{";

    text_printf(w->out, "%s%s%s", w->prefix, w->family->name, suffix);
    while (rest.len > 0 && str_split(&rest, ',', &label)) {
        text_printf(w->out, "%s%.*s=\"", before, (int)label.len, label.p);
        append_escaped(w->out, value, true);
        text_append(w->out, "\"", 1);
        value += strlen(value) + 1;
        before = ",";
    }
    if (le != NULL) {
        text_printf(w->out, "%sle=\"%s\"", before, le);
        before = ",";
    }
    text_append_str(w->out, *before == '{' ? STR(" ") : STR("} "));
}

static void write_seconds(struct text *out, uint64_t usec)
{
    text_printf(out, "%" PRIu64 ".%06u\n", usec / 1000000, (unsigned)(usec % 1000000));
}

static void write_histogram(const struct writer *w, const struct metric_sample *s)
{
    uint64_t count = 0;

    for (size_t i = 0; i < METRIC_BUCKET_COUNT; i++) {
        count += s->buckets[i];
        write_name(w, s, "_bucket", bucket_names[i]);
        text_printf(w->out, "%" PRIu64 "\n", count);
    }
    write_name(w, s, "_sum", NULL);
    write_seconds(w->out, s->value);
    write_name(w, s, "_count", NULL);
    text_printf(w->out, "%" PRIu64 "\n", count);
}

static void write_sample(const struct writer *w, const struct metric_sample *s)
{
    switch (w->family->kind) {
    case METRIC_COUNTER:
        write_name(w, s, "", NULL);
        text_printf(w->out, "%" PRIu64 "\n", s->value);
        break;
    case METRIC_GAUGE:
        write_name(w, s, "", NULL);
        text_printf(w->out, "%" PRId64 "\n", (int64_t)s->value);
        break;
    case METRIC_SECONDS:
        write_name(w, s, "", NULL);
        write_seconds(w->out, s->value);
        break;
    case METRIC_HISTOGRAM:
        write_histogram(w, s);
        break;
    }
}

static const char *type_name(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
    case METRIC_SECONDS:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

void metric_write_family(const char *prefix, const struct metric_family *family, struct metric_samples *samples, struct text *out)
{
    struct writer w = {.prefix = prefix, .family = family, .out = out};

    sort_and_merge(samples, family->kind);
    text_printf(out, "# HELP %s%s ", prefix, family->name);
    append_escaped(out, family->help, false);
    text_printf(out, "\n# TYPE %s%s %s\n", prefix, family->name, type_name(family->kind));
    for (size_t i = 0; i < samples->count; i++) {
        write_sample(&w, &samples->rows[i]);
    }
}

void metrics_write_docs(const char *prefix, const struct metric_family *families, size_t family_count, struct text *out)
{
    text_append_str(out, STR("| metric | type | labels | meaning |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < family_count; i++) {
        const struct metric_family *f = &families[i];

        text_printf(out, "| `%s%s` | %s | %s | %s |\n", prefix, f->name, type_name(f->kind), f->labels, f->help);
    }
}
