/* SPDX-License-Identifier: Apache-2.0 */

/* A hash table for finding and a list in the order of the last record for forgetting: its head is always the next to go. */

#include "policy/server_first.h"

#include <assert.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"

struct entry {
    struct hash_node by_destination;
    struct list by_age;
    struct usec recorded;
    struct usec server_first_until; /* 0: it was never seen to speak first */
    struct server_first_view view;  /* is_server_first is filled in when asked */
};

struct server_first {
    struct hash_table table;
    struct list ages; /* oldest first */
    size_t max;
    struct usec memory;
};

struct server_first *server_first_new(size_t max, struct usec memory)
{
    assert(max >= 1);
    struct server_first *m = mem_alloc(sizeof *m);

    hash_init(&m->table);
    list_init(&m->ages);
    m->max = max;
    m->memory = memory;
    return m;
}

static void forget(struct server_first *m, struct entry *e)
{
    hash_remove(&m->table, &e->by_destination);
    list_unlink(&e->by_age);
    mem_free(e);
}

static struct entry *oldest(struct server_first *m)
{
    return list_entry(m->ages.next, struct entry, by_age);
}

void server_first_free(struct server_first *m)
{
    if (m == NULL) {
        return;
    }
    while (!list_is_empty(&m->ages)) {
        forget(m, oldest(m));
    }
    hash_deinit(&m->table);
    mem_free(m);
}

static struct entry *find(const struct server_first *m, const struct addr *destination)
{
    struct hash_node *node = hash_first(&m->table, addr_hash(destination));

    for (; node != NULL; node = hash_next(node)) {
        struct entry *e = container_of(node, struct entry, by_destination);

        if (addr_eq(&e->view.destination, destination)) {
            return e;
        }
    }
    return NULL;
}

static bool is_forgotten(const struct server_first *m, const struct entry *e, struct usec now)
{
    return !usec_before(now, usec_add(e->recorded, m->memory));
}

static struct entry *find_remembered(const struct server_first *m, const struct addr *destination, struct usec now)
{
    struct entry *e = find(m, destination);

    return e != NULL && !is_forgotten(m, e, now) ? e : NULL;
}

static struct entry *add(struct server_first *m, const struct addr *destination)
{
    if (m->table.count >= m->max) {
        forget(m, oldest(m));
    }
    struct entry *e = mem_alloc(sizeof *e);

    e->view.destination = *destination;
    list_init(&e->by_age);
    hash_insert(&m->table, &e->by_destination, addr_hash(destination));
    return e;
}

void server_first_record(struct server_first *m, const struct addr *destination, enum detect_label outcome, struct usec now)
{
    assert(outcome < DETECT_LABEL_COUNT);
    server_first_expire(m, now);
    struct entry *e = find(m, destination);

    if (e == NULL) {
        e = add(m, destination);
    }
    list_unlink(&e->by_age);
    list_push_back(&m->ages, &e->by_age);
    e->recorded = now;
    e->view.outcomes[outcome]++;
    if (outcome == DETECT_LABEL_SERVER_FIRST) {
        e->server_first_until = usec_add(now, m->memory);
    }
}

bool server_first_is_known(const struct server_first *m, const struct addr *destination, struct usec now)
{
    const struct entry *e = find(m, destination);

    return e != NULL && usec_before(now, e->server_first_until);
}

void server_first_outcomes(const struct server_first *m, const struct addr *destination, struct usec now,
                           uint64_t ret_outcomes[static DETECT_LABEL_COUNT])
{
    const struct entry *e = find_remembered(m, destination, now);

    for (size_t i = 0; i < DETECT_LABEL_COUNT; i++) {
        ret_outcomes[i] = e != NULL ? e->view.outcomes[i] : 0;
    }
}

void server_first_for_each(const struct server_first *m, struct usec now,
                           void (*visit)(const struct server_first_view *view, void *ctx), void *ctx)
{
    for (struct list *node = m->ages.next; node != &m->ages; node = node->next) {
        const struct entry *e = list_entry(node, struct entry, by_age);

        if (!is_forgotten(m, e, now)) {
            struct server_first_view view = e->view;

            view.is_server_first = usec_before(now, e->server_first_until);
            visit(&view, ctx);
        }
    }
}

void server_first_expire(struct server_first *m, struct usec now)
{
    while (!list_is_empty(&m->ages) && is_forgotten(m, oldest(m), now)) {
        forget(m, oldest(m));
    }
}

size_t server_first_count(const struct server_first *m)
{
    return m->table.count;
}
