/* SPDX-License-Identifier: Apache-2.0 */

/* Documents, lists and kinds of a file; a file is taken as a whole or not at all. */

#include <stdio.h>
#include <string.h>

#include "api/source/parse.h"
#include "unit.h"

#define SERVICE(name) "{apiVersion: v1, kind: Service, metadata: {name: " name "}, spec: {ports: [{port: 80}]}}\n"
#define SLICE(name)                                                                            \
    "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: []," \
    " metadata: {name: " name ", labels: {kubernetes.io/service-name: a}}}\n"

static struct manifest m;

static void teardown(void)
{
    manifest_deinit(&m);
}

static bool parse(const char *text)
{
    return manifest_parse(&m, str_from(text));
}

START_TEST(file_with_many_documents_yields_all_objects)
{
    ck_assert(parse(SERVICE("a") "---\n" SLICE("s") "---\n" SERVICE("b")));
    ck_assert_uint_eq(m.service_count, 2);
    ck_assert_uint_eq(m.slice_count, 1);
}
END_TEST

START_TEST(empty_file_yields_nothing)
{
    ck_assert(parse("# nothing yet\n"));
    ck_assert_uint_eq(m.service_count, 0);
}
END_TEST

START_TEST(list_is_expanded)
{
    ck_assert(parse("apiVersion: v1\nkind: List\nitems:\n- " SERVICE("a") "- " SLICE("s")));
    ck_assert_uint_eq(m.service_count, 1);
    ck_assert_uint_eq(m.slice_count, 1);
}
END_TEST

START_TEST(typed_list_s_items_need_not_say_what_they_are)
{
    ck_assert(parse("{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: a}, spec: {ports: [{port: 80}]}}]}"));
    ck_assert_uint_eq(m.service_count, 1);
}
END_TEST

START_TEST(slice_list_is_expanded)
{
    ck_assert(parse("apiVersion: discovery.k8s.io/v1\nkind: EndpointSliceList\nitems:\n- " SLICE("s")));
    ck_assert_uint_eq(m.slice_count, 1);
}
END_TEST

START_TEST(list_within_a_list_is_refused)
{
    ck_assert(!parse("{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: []}]}"));
    ck_assert_ptr_nonnull(strstr(m.error.reason, "a List within a List"));
}
END_TEST

START_TEST(list_whose_items_are_no_list_is_refused)
{
    ck_assert(!parse("{apiVersion: v1, kind: List, items: {}}"));
}
END_TEST

START_TEST(other_kind_is_named_with_its_line)
{
    ck_assert(parse(SERVICE("a") "---\napiVersion: apps/v1\nkind: Deployment\n"));
    ck_assert_uint_eq(m.service_count, 1);
    ck_assert_uint_eq(m.other_count, 1);
    ck_assert_str_eq(m.others[0].kind, "Deployment");
    ck_assert_uint_eq(m.others[0].line, 3);
}
END_TEST

START_TEST(other_kind_is_named_once)
{
    ck_assert(parse("{apiVersion: apps/v1, kind: Deployment}\n---\n{apiVersion: apps/v1, kind: Deployment}\n"));
    ck_assert_uint_eq(m.other_count, 1);
}
END_TEST

START_TEST(kind_of_another_api_group_is_not_ours)
{
    ck_assert(parse("{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}"));
    ck_assert_uint_eq(m.service_count, 0);
    ck_assert_uint_eq(m.other_count, 1);
}
END_TEST

START_TEST(more_other_kinds_than_are_named_do_no_harm)
{
    char text[4096] = "";
    size_t len = 0;

    for (int i = 0; i < OTHER_KINDS_MAX + 5; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "---\n{apiVersion: x/v1, kind: K%d}\n", i);
    }
    ck_assert(parse(text));
    ck_assert_uint_eq(m.other_count, OTHER_KINDS_MAX);
}
END_TEST

START_TEST(long_kind_is_cut)
{
    ck_assert(
        parse("{apiVersion: x/v1, kind: Kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}\n"));
    ck_assert_uint_lt(strlen(m.others[0].kind), sizeof m.others[0].kind);
}
END_TEST

START_TEST(one_wrong_document_refuses_the_whole_file)
{
    ck_assert(!parse(SERVICE("a") "---\n{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: [{port: x}]}}\n"));
    ck_assert_uint_eq(m.service_count, 0);
    ck_assert_uint_eq(m.error.line, 3);
}
END_TEST

static const char *const nothings[] = {
    "just text\n",
    "[a, b]\n",
    "kind: Service\n",
    "apiVersion: v1\n",
    "apiVersion: v1\nkind: [Service]\n",
    "apiVersion: v1\nkind: Service\n",
    "apiVersion: v1\nkind: List\nitems: [x]\n",
};

START_TEST(document_that_is_no_object_is_refused)
{
    ck_assert_msg(!parse(nothings[_i]), "accepted %s", nothings[_i]);
    ck_assert_uint_gt(strlen(m.error.reason), 0);
}
END_TEST

/* As an editor or `cat > file` leaves it half-way: cut at every byte, a file is either refused or has whole objects only. */
START_TEST(file_cut_anywhere_never_yields_half_an_object)
{
    static const char text[] = "apiVersion: v1\n"
                               "kind: Service\n"
                               "metadata:\n"
                               "  name: checkout\n"
                               "  namespace: shop\n"
                               "spec:\n"
                               "  clusterIP: 10.96.0.10\n"
                               "  ports:\n"
                               "  - port: 50051\n"
                               "    name: grpc\n";
    static const char port[] = "  - port: 50051";
    size_t whole = (size_t)(strstr(text, port) - text) + strlen("  - port: ");

    for (size_t len = 0; len < sizeof text - 1; len++) {
        bool is_ok = manifest_parse(&m, (struct str){text, len});

        /* Before the port there is no Service; within its digits another number can be read, which no parser can know. */
        ck_assert_msg(len <= whole ? m.service_count == 0 : true, "%zu bytes", len);
        ck_assert(is_ok || m.error.reason[0] != '\0');
        manifest_deinit(&m);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {file_with_many_documents_yields_all_objects,
                                  empty_file_yields_nothing,
                                  list_is_expanded,
                                  typed_list_s_items_need_not_say_what_they_are,
                                  slice_list_is_expanded,
                                  list_within_a_list_is_refused,
                                  list_whose_items_are_no_list_is_refused,
                                  other_kind_is_named_with_its_line,
                                  other_kind_is_named_once,
                                  kind_of_another_api_group_is_not_ours,
                                  more_other_kinds_than_are_named_do_no_harm,
                                  long_kind_is_cut,
                                  one_wrong_document_refuses_the_whole_file,
                                  file_cut_anywhere_never_yields_half_an_object};
    TCase *loops = unit_case("nothings", NULL, teardown, NULL, 0);

    tcase_add_loop_test(loops, document_that_is_no_object_is_refused, 0, ARRAY_LEN(nothings));
    return unit_run("parse", unit_case("parse", NULL, teardown, tests, ARRAY_LEN(tests)), loops, (TCase *)NULL);
}
