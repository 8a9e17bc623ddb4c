/* SPDX-License-Identifier: Apache-2.0 */

/* Header blocks on the wire: forbidden fields, limits, and what must stay as it is. */

#include <nghttp2/nghttp2.h>
#include <unistd.h>

#include "base/object.h"
#include "fixture.h"
#include "rawpeer.h"

static struct heard a;
static struct heard b;

static void setup(void)
{
    fixture_setup();
    memset(&peer, 0, sizeof peer);
    a = (struct heard){0};
    b = (struct heard){0};
}

static void teardown(void)
{
    heard_clear(&a);
    heard_clear(&b);
    fixture_teardown();
    close(peer.fd);
}

/* The stream that a request opened is reset, and no handler saw it. */
static void assert_reset_unseen(uint32_t error)
{
    struct raw_frame f = raw_expect(&peer, RAW_RST);

    ck_assert_uint_eq(raw_u32(f.payload), error);
    ck_assert_uint_eq(server.requests, 0);
    ck_assert_int_eq(object_live(OBJECT_H2_STREAM), 0);
    ck_assert(!server.is_closed);
}

static const char *const bad_fields[][2] = {
    {"x", "a\rb"},   {"x", "a\nb"}, {"X-Upper", "1"}, {"connection", "close"}, {"te", "gzip"}, {"transfer-encoding", "chunked"},
    {"sp ace", "1"},
};

START_TEST(an_invalid_field_resets_the_stream)
{
    serve_raw();
    raw_request(&out);
    raw_field(&out, bad_fields[_i][0], bad_fields[_i][1]);
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_reset_unseen(NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(a_request_without_path_resets_the_stream)
{
    serve_raw();
    out.len = 0;
    raw_field(&out, ":method", "GET");
    raw_field(&out, ":scheme", "http");
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_reset_unseen(NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(an_invalid_response_field_resets_the_stream)
{
    call_raw();
    request(&a, true);
    settle();
    out.len = 0;
    raw_field(&out, ":status", "200");
    raw_field(&out, "x", "a\nb");
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_closed(&a, H2_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR);
    ck_assert_ptr_null(a.response);
    ck_assert_uint_eq(raw_u32(raw_expect(&peer, RAW_RST).payload), NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

/* A request of about `bytes` in all. */
static void send_large_request(bool is_grpc, size_t bytes)
{
    static char value[1001];

    memset(value, 'v', 1000);
    raw_request(&out);
    if (is_grpc) {
        raw_field(&out, "content-type", "application/grpc");
    }
    for (size_t n = 0; n < bytes; n += 1033) {
        raw_field(&out, "x", value);
    }
    raw_headers(&peer, 1, false, &out);
    settle();
}

/* The fields of a received HEADERS frame, inflated. */
static void inflate(const struct raw_frame *f, struct text *text)
{
    nghttp2_hd_inflater *inflater;
    const uint8_t *p = f->payload;
    size_t len = f->len;
    int flags = 0;

    ck_assert_int_eq(nghttp2_hd_inflate_new(&inflater), 0);
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, p, len, 1);

        ck_assert_int_ge(n, 0);
        p += n;
        len -= (size_t)n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            text_printf(text, "%s=%s%s\n", (char *)nv.name, (char *)nv.value,
                        (nv.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? " never" : "");
        }
    }
    nghttp2_hd_inflate_del(inflater);
}

static void assert_answer(const char *field)
{
    struct raw_frame f = raw_expect(&peer, RAW_HEADERS);
    struct text text;

    text_init(&text, 4096);
    inflate(&f, &text);
    ck_assert_msg(strstr(text.p, field) != NULL, "%s is not in\n%s", field, text.p);
    ck_assert(f.flags & RAW_END_STREAM);
    text_deinit(&text);
}

START_TEST(a_header_list_over_the_limit_is_answered_431)
{
    serve_raw();
    send_large_request(false, 100000);

    assert_answer(":status=431\n");
    ck_assert_uint_eq(raw_u32(raw_expect(&peer, RAW_RST).payload), NGHTTP2_NO_ERROR);
    ck_assert_uint_eq(server.requests, 0);
    ck_assert_uint_eq(h2_session_stream_count(server.session), 0);
}
END_TEST

START_TEST(a_grpc_call_over_the_limit_is_answered_in_grpc)
{
    serve_raw();
    send_large_request(true, 100000);

    assert_answer("grpc-status=8\n");
    ck_assert_uint_eq(server.requests, 0);
}
END_TEST

START_TEST(a_header_list_below_the_limit_passes)
{
    serve_raw();
    send_large_request(true, 60000);

    ck_assert_uint_eq(server.requests, 1);
    ck_assert_uint_gt(served(0)->request->list_bytes, 60000);
}
END_TEST

START_TEST(after_a_list_over_the_limit_the_decoder_is_still_in_step)
{
    serve_raw();
    raw_request(&out);
    for (int i = 0; i < 70; i++) {
        static char value[1001];

        memset(value, 'v', 1000);
        raw_field(&out, "x", value);
    }
    raw_field_kind(&out, 0x40, "late", "entry"); /* goes into the table, after the limit was passed */
    raw_headers(&peer, 1, true, &out);
    raw_request(&out);
    out.bytes[out.len++] = 0x80 | 62; /* the newest entry of the dynamic table */
    raw_headers(&peer, 3, true, &out);
    settle();

    ck_assert_uint_eq(server.requests, 1);
    ck_assert_str_eq(value_of(served(0)->request, "late"), "entry");
}
END_TEST

START_TEST(a_response_over_the_limit_ends_the_stream_with_that_reason)
{
    static char value[1001];

    memset(value, 'v', 1000);
    call_raw();
    request(&a, true);
    settle();
    out.len = 0;
    raw_field(&out, ":status", "200");
    for (int i = 0; i < 70; i++) {
        raw_field(&out, "x", value);
    }
    raw_headers(&peer, 1, false, &out);
    settle();

    assert_closed(&a, H2_CANCEL, CLOSE_HEADER_LIMIT);
}
END_TEST

START_TEST(request_trailers_over_the_limit_reset_the_stream)
{
    static char value[1001];

    memset(value, 'v', 1000);
    serve_raw();
    raw_request(&out);
    raw_headers(&peer, 1, false, &out);
    out.len = 0;
    for (int i = 0; i < 70; i++) {
        raw_field(&out, "x", value);
    }
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_closed(served(0), H2_ENHANCE_YOUR_CALM, CLOSE_HEADER_LIMIT);
}
END_TEST

START_TEST(too_many_fields_are_over_the_limit)
{
    serve_raw();
    raw_request(&out);
    for (int i = 0; i < H2_FIELDS_MAX; i++) {
        raw_field(&out, "x", "");
    }
    raw_headers(&peer, 1, true, &out);
    settle();

    assert_answer(":status=431\n");
}
END_TEST

START_TEST(a_field_that_must_not_be_indexed_stays_so)
{
    call_raw();
    struct h2_headers *sent = request_block();

    h2_headers_add(sent, STR("x-secret"), STR("s"));
    sent->field[sent->count - 1].is_never_indexed = true;
    h2_headers_add(sent, STR("x-plain"), STR("p"));
    request_with(&a, sent, true);
    settle();

    struct raw_frame f = raw_expect(&peer, RAW_HEADERS);
    struct text text;

    text_init(&text, 4096);
    inflate(&f, &text);
    ck_assert_ptr_nonnull(strstr(text.p, "x-secret=s never\n"));
    ck_assert_ptr_nonnull(strstr(text.p, "x-plain=p\n"));
    text_deinit(&text);
}
END_TEST

START_TEST(that_a_field_must_not_be_indexed_is_noted)
{
    serve_raw();
    raw_request(&out);
    raw_field_kind(&out, 0x10, "x-secret", "s");
    raw_field_kind(&out, 0x40, "x-plain", "p");
    raw_headers(&peer, 1, true, &out);
    settle();

    ck_assert(h2_headers_find(served(0)->request, STR("x-secret"))->is_never_indexed);
    ck_assert(!h2_headers_find(served(0)->request, STR("x-plain"))->is_never_indexed);
}
END_TEST

START_TEST(a_block_of_many_continuations_passes)
{
    serve_raw();
    raw_request(&out);
    raw_field(&out, "x", "1");
    raw_frame(&peer, RAW_HEADERS, RAW_END_STREAM, 1, out.bytes, 4);
    for (size_t at = 4; at < out.len; at += 3) {
        size_t n = out.len - at < 3 ? out.len - at : 3;

        raw_frame(&peer, RAW_CONT, at + n == out.len ? RAW_END_HEADERS : 0, 1, out.bytes + at, n);
    }
    settle();

    ck_assert_uint_eq(server.requests, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_request_without_path_resets_the_stream,
                                  an_invalid_response_field_resets_the_stream,
                                  a_header_list_over_the_limit_is_answered_431,
                                  a_grpc_call_over_the_limit_is_answered_in_grpc,
                                  a_header_list_below_the_limit_passes,
                                  after_a_list_over_the_limit_the_decoder_is_still_in_step,
                                  a_response_over_the_limit_ends_the_stream_with_that_reason,
                                  request_trailers_over_the_limit_reset_the_stream,
                                  too_many_fields_are_over_the_limit,
                                  a_field_that_must_not_be_indexed_stays_so,
                                  that_a_field_must_not_be_indexed_is_noted,
                                  a_block_of_many_continuations_passes};
    TCase *blocks = unit_case("blocks", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_add_loop_test(blocks, an_invalid_field_resets_the_stream, 0, ARRAY_LEN(bad_fields));
    return unit_run("blocks", blocks, (TCase *)NULL);
}
