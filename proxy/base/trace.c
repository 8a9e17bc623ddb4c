/* SPDX-License-Identifier: Apache-2.0 */

/* A short array under a lock: whoever looks at it first drops what has expired. */

#include "base/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/hash.h"

#define VALUE_MAX 300 /* a Service's name: two DNS labels, a dot-less host of 253, a port */

struct rule {
    enum trace_by by;
    char value[VALUE_MAX + 1];
    struct addr peer; /* TRACE_PEER: a network, or an address with a port */
    uint64_t service;
    struct usec until;
};

static const char *const by_names[] = {
    [TRACE_CONNECTION] = "connection",
    [TRACE_PEER] = "peer",
    [TRACE_SERVICE] = "service",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[TRACE_RULES_MAX];
_Atomic unsigned trace_rule_count; /* written under the lock */

static unsigned count(void)
{
    return atomic_load_explicit(&trace_rule_count, memory_order_relaxed);
}

static void set_count(unsigned n)
{
    atomic_store_explicit(&trace_rule_count, n, memory_order_relaxed);
}

static void drop_expired(struct usec now)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count(); i++) {
        if (usec_before(now, rules[i].until)) {
            rules[kept++] = rules[i];
        }
    }
    set_count(kept);
}

uint64_t trace_service_key(const char *name)
{
    struct str s = str_from(name);

    return s.len == 0 ? 0 : hash_bytes(s.p, s.len);
}

const char *trace_id(const struct trace_tag *tag, char out[static TRACE_ID_SIZE])
{
    if (tag->kind == NULL) {
        snprintf(out, TRACE_ID_SIZE, "h2");
    } else {
        snprintf(out, TRACE_ID_SIZE, "%s-%" PRIu64, tag->kind, tag->number);
    }
    return out;
}

static bool read_value(struct rule *r, struct str value, struct text *ret_error)
{
    if (value.len == 0 || value.len > VALUE_MAX) {
        text_printf(ret_error, "a %s has 1 to %d bytes", by_names[r->by], VALUE_MAX);
        return false;
    }
    snprintf(r->value, sizeof r->value, "%.*s", (int)value.len, value.p);
    r->service = trace_service_key(r->value);
    if (r->by == TRACE_PEER && !addr_parse(value, &r->peer) && !addr_parse_cidr(value, &r->peer)) {
        text_append_json(ret_error, value);
        text_printf(ret_error, " is not an address, an address and port, or a network");
        return false;
    }
    return true;
}

int trace_add(enum trace_by by, struct str value, struct usec now, uint64_t seconds, struct text *ret_error)
{
    struct rule r = {.by = by, .until = usec_add(now, usec_from_s(seconds))};
    int result = 0;

    if (seconds == 0 || seconds > TRACE_SECONDS_MAX) {
        text_printf(ret_error, "a rule lasts 1 to %d seconds", TRACE_SECONDS_MAX);
        return -EINVAL;
    }
    if (!read_value(&r, value, ret_error)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&lock);
    drop_expired(now);
    if (count() == TRACE_RULES_MAX) {
        text_printf(ret_error, "there are %d rules already", TRACE_RULES_MAX);
        result = -ENOSPC;
    } else {
        rules[count()] = r;
        set_count(count() + 1);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

unsigned trace_clear(void)
{
    unsigned had;

    pthread_mutex_lock(&lock);
    had = count();
    set_count(0);
    pthread_mutex_unlock(&lock);
    return had;
}

void trace_print(struct usec now, struct text *out)
{
    pthread_mutex_lock(&lock);
    drop_expired(now);
    for (unsigned i = 0; i < count(); i++) {
        text_printf(out, "%s=%s for another %.0f s\n", by_names[rules[i].by], rules[i].value,
                    usec_seconds(usec_since(rules[i].until, now)));
    }
    pthread_mutex_unlock(&lock);
}

static bool rule_matches(const struct rule *r, const struct trace_tag *tag)
{
    char id[TRACE_ID_SIZE];

    switch (r->by) {
    case TRACE_CONNECTION:
        return tag->kind != NULL && str_eq(str_from(trace_id(tag, id)), str_from(r->value));
    case TRACE_PEER:
        return r->peer.port != 0 ? addr_eq(&r->peer, &tag->peer) : addr_in_network(&tag->peer, &r->peer);
    case TRACE_SERVICE:
        return r->service == tag->service;
    }
    return false;
}

bool trace_matches_slow(const struct trace_tag *tag, struct usec now)
{
    bool is_wanted = false;

    pthread_mutex_lock(&lock);
    drop_expired(now);
    for (unsigned i = 0; i < count() && !is_wanted; i++) {
        is_wanted = rule_matches(&rules[i], tag);
    }
    pthread_mutex_unlock(&lock);
    return is_wanted;
}
