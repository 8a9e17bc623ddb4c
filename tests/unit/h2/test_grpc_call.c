/* SPDX-License-Identifier: Apache-2.0 */

/* Calls between two of ours, and a call's peer that frames messages by hand. */

#include <stdio.h>
#include <string.h>

#include "base/object.h"
#include "fixture.h"
#include "h2/grpc_call.h"

#define MESSAGE_MAX ((size_t)100000)

struct party {
    struct grpc_call *call; /* NULL once over */
    char messages[512];     /* each in brackets; long ones as their length */
    unsigned count;
    bool is_half_closed;
    bool is_drained;
    bool is_closed;
    int status;
    char text[512];
    bool must_cancel; /* from within on_message */
};

static struct party caller;
static struct party callee;

static void on_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    struct party *p = grpc_call_ctx(c);
    size_t used = strlen(p->messages);

    p->count++;
    if (len < 40) {
        snprintf(p->messages + used, sizeof p->messages - used, "[%.*s]", (int)len, (const char *)bytes);
    } else {
        snprintf(p->messages + used, sizeof p->messages - used, "[%zu]", len);
    }
    if (p->must_cancel) {
        grpc_call_cancel(&p->call);
    }
}

static void on_half_closed(struct grpc_call *c)
{
    struct party *p = grpc_call_ctx(c);

    p->is_half_closed = true;
}

static void on_drained(struct grpc_call *c)
{
    struct party *p = grpc_call_ctx(c);

    p->is_drained = true;
}

static void on_closed(struct grpc_call *c, enum grpc_status status, struct str message)
{
    struct party *p = grpc_call_ctx(c);

    ck_assert(!p->is_closed);
    p->is_closed = true;
    p->call = NULL;
    p->status = (int)status;
    snprintf(p->text, sizeof p->text, "%.*s", (int)message.len, message.len > 0 ? message.p : "");
}

static const struct grpc_call_ops ops = {
    .on_message = on_message,
    .on_half_closed = on_half_closed,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static void accept_call(struct h2_session *s, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    (void)s;
    if (str_eq(h2_headers_value(headers, STR(":path")), STR("/unknown"))) {
        h2_headers_free(&headers);
        grpc_refuse(stream, GRPC_UNIMPLEMENTED, STR("no such method"));
        return;
    }
    callee.call = grpc_call_accept(stream, headers, is_end, MESSAGE_MAX, &ops, &callee);
}

static const struct h2_session_ops server_ops = {.on_request = accept_call};

static void setup(void)
{
    struct stream stream;
    int fds[2];

    fixture_setup();
    caller = (struct party){0};
    callee = (struct party){0};
    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    stream_init(&stream, loop, fds[1]);
    server.session = h2_session_new(H2_SERVER, &stream, &options, &server_ops, &server);
    settle();
}

static void teardown(void)
{
    if (caller.call != NULL) {
        grpc_call_cancel(&caller.call);
    }
    if (callee.call != NULL) {
        grpc_call_cancel(&callee.call);
    }
    fixture_teardown();
}

static void start_call(const char *path)
{
    struct grpc_call_options call = {.authority = STR("api"), .path = str_from(path), .max_message_bytes = MESSAGE_MAX};
    int error = 0;

    caller.call = grpc_call_start(client.session, &call, &ops, &caller, &error);
    ck_assert_ptr_nonnull(caller.call);
    settle();
}

static void say(struct party *p, const char *text)
{
    grpc_call_send(p->call, (const uint8_t *)text, strlen(text));
    settle();
}

START_TEST(messages_pass_both_ways_and_the_status_ends_the_call)
{
    start_call("/pkg.Service/Method");
    say(&caller, "one");
    say(&callee, "uno");
    say(&caller, "");
    say(&caller, "three");
    grpc_call_half_close(caller.call);
    settle();
    ck_assert(callee.is_half_closed);
    say(&callee, "tres");
    grpc_call_finish(callee.call, GRPC_NOT_FOUND, STR("gone: 100 %\n"));
    settle();

    ck_assert_str_eq(callee.messages, "[one][][three]");
    ck_assert_str_eq(caller.messages, "[uno][tres]");
    ck_assert(caller.is_closed && callee.is_closed);
    ck_assert_int_eq(caller.status, GRPC_NOT_FOUND);
    ck_assert_str_eq(caller.text, "gone: 100 %\n");
    ck_assert_int_eq(callee.status, GRPC_NOT_FOUND);
}
END_TEST

START_TEST(a_large_message_passes_and_says_when_it_is_gone)
{
    static uint8_t large[99000];

    start_call("/m");
    grpc_call_send(caller.call, large, sizeof large);
    ck_assert_uint_eq(grpc_call_pending(caller.call), sizeof large + 5);
    ck_assert(!caller.is_drained);
    settle();

    ck_assert_str_eq(callee.messages, "[99000]");
    ck_assert(caller.is_drained);
    ck_assert_uint_eq(grpc_call_pending(caller.call), 0);
}
END_TEST

START_TEST(a_message_over_the_limit_is_resource_exhausted)
{
    static uint8_t large[100001];

    start_call("/m");
    grpc_call_send(caller.call, large, sizeof large);
    settle();

    ck_assert_uint_eq(callee.count, 0);
    ck_assert_int_eq(callee.status, GRPC_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(caller.status, GRPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(a_response_over_the_limit_ends_the_call_at_the_client)
{
    static uint8_t large[100001];

    start_call("/m");
    grpc_call_send(callee.call, large, sizeof large);
    settle();

    ck_assert_uint_eq(caller.count, 0);
    ck_assert_int_eq(caller.status, GRPC_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(callee.status, GRPC_CANCELLED);
}
END_TEST

START_TEST(a_refused_method_is_told_trailers_only)
{
    start_call("/unknown");

    ck_assert(caller.is_closed);
    ck_assert_int_eq(caller.status, GRPC_UNIMPLEMENTED);
    ck_assert_str_eq(caller.text, "no such method");
}
END_TEST

START_TEST(a_lost_connection_is_unavailable)
{
    start_call("/m");
    h2_session_close(server.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    server.session = NULL;
    settle();

    ck_assert_int_eq(caller.status, GRPC_UNAVAILABLE);
    ck_assert(callee.is_closed);
}
END_TEST

START_TEST(a_cancelled_call_is_silent_and_told_to_the_other_side)
{
    start_call("/m");
    grpc_call_cancel(&caller.call);
    ck_assert_ptr_null(caller.call);
    settle();

    ck_assert(!caller.is_closed);
    ck_assert_int_eq(callee.status, GRPC_CANCELLED);
}
END_TEST

START_TEST(a_call_may_be_cancelled_from_its_own_message)
{
    start_call("/m");
    callee.must_cancel = true;
    grpc_call_send(caller.call, (const uint8_t *)"1", 1);
    grpc_call_send(caller.call, (const uint8_t *)"2", 1);
    settle();

    ck_assert_str_eq(callee.messages, "[1]");
    ck_assert(!callee.is_closed);
    ck_assert_int_eq(caller.status, GRPC_CANCELLED);
}
END_TEST

START_TEST(a_call_on_a_closing_session_is_refused)
{
    struct grpc_call_options call = {.authority = STR("api"), .path = STR("/m"), .max_message_bytes = MESSAGE_MAX};
    int error = 0;

    h2_session_close(client.session, H2_NO_ERROR, CLOSE_SHUTDOWN);

    ck_assert_ptr_null(grpc_call_start(client.session, &call, &ops, &caller, &error));
    ck_assert_int_lt(error, 0);
}
END_TEST

START_TEST(a_request_without_a_body_half_closes)
{
    struct heard h = {0};

    request_with(
        &h,
        block(":method", "POST", ":scheme", "http", ":path", "/m", ":authority", "a", "content-type", "application/grpc", NULL),
        true);
    settle();

    ck_assert(callee.is_half_closed);
    grpc_call_finish(callee.call, GRPC_OK, STR(""));
    settle();
    ck_assert_str_eq(value_of(h.trailers, "grpc-status"), "0");
    heard_clear(&h);
}
END_TEST

/* --- framing by hand --- */

static struct heard hand;

static void start_by_hand(const char *method, const char *type)
{
    hand = (struct heard){0};
    request_with(&hand, block(":method", method, ":scheme", "http", ":path", "/m", ":authority", "a", "content-type", type, NULL),
                 false);
    settle();
}

START_TEST(messages_may_be_cut_anywhere)
{
    static const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'd', 'e'};
    size_t cut = (size_t)_i;

    start_by_hand("POST", "application/grpc+proto");
    h2_stream_send_data(hand.stream, bytes, cut);
    settle();
    h2_stream_send_data(hand.stream, bytes + cut, sizeof bytes - cut);
    h2_stream_send_end(hand.stream);
    settle();

    ck_assert_str_eq(callee.messages, "[abc][][de]");
    ck_assert(callee.is_half_closed);
    heard_clear(&hand);
}
END_TEST

START_TEST(messages_may_come_byte_by_byte)
{
    static const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'd', 'e'};

    start_by_hand("POST", "application/grpc");
    for (size_t i = 0; i < sizeof bytes; i++) {
        h2_stream_send_data(hand.stream, bytes + i, 1);
        loop_turn(loop, false);
        loop_turn(loop, false);
    }
    settle();

    ck_assert_str_eq(callee.messages, "[abc][][de]");
    heard_clear(&hand);
}
END_TEST

START_TEST(a_compressed_message_is_unimplemented)
{
    start_by_hand("POST", "application/grpc");
    h2_stream_send_data(hand.stream, (const uint8_t *)"\1\0\0\0\1x", 6);
    settle();

    ck_assert_str_eq(value_of(hand.trailers, "grpc-status"), "12");
    ck_assert_uint_eq(callee.count, 0);
    ck_assert_int_eq(callee.status, GRPC_UNIMPLEMENTED);
    heard_clear(&hand);
}
END_TEST

START_TEST(a_request_that_ends_within_a_message_is_an_error)
{
    start_by_hand("POST", "application/grpc");
    h2_stream_send_data(hand.stream, (const uint8_t *)"\0\0\0\0\7abc", 8);
    h2_stream_send_end(hand.stream);
    settle();

    ck_assert_str_eq(value_of(hand.trailers, "grpc-status"), "13");
    heard_clear(&hand);
}
END_TEST

START_TEST(what_is_not_grpc_is_refused_in_http)
{
    start_by_hand("POST", "application/json");
    ck_assert_str_eq(value_of(hand.response, ":status"), "415");
    heard_clear(&hand);
    start_by_hand("POST", "application/grpc-web");
    ck_assert_str_eq(value_of(hand.response, ":status"), "415");
    heard_clear(&hand);
    start_by_hand("GET", "application/grpc");
    ck_assert_str_eq(value_of(hand.response, ":status"), "405");
    heard_clear(&hand);
    ck_assert_ptr_null(callee.call);
}
END_TEST

START_TEST(messages_are_percent_encoded)
{
    struct text out;

    text_init(&out, 100);
    grpc_encode_message(STR("50% \xc3\xa9\n~"), &out);
    ck_assert_str_eq(out.p, "50%25 %C3%A9%0A~");
    text_deinit(&out);
}
END_TEST

/* --- answers by hand --- */

static struct h2_stream *asked;

static void note_request(struct h2_session *s, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    (void)s;
    (void)is_end;
    asked = stream;
    h2_headers_free(&headers);
}

static const struct h2_session_ops hand_ops = {.on_request = note_request};

static const struct {
    const char *fields[6];
    int status;
} answers[] = {
    {{":status", "503", "content-type", "text/html", NULL}, GRPC_UNAVAILABLE},
    {{":status", "404", "content-type", "text/html", NULL}, GRPC_UNIMPLEMENTED},
    {{":status", "403", "content-type", "text/html", NULL}, GRPC_PERMISSION_DENIED},
    {{":status", "200", "content-type", "text/html", NULL}, GRPC_UNKNOWN},
    {{":status", "200", "grpc-status", "7", NULL}, GRPC_PERMISSION_DENIED},
    {{":status", "200", "grpc-status", "many", NULL}, GRPC_UNKNOWN},
};

START_TEST(an_answer_maps_to_a_status)
{
    struct stream stream;
    int fds[2];

    h2_session_abandon(client.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    h2_session_abandon(server.session, H2_NO_ERROR, CLOSE_SHUTDOWN);
    settle();
    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    stream_init(&stream, loop, fds[1]);
    server.session = h2_session_new(H2_SERVER, &stream, &options, &hand_ops, &server);
    start_call("/m");
    h2_stream_send_headers(
        asked, H2_RESPONSE,
        block(answers[_i].fields[0], answers[_i].fields[1], answers[_i].fields[2], answers[_i].fields[3], NULL), true);
    settle();

    ck_assert(caller.is_closed);
    ck_assert_int_eq(caller.status, answers[_i].status);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        messages_pass_both_ways_and_the_status_ends_the_call,
        a_large_message_passes_and_says_when_it_is_gone,
        a_message_over_the_limit_is_resource_exhausted,
        a_response_over_the_limit_ends_the_call_at_the_client,
        a_refused_method_is_told_trailers_only,
        a_lost_connection_is_unavailable,
        a_cancelled_call_is_silent_and_told_to_the_other_side,
        a_call_may_be_cancelled_from_its_own_message,
        a_call_on_a_closing_session_is_refused,
        a_request_without_a_body_half_closes,
        messages_may_come_byte_by_byte,
        a_compressed_message_is_unimplemented,
        a_request_that_ends_within_a_message_is_an_error,
        what_is_not_grpc_is_refused_in_http,
        messages_are_percent_encoded,
    };
    TCase *tcase = unit_case("grpc_call", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_add_loop_test(tcase, messages_may_be_cut_anywhere, 0, 21);
    tcase_add_loop_test(tcase, an_answer_maps_to_a_status, 0, ARRAY_LEN(answers));
    return unit_run("grpc_call", tcase, (TCase *)NULL);
}
