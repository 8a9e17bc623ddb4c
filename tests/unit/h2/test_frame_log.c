/* SPDX-License-Identifier: Apache-2.0 */

/* Frames as log lines: what a line says, what it hides, and which sessions have any. */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "fixture.h"
#include "h2/frame_log.h"

static struct heard a;
static struct text out;
static int log_fd; /* what standard error is in these tests */

static void setup(void)
{
    fixture_setup();
    a = (struct heard){0};
    text_init(&out, 65536);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
}

static void set_level(const char *level)
{
    ck_assert_int_eq(log_set_levels(str_from(level), &out), 0);
}

static void teardown(void)
{
    trace_clear();
    set_level("info");
    text_deinit(&out);
    close(log_fd);
    heard_clear(&a);
    fixture_teardown();
}

/* How many lines hold `what`. */
static unsigned lines_with(const char *what)
{
    static char text[65536];
    ssize_t len = pread(log_fd, text, sizeof text - 1, 0);
    unsigned count = 0;

    ck_assert_int_ge(len, 0);
    struct str rest = {text, (size_t)len};
    struct str line;

    while (str_split(&rest, '\n', &line) && rest.p != NULL) {
        text[line.p - text + (ssize_t)line.len] = '\0';
        count += strstr(line.p, what) != NULL;
    }
    return count;
}

static const char *field(const char *name, const char *value, bool is_never_indexed)
{
    text_clear(&out);
    frame_log_field(&out, str_from(name), str_from(value), is_never_indexed);
    return out.p;
}

/* --- what a line says --- */

START_TEST(settings_have_names_and_unknown_ones_numbers)
{
    nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535}, {0x4d44, 7}};
    nghttp2_frame frame = {.settings = {.hd = {.length = 12, .type = NGHTTP2_SETTINGS}, .niv = 2, .iv = entries}};

    frame_log_format(&out, &frame, NULL);
    ck_assert_str_eq(out.p, "SETTINGS len=12 INITIAL_WINDOW_SIZE=65535 0x4d44=7");
}
END_TEST

START_TEST(flags_have_the_names_of_their_frame)
{
    nghttp2_frame data = {.hd = {.length = 5, .stream_id = 3, .type = NGHTTP2_DATA, .flags = 9}};
    nghttp2_frame ping = {.hd = {.length = 8, .type = NGHTTP2_PING, .flags = 1}};

    frame_log_format(&out, &data, NULL);
    ck_assert_str_eq(out.p, "DATA stream=3 len=5 flags=END_STREAM|PADDED");
    text_clear(&out);
    frame_log_format(&out, &ping, NULL);
    ck_assert_str_eq(out.p, "PING len=8 flags=ACK data=0000000000000000");
}
END_TEST

START_TEST(errors_have_names)
{
    uint8_t debug[] = "calm\n";
    nghttp2_frame reset = {.rst_stream = {.hd = {.length = 4, .stream_id = 5, .type = NGHTTP2_RST_STREAM}, .error_code = 8}};
    nghttp2_frame goaway = {.goaway = {.hd = {.length = 12, .type = NGHTTP2_GOAWAY},
                                       .last_stream_id = 7,
                                       .error_code = 11,
                                       .opaque_data = debug,
                                       .opaque_data_len = 5}};

    frame_log_format(&out, &reset, NULL);
    ck_assert_str_eq(out.p, "RST_STREAM stream=5 len=4 error=CANCEL");
    text_clear(&out);
    frame_log_format(&out, &goaway, NULL);
    ck_assert_str_eq(out.p, "GOAWAY len=12 last_stream=7 error=ENHANCE_YOUR_CALM debug=\"calm\\n\"");
}
END_TEST

START_TEST(windows_have_increments)
{
    nghttp2_frame frame = {.window_update = {.hd = {.length = 4, .type = NGHTTP2_WINDOW_UPDATE}, .window_size_increment = 99}};

    frame_log_format(&out, &frame, NULL);
    ck_assert_str_eq(out.p, "WINDOW_UPDATE len=4 increment=99");
}
END_TEST

START_TEST(an_ordinary_field_is_shown)
{
    ck_assert_str_eq(field("user-agent", "grpc \"1\"", false), " user-agent=\"grpc \\\"1\\\"\"");
}
END_TEST

/* --- what it hides --- */

static const char *const secret_names[] = {
    "authorization",  "proxy-authorization", "cookie",           "set-cookie",    "x-api-key",       "x-amz-security-token",
    "x-access-token", "x-session-token-bin", "x-goog-signature", "client-secret", "x-jwt-assertion",
};

START_TEST(a_secret_by_name_is_masked)
{
    const char *line = field(secret_names[_i], "s3cr3t-value", false);

    ck_assert_ptr_null(strstr(line, "s3cr3t"));
    ck_assert_ptr_nonnull(strstr(line, "=*** (12 bytes)"));
}
END_TEST

START_TEST(a_secret_by_its_senders_word_is_masked)
{
    ck_assert_str_eq(field("x-plain", "value", true), " x-plain=*** (5 bytes)");
}
END_TEST

START_TEST(a_paths_query_is_masked)
{
    ck_assert_str_eq(field(":path", "/a/b?key=1", false), " :path=\"/a/b\"?*** (5 bytes)");
    ck_assert_str_eq(field("x-other", "/a?b", false), " x-other=\"/a?b\"");
}
END_TEST

START_TEST(a_long_value_is_cut)
{
    char value[FRAME_LOG_VALUE_MAX + 2];

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    field("x", value, false);
    ck_assert_uint_eq(out.len, strlen(" x=\"\"… (257 bytes)") + FRAME_LOG_VALUE_MAX);
}
END_TEST

/* --- which sessions --- */

static void exchange(void)
{
    struct h2_headers *headers = request_block();

    h2_headers_add(headers, STR("authorization"), STR("Bearer s3cr3t"));
    request_with(&a, headers, false);
    h2_stream_send_data(a.stream, (const uint8_t *)"hello", 5);
    h2_stream_send_end(a.stream);
    settle();
    h2_stream_send_headers(served(0)->stream, H2_RESPONSE, response_block(), true);
    settle();
    ck_assert(a.is_closed);
}

START_TEST(without_a_reason_nothing_is_logged)
{
    set_level("h2=info");
    pair_start();
    exchange();

    ck_assert_uint_eq(lines_with(""), 0);
}
END_TEST

START_TEST(the_level_shows_both_ends_of_an_exchange)
{
    set_level("h2=debug");
    pair_start();
    exchange();

    ck_assert_uint_eq(lines_with("wrote HEADERS stream=1"), 2); /* request and response */
    ck_assert_uint_eq(lines_with("read HEADERS stream=1"), 2);
    ck_assert_uint_eq(lines_with("wrote DATA stream=1 len=5"), 1);
    ck_assert_uint_eq(lines_with("read DATA stream=1 len=5"), 1);
    ck_assert_uint_eq(lines_with("read SETTINGS len=0 flags=ACK"), 2);
    ck_assert_uint_eq(lines_with(":method=\"POST\""), 2);
    ck_assert_uint_eq(lines_with("authorization=*** (13 bytes)"), 2);
    ck_assert_uint_eq(lines_with("s3cr3t"), 0);
    ck_assert_uint_eq(lines_with("hello"), 0);
}
END_TEST

START_TEST(a_rule_shows_the_session_it_names_alone_and_from_then_on)
{
    struct trace_tag tag = {.kind = "in", .number = 3};

    pair_start();
    h2_session_tag(server.session, &tag);
    ck_assert_int_eq(trace_add(TRACE_CONNECTION, STR("in-3"), loop_now(loop), 60, &out), 0);
    exchange();

    ck_assert_uint_eq(lines_with("in-3"), lines_with(""));
    ck_assert_uint_eq(lines_with("read HEADERS stream=1"), 1);
    ck_assert_uint_eq(lines_with("wrote HEADERS stream=1"), 1);
    ck_assert_uint_eq(lines_with("SETTINGS"), 0); /* they were before */
}
END_TEST

START_TEST(when_the_rules_end_so_do_the_lines)
{
    struct trace_tag tag = {.kind = "in", .number = 3};

    pair_start();
    h2_session_tag(server.session, &tag);
    ck_assert_int_eq(trace_add(TRACE_CONNECTION, STR("in-3"), loop_now(loop), 60, &out), 0);
    trace_clear();
    exchange();

    ck_assert_uint_eq(lines_with(""), 0);
}
END_TEST

int main(void)
{
    const TTest *const plain[] = {
        settings_have_names_and_unknown_ones_numbers,
        flags_have_the_names_of_their_frame,
        errors_have_names,
        windows_have_increments,
        an_ordinary_field_is_shown,
        a_secret_by_its_senders_word_is_masked,
        a_paths_query_is_masked,
        a_long_value_is_cut,
        without_a_reason_nothing_is_logged,
        the_level_shows_both_ends_of_an_exchange,
        a_rule_shows_the_session_it_names_alone_and_from_then_on,
        when_the_rules_end_so_do_the_lines,
    };
    TCase *all = unit_case("frame_log", setup, teardown, plain, ARRAY_LEN(plain));

    tcase_add_loop_test(all, a_secret_by_name_is_masked, 0, ARRAY_LEN(secret_names));
    return unit_run("frame_log", all, (TCase *)NULL);
}
