/* SPDX-License-Identifier: Apache-2.0 */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/mem.h"
#include "fixture.h"
#include "net/http_parse.h"

static struct http_parse parse;

static void setup(void)
{
    http_parse_init(&parse);
}

static void teardown(void)
{
    http_parse_deinit(&parse);
}

/* The bytes come one at a time, each alone in memory that is gone afterwards. Returns how many there were until the end in *ret_used. */
static int run_bytewise(const char *text, size_t len, size_t *ret_used)
{
    int r = 0;

    *ret_used = 0;
    for (size_t i = 0; i < len && r == 0; i++) {
        char *byte = mem_copy(text + i, 1);
        size_t used;

        r = http_parse_run(&parse, (struct str){byte, 1}, &used);
        *ret_used += used;
        mem_free(byte);
    }
    return r;
}

static void ck_assert_str(struct str got, const char *expected)
{
    ck_assert_msg(str_eq(got, str_from(expected)), "%.*s instead of %s", (int)got.len, got.p, expected);
}

START_TEST(whole_request_is_read_however_it_comes)
{
    static const char text[] =
        "POST /a%20b?x=1&y HTTP/1.1\r\nhost:  example:80 \r\nOrigin: http://o\r\nContent-Length: 3\r\n\r\nabcGET";
    size_t used;

    ck_assert_int_eq(run_bytewise(text, strlen(text), &used), 1);
    ck_assert_uint_eq(used, strlen(text) - strlen("GET"));
    ck_assert_uint_eq(parse.len, used);
    ck_assert_str(parse.method, "POST");
    ck_assert_str(parse.path, "/a%20b");
    ck_assert_str(parse.query, "x=1&y");
    ck_assert_str(parse.host, "example:80");
    ck_assert_str(parse.origin, "http://o");
    ck_assert_str(parse.body, "abc");
    ck_assert(!parse.is_last);
}
END_TEST

START_TEST(chunks_are_joined_however_they_come)
{
    static const char text[] = "\r\n\r\nPUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nConnection: x, Close\r\n\r\n"
                               "3;a=b\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: t\r\nHost: y\r\nOrigin: z\r\n\r\nGET";
    size_t used;

    ck_assert_int_eq(run_bytewise(text, strlen(text), &used), 1);
    ck_assert_uint_eq(used, strlen(text) - strlen("GET"));
    ck_assert_str(parse.body, "abc0123456789");
    ck_assert_str(parse.method, "PUT");
    ck_assert_str(parse.host, "x");
    ck_assert_str(parse.origin, "");
    ck_assert(parse.is_last);
}
END_TEST

static const struct {
    const char *text;
    int result;
} requests[] = {
    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1},
    {"GET / HTTP/1.0\r\n\r\n", 1},
    {"GET http://h/p?q HTTP/1.1\r\nHost: x\r\n\r\n", 1},
    {"GET http://h HTTP/1.1\r\nHost: x\r\n\r\n", 1},
    {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 1},  /* RFC 9112 §3 allows it */
    {"PATCH / HTTP/1.1\r\nHost: x\r\n\r\n", 1}, /* whether it will do is the server's matter */
    {"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 1}, /* and may be ignored */
    {"GET / HTTP/1.1\r\nHost: x\r\n", 0},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 0},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc", 0},
    {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505},
    {"GET /\r\n\r\n", 505}, /* that was HTTP/0.9 */
    {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
    {"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 501},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nOrigin: a\r\nOrigin:\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
    {"\x16\x03\x01\x02", 400},
    {"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /#f HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET / http/1.1\r\nHost: x\r\n\r\n", 400},
    {"G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: b\rC\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", 413},
    {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"PUT / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400},
    {"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", 413},
};

START_TEST(request_has_the_one_result_that_its_bytes_allow)
{
    const char *text = requests[_i].text;
    size_t used;
    int r = http_parse_run(&parse, str_from(text), &used);

    ck_assert_msg(r == requests[_i].result, "%d in one piece: %s", r, text);
    http_parse_deinit(&parse);
    http_parse_init(&parse);
    r = run_bytewise(text, strlen(text), &used);
    ck_assert_msg(r == requests[_i].result, "%d bytewise: %s", r, text);
}
END_TEST

/* `count` times `piece` behind `start`. */
static int run_flood(const char *start, const char *piece, size_t count)
{
    struct text text;
    size_t used;
    int r;

    text_init(&text, (size_t)16 * 1024 * 1024);
    text_append_str(&text, str_from(start));
    for (size_t i = 0; i < count; i++) {
        text_append_str(&text, str_from(piece));
    }
    r = http_parse_run(&parse, (struct str){text.p, text.len}, &used);
    text_deinit(&text);
    return r;
}

START_TEST(floods_end_at_their_limit)
{
    static const char *const starts[] = {"GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: ", "GET /"};
    static const char chunked[] = "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

    ck_assert_int_eq(run_flood(starts[0], "a: b\r\n", 5000), 400);
    teardown();
    setup();
    ck_assert_int_eq(run_flood(starts[1], "x", 17000), 400);
    teardown();
    setup();
    ck_assert_int_eq(run_flood(starts[2], "x", 17000), 400);
    teardown();
    setup();
    ck_assert_int_eq(run_flood("", "\r\n", 9000), 400);
    teardown();
    setup();
    ck_assert_int_eq(run_flood(chunked, "1\r\nx\r\n", 1100000), 413);
    teardown();
    setup();
    ck_assert_int_eq(run_flood(chunked, "0", 5000000), 413);
    teardown();
    setup();
    ck_assert_int_eq(run_flood("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "a: b\r\n", 1000000), 413);
}
END_TEST

START_TEST(more_than_a_hundred_fields_are_refused)
{
    struct text text;
    size_t used;

    text_init(&text, HTTP_HEAD_MAX);
    text_printf(&text, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 100; i++) {
        text_printf(&text, "a: b\r\n");
    }
    text_printf(&text, "\r\n");
    ck_assert_int_eq(http_parse_run(&parse, (struct str){text.p, text.len}, &used), 400);
    text_deinit(&text);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_parse");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, whole_request_is_read_however_it_comes);
    tcase_add_test(tcase, chunks_are_joined_however_they_come);
    tcase_add_loop_test(tcase, request_has_the_one_result_that_its_bytes_allow, 0, ARRAY_LEN(requests));
    tcase_add_test(tcase, floods_end_at_their_limit);
    tcase_add_test(tcase, more_than_a_hundred_fields_are_refused);
    return run_tcase(tcase);
}
