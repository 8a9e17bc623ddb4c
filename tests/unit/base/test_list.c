/* SPDX-License-Identifier: Apache-2.0 */

#include "base/list.h"
#include "unit.h"

struct item {
    int value;
    struct list node;
};

static struct list head;
static struct item items[4];

static void setup(void)
{
    list_init(&head);
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        list_init(&items[i].node);
    }
}

/* The values in order, as one decimal number: 0, 1, 2 gives 12. */
static int order(struct list *l)
{
    int number = 0;

    list_for_each(node, l) {
        number = number * 10 + list_entry(node, struct item, node)->value;
    }
    return number;
}

START_TEST(list_is_empty_at_first)
{
    ck_assert(list_is_empty(&head));
    ck_assert_ptr_null(list_pop_front(&head));
}
END_TEST

START_TEST(push_back_appends_and_push_front_prepends)
{
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);
    list_push_front(&head, &items[3].node);

    ck_assert_int_eq(order(&head), 312);
}
END_TEST

START_TEST(pop_front_takes_the_first_node_off)
{
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);

    ck_assert_ptr_eq(list_pop_front(&head), &items[1].node);
    ck_assert(!list_is_linked(&items[1].node));
    ck_assert_int_eq(order(&head), 2);
}
END_TEST

START_TEST(unlinking_twice_is_harmless)
{
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);

    list_unlink(&items[1].node);
    list_unlink(&items[1].node);

    ck_assert_int_eq(order(&head), 2);
}
END_TEST

START_TEST(a_node_knows_whether_it_is_linked)
{
    ck_assert(!list_is_linked(&items[0].node));
    list_push_back(&head, &items[0].node);
    ck_assert(list_is_linked(&items[0].node));
}
END_TEST

START_TEST(for_each_allows_the_current_node_to_leave)
{
    for (int i = 1; i < 4; i++) {
        list_push_back(&head, &items[i].node);
    }
    list_for_each(node, &head) {
        list_unlink(node);
    }

    ck_assert(list_is_empty(&head));
}
END_TEST

START_TEST(splice_moves_all_nodes_to_the_end)
{
    struct list other;

    list_init(&other);
    list_push_back(&head, &items[1].node);
    list_push_back(&other, &items[2].node);
    list_push_back(&other, &items[3].node);

    list_splice(&head, &other);

    ck_assert_int_eq(order(&head), 123);
    ck_assert(list_is_empty(&other));
}
END_TEST

START_TEST(splice_of_an_empty_list_changes_nothing)
{
    struct list other;

    list_init(&other);
    list_push_back(&head, &items[1].node);
    list_splice(&head, &other);

    ck_assert_int_eq(order(&head), 1);
}
END_TEST

UNIT_MAIN("list", setup, NULL, list_is_empty_at_first, push_back_appends_and_push_front_prepends,
          pop_front_takes_the_first_node_off, unlinking_twice_is_harmless, a_node_knows_whether_it_is_linked,
          for_each_allows_the_current_node_to_leave, splice_moves_all_nodes_to_the_end, splice_of_an_empty_list_changes_nothing)
