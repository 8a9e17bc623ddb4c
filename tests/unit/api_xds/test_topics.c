/* SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"

#include "api/xds/topics.h"

struct listener {
    struct subscription base;
    unsigned told;
};

static struct topics topics;
static struct listener a;
static struct listener b;

static void on_changed(struct subscription *s)
{
    container_of(s, struct listener, base)->told++;
}

static void setup(void)
{
    topics_init(&topics);
    a = (struct listener){.base.on_changed = on_changed};
    b = (struct listener){.base.on_changed = on_changed};
    list_init(&a.base.in_topic);
    list_init(&b.base.in_topic);
}

static void teardown(void)
{
    topics_deinit(&topics);
}

START_TEST(a_change_reaches_every_subscriber_of_the_name)
{
    topics_subscribe(&topics, &a.base, RESOURCE_CLUSTER, STR("x"));
    topics_subscribe(&topics, &b.base, RESOURCE_CLUSTER, STR("x"));
    topics_changed(&topics, RESOURCE_CLUSTER, STR("x"));

    ck_assert_uint_eq(a.told, 1);
    ck_assert_uint_eq(b.told, 1);
    topics_cancel(&topics, &a.base);
    topics_cancel(&topics, &b.base);
}
END_TEST

START_TEST(names_and_types_are_apart)
{
    topics_subscribe(&topics, &a.base, RESOURCE_CLUSTER, STR("x"));
    topics_subscribe(&topics, &b.base, RESOURCE_CLUSTER, STR("y"));
    topics_changed(&topics, RESOURCE_ENDPOINTS, STR("x"));
    topics_changed(&topics, RESOURCE_CLUSTER, STR("y"));
    topics_changed(&topics, RESOURCE_CLUSTER, STR("z"));

    ck_assert_uint_eq(a.told, 0);
    ck_assert_uint_eq(b.told, 1);
    topics_cancel(&topics, &a.base);
    topics_cancel(&topics, &b.base);
}
END_TEST

START_TEST(a_topic_ends_with_its_last_subscriber)
{
    topics_subscribe(&topics, &a.base, RESOURCE_CLUSTER, STR("x"));
    topics_subscribe(&topics, &b.base, RESOURCE_CLUSTER, STR("x"));
    topics_cancel(&topics, &a.base);
    topics_changed(&topics, RESOURCE_CLUSTER, STR("x"));
    ck_assert_uint_eq(a.told, 0);
    ck_assert_uint_eq(b.told, 1);
    ck_assert_uint_eq(topics.by_name.count, 1);

    topics_cancel(&topics, &b.base);
    ck_assert_uint_eq(topics.by_name.count, 0);
}
END_TEST

UNIT_MAIN("topics", setup, teardown, a_change_reaches_every_subscriber_of_the_name, names_and_types_are_apart,
          a_topic_ends_with_its_last_subscriber)
