/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#include "api/kube/yaml_tree.h"
#include "unit.h"

static struct yaml yaml;
static struct yaml_error error;

static void teardown(void)
{
    yaml_deinit(&yaml);
}

static bool load(const char *text)
{
    yaml_deinit(&yaml);
    return yaml_load(&yaml, str_from(text), &error);
}

static const struct yaml_node *get(const char *key)
{
    return yaml_get(yaml.documents[0], key);
}

START_TEST(yaml_reads_a_mapping)
{
    ck_assert(load("a: x\nb: 'y z'\n"));
    ck_assert(str_eq(get("a")->text, STR("x")));
    ck_assert(str_eq(get("b")->text, STR("y z")));
}
END_TEST

START_TEST(yaml_reads_a_list)
{
    ck_assert(load("a:\n- x\n- y\n"));
    ck_assert_uint_eq(get("a")->count, 2);
    ck_assert(str_eq(get("a")->items[1]->text, STR("y")));
}
END_TEST

START_TEST(yaml_reads_json)
{
    ck_assert(load("{\"a\": {\"b\": [1, \"2\"]}}"));
    ck_assert_uint_eq(yaml_get(get("a"), "b")->count, 2);
}
END_TEST

START_TEST(yaml_knows_the_line_of_each_value)
{
    ck_assert(load("a: 1\nb:\n  c: 3\n"));
    ck_assert_uint_eq(yaml_get(get("b"), "c")->line, 3);
}
END_TEST

START_TEST(yaml_reads_several_documents)
{
    ck_assert(load("a: 1\n---\nb: 2\n"));
    ck_assert_uint_eq(yaml.count, 2);
}
END_TEST

START_TEST(yaml_leaves_empty_documents_out)
{
    ck_assert(load("---\n---\na: 1\n---\n# only a comment\n"));
    ck_assert_uint_eq(yaml.count, 1);
}
END_TEST

START_TEST(yaml_of_no_bytes_has_no_documents)
{
    ck_assert(load(""));
    ck_assert_uint_eq(yaml.count, 0);
}
END_TEST

static const char *const nulls[] = {"a:\n", "a: ~\n", "a: null\n", "a: Null\n", "a: NULL\n", "b: 1\n"};

START_TEST(yaml_get_of_null_is_nothing)
{
    ck_assert(load(nulls[_i]));
    ck_assert_ptr_null(get("a"));
}
END_TEST

START_TEST(yaml_get_of_a_quoted_null_is_a_text)
{
    ck_assert(load("a: \"null\"\n"));
    ck_assert_ptr_nonnull(get("a"));
}
END_TEST

START_TEST(yaml_get_of_a_repeated_key_is_the_last)
{
    ck_assert(load("a: 1\na: 2\n"));
    ck_assert(str_eq(get("a")->text, STR("2")));
}
END_TEST

START_TEST(yaml_get_of_something_else_than_a_mapping_is_nothing)
{
    ck_assert(load("[a, b]"));
    ck_assert_ptr_null(get("a"));
    ck_assert_ptr_null(yaml_get(NULL, "a"));
}
END_TEST

START_TEST(yaml_says_where_it_broke)
{
    ck_assert(!load("a: 1\nb: [1, 2\nc: 3\n"));
    ck_assert_uint_ge(error.line, 2);
    ck_assert_ptr_nonnull(strstr(error.reason, "not YAML"));
}
END_TEST

START_TEST(yaml_that_broke_holds_nothing)
{
    ck_assert(!load("a: 1\n---\nb: [1, 2\n"));
    ck_assert_uint_eq(yaml.count, 0);
}
END_TEST

START_TEST(yaml_refuses_bytes_that_are_not_utf8)
{
    ck_assert(!load("a: \xff\xfe\n"));
}
END_TEST

START_TEST(yaml_refuses_aliases)
{
    ck_assert(!load("a: &x [1]\nb: *x\n"));
    ck_assert_uint_eq(error.line, 2);
    ck_assert_ptr_nonnull(strstr(error.reason, "alias"));
}
END_TEST

static bool load_nested(unsigned levels)
{
    char text[YAML_DEPTH_MAX * 2 + 8];

    memset(text, '[', levels);
    memset(text + levels, ']', levels);
    text[levels * 2] = '\0';
    return load(text);
}

START_TEST(yaml_reads_the_deepest_allowed_nesting)
{
    ck_assert(load_nested(YAML_DEPTH_MAX));
}
END_TEST

START_TEST(yaml_refuses_one_level_more)
{
    ck_assert(!load_nested(YAML_DEPTH_MAX + 1));
    ck_assert_ptr_nonnull(strstr(error.reason, "nested deeper"));
}
END_TEST

START_TEST(yaml_refuses_a_text_that_is_too_large)
{
    char *text = mem_alloc(YAML_BYTES_MAX + 1);

    memset(text, ' ', YAML_BYTES_MAX + 1);
    ck_assert(!yaml_load(&yaml, (struct str){text, YAML_BYTES_MAX + 1}, &error));
    ck_assert_ptr_nonnull(strstr(error.reason, "larger than"));
    mem_free(text);
}
END_TEST

START_TEST(yaml_refuses_too_many_values)
{
    size_t len = 2 * (size_t)YAML_NODES_MAX + 2;
    char *text = mem_alloc(len);

    for (size_t i = 0; i < len; i += 2) {
        memcpy(text + i, i == 0 ? "[1" : ",1", 2);
    }
    ck_assert(!yaml_load(&yaml, (struct str){text, len}, &error));
    ck_assert_ptr_nonnull(strstr(error.reason, "values"));
    mem_free(text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {yaml_reads_a_mapping,
                                  yaml_reads_a_list,
                                  yaml_reads_json,
                                  yaml_knows_the_line_of_each_value,
                                  yaml_reads_several_documents,
                                  yaml_leaves_empty_documents_out,
                                  yaml_of_no_bytes_has_no_documents,
                                  yaml_get_of_a_quoted_null_is_a_text,
                                  yaml_get_of_a_repeated_key_is_the_last,
                                  yaml_get_of_something_else_than_a_mapping_is_nothing,
                                  yaml_says_where_it_broke,
                                  yaml_that_broke_holds_nothing,
                                  yaml_refuses_bytes_that_are_not_utf8,
                                  yaml_refuses_aliases,
                                  yaml_reads_the_deepest_allowed_nesting,
                                  yaml_refuses_one_level_more,
                                  yaml_refuses_a_text_that_is_too_large,
                                  yaml_refuses_too_many_values};
    TCase *plain = unit_case("yaml", NULL, teardown, tests, ARRAY_LEN(tests));
    TCase *loops = unit_case("nulls", NULL, teardown, NULL, 0);

    tcase_set_timeout(plain, 50);
    tcase_add_loop_test(loops, yaml_get_of_null_is_nothing, 0, ARRAY_LEN(nulls));
    return unit_run("yaml_tree", plain, loops, (TCase *)NULL);
}
