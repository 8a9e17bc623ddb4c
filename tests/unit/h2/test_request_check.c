/* SPDX-License-Identifier: Apache-2.0 */

#include "base/container.h"
#include "fixture.h"
#include "h2/request_check.h"

struct sample {
    const char *authority; /* NULL: none */
    const char *host;      /* NULL: none */
    const char *path;      /* NULL: none (CONNECT) */
    bool is_sound;
};

static const struct sample samples[] = {
    {"a.b:80", NULL, "/", true},   {NULL, "a.b", "/", true},
    {NULL, NULL, "/", true},       {"a.b", "a.b", "/", true},
    {"a.b", "A.B", "/", true},                                    /* hosts know no case */
    {"a.b", "a.c", "/", false},    {"a.b", "a.b:80", "/", false}, /* another place, to those who compare bytes */
    {"a.b", "", "/", false},       {"", "a.b", "/", false},
    {"me@a.b", NULL, "/", false},  {NULL, "me@a.b", "/", false},
    {"a.b", NULL, "*", true}, /* nghttp2 has seen to the method */
    {"a.b", NULL, "", false},      {"a.b", NULL, "b", false},
    {"a.b", NULL, "*/", false},    {"a.b", NULL, "http://c.d/", false},
    {"a.b", NULL, "/x#y", false},  {"a.b", NULL, "/x/../y//z/%2f%2e?q=/../", true},
    {"a.b:443", NULL, NULL, true},
};

START_TEST(a_request_is_sound_if_it_can_be_read_in_one_way_only)
{
    const struct sample *s = &samples[_i];
    struct h2_headers *h = block(":method", "GET", ":scheme", "http", NULL);

    if (s->authority != NULL) {
        h2_headers_add(h, STR(":authority"), str_from(s->authority));
    }
    if (s->path != NULL) {
        h2_headers_add(h, STR(":path"), str_from(s->path));
    }
    if (s->host != NULL) {
        h2_headers_add(h, STR("host"), str_from(s->host));
    }
    ck_assert_int_eq(h2_request_is_sound(h), s->is_sound);
    h2_headers_free(&h);
}
END_TEST

START_TEST(two_hosts_must_agree_too)
{
    struct h2_headers *h = block(":method", "GET", "host", "a", "host", "b", NULL);

    ck_assert(!h2_request_is_sound(h));
    h2_headers_free(&h);
}
END_TEST

START_TEST(the_authority_is_the_host_where_there_is_no_other)
{
    struct h2_headers *both = block(":authority", "a", "host", "a", NULL);
    struct h2_headers *host = block("host", "b", NULL);
    struct h2_headers *none = block("x", "y", NULL);

    ck_assert(str_eq(h2_request_authority(both), STR("a")));
    ck_assert(str_eq(h2_request_authority(host), STR("b")));
    ck_assert_uint_eq(h2_request_authority(none).len, 0);
    h2_headers_free(&both);
    h2_headers_free(&host);
    h2_headers_free(&none);
}
END_TEST

int main(void)
{
    const TTest *const plain[] = {two_hosts_must_agree_too, the_authority_is_the_host_where_there_is_no_other};
    TCase *table = tcase_create("table");

    tcase_add_checked_fixture(table, fixture_setup, fixture_teardown);
    tcase_add_loop_test(table, a_request_is_sound_if_it_can_be_read_in_one_way_only, 0, (int)ARRAY_LEN(samples));
    return unit_run("request_check", table, unit_case("plain", fixture_setup, fixture_teardown, plain, ARRAY_LEN(plain)), NULL);
}
