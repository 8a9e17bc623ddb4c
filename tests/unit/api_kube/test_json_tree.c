/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "api/kube/json_tree.h"
#include "unit.h"

static struct yaml tree;

static void teardown(void)
{
    yaml_deinit(&tree);
}

static bool make(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

    ck_assert_msg(value != NULL, "%s", error.text);
    bool is_ok = json_tree_make(&tree, value);

    json_decref(value);
    return is_ok;
}

static const struct yaml_node *get(const char *key)
{
    return yaml_get(tree.documents[0], key);
}

START_TEST(values_become_what_yaml_would_read)
{
    ck_assert(make("{\"s\": \"text\", \"n\": 8080, \"t\": true, \"f\": false, \"z\": null}"));
    ck_assert(str_eq(get("s")->text, STR("text")));
    ck_assert(!get("s")->is_plain);
    ck_assert(str_eq(get("n")->text, STR("8080")));
    ck_assert(get("n")->is_plain);
    ck_assert(str_eq(get("t")->text, STR("true")));
    ck_assert(str_eq(get("f")->text, STR("false")));
    ck_assert_ptr_null(get("z"));
}
END_TEST

START_TEST(a_string_that_looks_like_null_is_a_string)
{
    ck_assert(make("{\"s\": \"null\"}"));
    ck_assert_ptr_nonnull(get("s"));
}
END_TEST

START_TEST(containers_nest)
{
    ck_assert(make("{\"list\": [{\"a\": 1}, {\"a\": 2}], \"empty\": [], \"map\": {}}"));
    ck_assert_uint_eq(get("list")->count, 2);
    ck_assert(str_eq(yaml_get(get("list")->items[1], "a")->text, STR("2")));
    ck_assert_uint_eq(get("empty")->count, 0);
    ck_assert_int_eq(get("map")->kind, YAML_MAP);
}
END_TEST

/* Levels of lists, and whether they pass. */
static const struct {
    unsigned depth;
    bool is_ok;
} depths[] = {{1, true}, {YAML_DEPTH_MAX, true}, {YAML_DEPTH_MAX + 1, false}, {2000, false}};

START_TEST(nesting_is_bounded)
{
    char text[4100] = "";

    memset(text, '[', depths[_i].depth);
    memset(text + depths[_i].depth, ']', depths[_i].depth);
    ck_assert_int_eq(make(text), depths[_i].is_ok);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("json_tree");

    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, values_become_what_yaml_would_read);
    tcase_add_test(t, a_string_that_looks_like_null_is_a_string);
    tcase_add_test(t, containers_nest);
    tcase_add_loop_test(t, nesting_is_bounded, 0, (int)ARRAY_LEN(depths));
    return unit_run("json_tree", t, NULL);
}
