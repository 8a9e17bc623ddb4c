/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An intrusive, circular, doubly linked list. A node that is on no list points to itself, so unlinking twice is harmless.
 *
 * Owner:   the list head owns nothing; whoever embeds the node does.
 * Threads: the owner's.
 */

#include <stdbool.h>

#include "base/container.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/* True while the node is on a list. */
static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_unlink(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Appends a node that is on no list. */
static inline void list_push_back(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_push_back(head->next, node);
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Takes the first node off the list; NULL if the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;

    if (node == head) {
        return NULL;
    }
    list_unlink(node);
    return node;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The current node may be unlinked or freed in the body; no other may. */
#define list_for_each(node, head)                                                     \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)
