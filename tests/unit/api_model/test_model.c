/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>

#include "fixture.h"
#include "unit.h"

static struct world *before, *after;

static void setup(void)
{
    fixture_setup();
    put_checkout();
    before = model_commit(the_model);
}

static void teardown(void)
{
    world_unref(&before);
    world_unref(&after);
    fixture_teardown();
}

static const struct backend *find(const struct world *w, const char *name)
{
    return world_find(w, STR("shop"), str_from(name));
}

START_TEST(commit_without_a_change_is_the_same_world)
{
    after = model_commit(the_model);

    ck_assert_ptr_eq(after, before);
}
END_TEST

START_TEST(commit_after_an_equal_put_is_the_same_world)
{
    put_service(service("shop", "checkout", "10.96.0.10", 50051));

    after = model_commit(the_model);

    ck_assert_ptr_eq(after, before);
}
END_TEST

START_TEST(commit_of_a_change_has_a_new_version)
{
    put_service(service("shop", "checkout", "10.96.0.10", 50052));

    after = model_commit(the_model);

    ck_assert_uint_gt(after->version, before->version);
}
END_TEST

START_TEST(commit_keeps_the_backends_that_did_not_change)
{
    put_service(service("shop", "cart", "10.96.0.11", 80));

    after = model_commit(the_model);

    ck_assert_uint_eq(after->count, 2);
    ck_assert_ptr_eq(find(after, "checkout"), find(before, "checkout"));
}
END_TEST

START_TEST(world_is_immutable)
{
    model_remove_service(the_model, STR("shop"), STR("checkout"));
    after = model_commit(the_model);

    ck_assert_ptr_null(find(after, "checkout"));
    ck_assert_uint_eq(find(before, "checkout")->ports[0].count, 2);
}
END_TEST

START_TEST(slice_that_arrives_before_its_service_waits_for_it)
{
    struct slice *s = slice("shop", "cart-a", "cart", 80);

    ready(s, "10.1.0.9");
    put_slice(s);
    apply();
    put_service(service("shop", "cart", NULL, 80));

    after = model_commit(the_model);

    ck_assert_uint_eq(find(after, "cart")->ports[0].count, 1);
}
END_TEST

START_TEST(slice_of_another_namespace_does_not_count)
{
    struct slice *s = slice("other", "checkout-b", "checkout", 8080);

    ready(s, "10.1.0.9");
    put_slice(s);

    after = model_commit(the_model);

    ck_assert_uint_eq(find(after, "checkout")->ports[0].count, 2);
}
END_TEST

START_TEST(slice_whose_label_changes_moves_to_the_other_service)
{
    struct slice *s = slice("shop", "checkout-a", "cart", 8080);

    ready(s, "10.1.0.1");
    put_slice(s);
    put_service(service("shop", "cart", NULL, 80));

    after = model_commit(the_model);

    ck_assert_uint_eq(find(after, "checkout")->ports[0].count, 0);
    ck_assert_uint_eq(find(after, "cart")->ports[0].count, 1);
}
END_TEST

START_TEST(removed_slice_takes_its_endpoints_along)
{
    model_remove_slice(the_model, STR("shop"), STR("checkout-a"));

    after = model_commit(the_model);

    ck_assert_uint_eq(find(after, "checkout")->ports[0].count, 0);
    ck_assert_uint_eq(model_slice_count(the_model), 0);
}
END_TEST

START_TEST(removing_what_is_not_there_changes_nothing)
{
    model_remove_service(the_model, STR("shop"), STR("nobody"));
    model_remove_slice(the_model, STR("shop"), STR("nobody"));

    after = model_commit(the_model);

    ck_assert_ptr_eq(after, before);
}
END_TEST

START_TEST(world_is_sorted_whatever_the_order_of_arrival)
{
    static const char *const names[] = {"m", "a", "z", "c", "y", "b"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        put_service(service("shop", names[i], NULL, 80));
        apply();
    }
    put_service(service("ant", "z", NULL, 80));
    model_remove_service(the_model, STR("shop"), STR("c"));

    after = model_commit(the_model);

    ck_assert_uint_eq(after->count, 7);
    for (size_t i = 1; i < after->count; i++) {
        ck_assert_int_lt(backend_compare(after->backends[i - 1], after->backends[i]), 0);
    }
    ck_assert_ptr_null(find(after, "c"));
    ck_assert_ptr_nonnull(find(after, "checkout"));
}
END_TEST

START_TEST(model_refuses_a_service_past_the_limit)
{
    for (unsigned i = 1; i < MODEL_SERVICES_MAX; i++) {
        char name[32];

        snprintf(name, sizeof name, "s%u", i);
        put_service(service("shop", name, NULL, 80));
    }

    ck_assert(!model_put_service(the_model, service("shop", "one-too-many", NULL, 80)));
    ck_assert_uint_eq(model_service_count(the_model), MODEL_SERVICES_MAX);
}
END_TEST

START_TEST(model_replaces_a_service_at_the_limit)
{
    for (unsigned i = 1; i < MODEL_SERVICES_MAX; i++) {
        char name[32];

        snprintf(name, sizeof name, "s%u", i);
        put_service(service("shop", name, NULL, 80));
    }

    ck_assert(model_put_service(the_model, service("shop", "checkout", NULL, 81)));
}
END_TEST

UNIT_MAIN("model", setup, teardown, commit_without_a_change_is_the_same_world, commit_after_an_equal_put_is_the_same_world,
          commit_of_a_change_has_a_new_version, commit_keeps_the_backends_that_did_not_change, world_is_immutable,
          slice_that_arrives_before_its_service_waits_for_it, slice_of_another_namespace_does_not_count,
          slice_whose_label_changes_moves_to_the_other_service, removed_slice_takes_its_endpoints_along,
          removing_what_is_not_there_changes_nothing, world_is_sorted_whatever_the_order_of_arrival,
          model_refuses_a_service_past_the_limit, model_replaces_a_service_at_the_limit)
