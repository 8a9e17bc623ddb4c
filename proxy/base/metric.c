/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A shard holds, for each family, a hash table of series keyed by their label values, each followed by a NUL. Values are atomics
 * with one writer, so a store needs no lock prefix; the shard's lock guards the tables and the reference counts only.
 */

#include "base/metric.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/metric_text.h"

struct family_shard {
    struct hash_table series;
    struct metric *overflow; /* stands for every series past METRIC_SERIES_MAX; NULL until needed */
};

struct metric_shard {
    struct metrics *metrics; /* link */
    pthread_mutex_t lock;
    struct family_shard *families; /* one for each family of the program; guarded by `lock` */
};

struct metric {
    struct hash_node node;
    struct metric_shard *shard; /* link */
    unsigned family;
    unsigned refs; /* guarded by the shard's lock */
    char *key;
    size_t key_len;
    _Atomic uint64_t value;     /* a gauge's i64 by its bits; a histogram's sum in microseconds */
    _Atomic uint64_t buckets[]; /* histograms: METRIC_BUCKET_COUNT, not cumulative */
};

struct metrics {
    char *prefix;
    const struct metric_family *families;
    size_t family_count;
    unsigned shard_count;
    struct metric_shard *shards;
};

struct metrics *metrics_new(const char *prefix, const struct metric_family *families, size_t family_count, unsigned shard_count)
{
    struct metrics *m = mem_alloc(sizeof *m);

    *m = (struct metrics){.prefix = mem_strdup(prefix),
                          .families = families,
                          .family_count = family_count,
                          .shard_count = shard_count,
                          .shards = mem_alloc_array(shard_count, sizeof *m->shards)};
    for (unsigned i = 0; i < shard_count; i++) {
        m->shards[i].metrics = m;
        m->shards[i].families = mem_alloc_array(family_count, sizeof *m->shards[i].families);
        pthread_mutex_init(&m->shards[i].lock, NULL);
    }
    return m;
}

static void free_series(struct metric *m)
{
    mem_free(m->key);
    mem_free(m);
}

static void visit_free(struct hash_node *node, void *ctx)
{
    (void)ctx;
    free_series(container_of(node, struct metric, node));
}

static void deinit_shard(struct metric_shard *shard)
{
    for (size_t i = 0; i < shard->metrics->family_count; i++) {
        struct family_shard *f = &shard->families[i];

        hash_for_each(&f->series, visit_free, NULL);
        hash_deinit(&f->series);
        if (f->overflow != NULL) {
            free_series(f->overflow);
        }
    }
    mem_free(shard->families);
    pthread_mutex_destroy(&shard->lock);
}

void metrics_free(struct metrics *m)
{
    if (m == NULL) {
        return;
    }
    for (unsigned i = 0; i < m->shard_count; i++) {
        deinit_shard(&m->shards[i]);
    }
    mem_free(m->shards);
    mem_free(m->prefix);
    mem_free(m);
}

struct metric_shard *metrics_shard(struct metrics *m, unsigned index)
{
    assert(index < m->shard_count);
    return &m->shards[index];
}

static struct metric *find_series(const struct family_shard *f, const struct text *key, uint64_t hash)
{
    for (struct hash_node *node = hash_first(&f->series, hash); node != NULL; node = hash_next(node)) {
        struct metric *m = container_of(node, struct metric, node);

        if (m->key_len == key->len && memcmp(m->key, key->p, key->len) == 0) {
            return m;
        }
    }
    return NULL;
}

static struct metric *new_series(struct metric_shard *shard, unsigned family, struct text *key)
{
    bool has_buckets = shard->metrics->families[family].kind == METRIC_HISTOGRAM;
    struct metric *m = mem_alloc(sizeof *m + (has_buckets ? METRIC_BUCKET_COUNT * sizeof m->buckets[0] : 0));

    m->shard = shard;
    m->family = family;
    m->key_len = key->len;
    m->key = text_steal(key);
    return m;
}

/* Label values may come from the network; a scrape must be UTF-8, so that is repaired where the series is named. */
static void append_label_value(struct text *key, struct str value)
{
    if (value.len > METRIC_LABEL_VALUE_MAX) {
        value.len = METRIC_LABEL_VALUE_MAX;
    }
    text_append_utf8(key, value);
    text_append(key, "", 1);
}

static struct metric *overflow_series(struct metric_shard *shard, unsigned family, size_t label_count)
{
    struct family_shard *f = &shard->families[family];

    if (f->overflow == NULL) {
        struct text key;

        text_init(&key, SIZE_MAX / 2);
        for (size_t i = 0; i < label_count; i++) {
            append_label_value(&key, STR("overflow"));
        }
        f->overflow = new_series(shard, family, &key);
    }
    return f->overflow;
}

struct metric *metric_get(struct metric_shard *shard, unsigned family, const char *const *label_values)
{
    assert(family < shard->metrics->family_count);
    struct family_shard *f = &shard->families[family];
    size_t label_count = metric_label_count(&shard->metrics->families[family]);
    struct text key;

    text_init(&key, SIZE_MAX / 2);
    for (size_t i = 0; i < label_count; i++) {
        append_label_value(&key, str_from(label_values[i]));
    }
    uint64_t hash = hash_bytes(key.p, key.len);

    pthread_mutex_lock(&shard->lock);
    struct metric *m = find_series(f, &key, hash);

    if (m == NULL && f->series.count >= METRIC_SERIES_MAX) {
        m = overflow_series(shard, family, label_count);
    } else if (m == NULL) {
        m = new_series(shard, family, &key);
        hash_insert(&f->series, &m->node, hash);
    }
    m->refs++;
    pthread_mutex_unlock(&shard->lock);
    text_deinit(&key);
    return m;
}

static bool keeps_value(enum metric_kind kind)
{
    return kind == METRIC_COUNTER || kind == METRIC_HISTOGRAM;
}

static void release(struct metric **m, bool is_end)
{
    struct metric *series = *m;

    *m = NULL;
    if (series == NULL) {
        return;
    }
    struct metric_shard *shard = series->shard;
    struct family_shard *f = &shard->families[series->family];

    pthread_mutex_lock(&shard->lock);
    assert(series->refs > 0);
    series->refs--;
    /* The overflow series stands for many and stays. */
    bool is_removed =
        series->refs == 0 && series != f->overflow && (is_end || !keeps_value(shard->metrics->families[series->family].kind));

    if (is_removed) {
        hash_remove(&f->series, &series->node);
    }
    pthread_mutex_unlock(&shard->lock);
    if (is_removed) {
        free_series(series);
    }
}

void metric_put(struct metric **m)
{
    release(m, false);
}

void metric_end(struct metric **m)
{
    release(m, true);
}

static uint64_t get(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *value, uint64_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

static enum metric_kind kind_of(const struct metric *m)
{
    return m->shard->metrics->families[m->family].kind;
}

void metric_add(struct metric *m, uint64_t n)
{
    assert(kind_of(m) == METRIC_COUNTER);
    set(&m->value, get(&m->value) + n);
}

void metric_move(struct metric *m, int64_t delta)
{
    assert(kind_of(m) == METRIC_GAUGE);
    set(&m->value, get(&m->value) + (uint64_t)delta);
}

void metric_set(struct metric *m, int64_t value)
{
    assert(kind_of(m) == METRIC_GAUGE);
    set(&m->value, (uint64_t)value);
}

void metric_set_time(struct metric *m, struct usec value)
{
    assert(kind_of(m) == METRIC_SECONDS);
    set(&m->value, value.v);
}

void metric_observe(struct metric *m, struct usec value)
{
    assert(kind_of(m) == METRIC_HISTOGRAM);
    size_t bucket = 0;

    while (bucket < METRIC_BUCKET_COUNT - 1 && value.v > metric_bucket_limits[bucket]) {
        bucket++;
    }
    set(&m->buckets[bucket], get(&m->buckets[bucket]) + 1);
    set(&m->value, get(&m->value) + value.v);
}

uint64_t metric_value(const struct metric *m)
{
    if (kind_of(m) != METRIC_HISTOGRAM) {
        return get(&m->value);
    }
    uint64_t count = 0;

    for (size_t i = 0; i < METRIC_BUCKET_COUNT; i++) {
        count += get(&m->buckets[i]);
    }
    return count;
}

static void copy_sample(struct metric_samples *samples, const struct metric *m)
{
    if (samples->count == samples->size) {
        samples->size = samples->size == 0 ? 64 : samples->size * 2;
        samples->rows = mem_realloc_array(samples->rows, samples->size, sizeof *samples->rows);
    }
    struct metric_sample *s = &samples->rows[samples->count++];

    *s = (struct metric_sample){.key = mem_copy_string(m->key, m->key_len), .key_len = m->key_len, .value = get(&m->value)};
    for (size_t i = 0; kind_of(m) == METRIC_HISTOGRAM && i < METRIC_BUCKET_COUNT; i++) {
        s->buckets[i] = get(&m->buckets[i]);
    }
}

static void visit_copy(struct hash_node *node, void *ctx)
{
    copy_sample(ctx, container_of(node, struct metric, node));
}

/* Copies under the lock and formats after it: a worker that asks for a series never waits for the printing. */
static void collect(struct metrics *m, size_t family, struct metric_samples *samples)
{
    for (unsigned i = 0; i < m->shard_count; i++) {
        struct family_shard *f = &m->shards[i].families[family];

        pthread_mutex_lock(&m->shards[i].lock);
        hash_for_each(&f->series, visit_copy, samples);
        if (f->overflow != NULL) {
            copy_sample(samples, f->overflow);
        }
        pthread_mutex_unlock(&m->shards[i].lock);
    }
}

void metrics_write(struct metrics *m, struct text *out)
{
    for (size_t i = 0; i < m->family_count; i++) {
        struct metric_samples samples = {0};

        collect(m, i, &samples);
        metric_write_family(m->prefix, &m->families[i], &samples, out);
        for (size_t j = 0; j < samples.count; j++) {
            mem_free(samples.rows[j].key);
        }
        mem_free(samples.rows);
    }
}
