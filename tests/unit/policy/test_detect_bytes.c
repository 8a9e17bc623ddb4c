/* SPDX-License-Identifier: Apache-2.0 */

/* What bytes alone say; test_detect.c has the state machine. */

#include <string.h>

#include "policy/detect.h"
#include "unit.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* --- the client's bytes --- */

START_TEST(nothing_yet_says_nothing)
{
    ck_assert_int_eq(detect_client("", 0), DETECT_MORE);
}
END_TEST

START_TEST(every_strict_prefix_of_the_preface_asks_for_more)
{
    for (size_t len = 1; len < DETECT_PREFACE_LEN; len++) {
        ck_assert_int_eq(detect_client(preface, len), DETECT_MORE);
    }
}
END_TEST

START_TEST(the_whole_preface_is_http2)
{
    ck_assert_int_eq(detect_client(preface, DETECT_PREFACE_LEN), DETECT_HTTP2);
}
END_TEST

START_TEST(what_follows_the_preface_does_not_matter)
{
    char bytes[DETECT_PREFACE_LEN + 9];

    memcpy(bytes, preface, DETECT_PREFACE_LEN);
    memset(bytes + DETECT_PREFACE_LEN, 0xff, 9);

    ck_assert_int_eq(detect_client(bytes, sizeof bytes), DETECT_HTTP2);
}
END_TEST

START_TEST(any_other_byte_at_any_place_of_the_preface_is_tcp)
{
    size_t place = (size_t)_i;

    for (unsigned value = 0; value < 256; value++) {
        char bytes[DETECT_PREFACE_LEN];

        memcpy(bytes, preface, sizeof bytes);
        bytes[place] = (char)value;
        if (bytes[place] == preface[place]) {
            continue;
        }
        ck_assert_int_eq(detect_client(bytes, place + 1), DETECT_TCP);
        ck_assert_int_eq(detect_client(bytes, sizeof bytes), DETECT_TCP);
    }
}
END_TEST

/* --- the server's bytes --- */

static bool is_settings_header(const uint8_t b[static DETECT_FRAME_HEADER_LEN])
{
    unsigned length = b[0] * 65536u + b[1] * 256u + b[2];

    return length % 6 == 0 && length <= 16384 && b[3] == 4 && b[4] == 0 && b[5] == 0 && b[6] == 0 && b[7] == 0 && b[8] == 0;
}

START_TEST(a_silent_server_can_still_send_settings)
{
    ck_assert(detect_server_can_be_settings("", 0));
}
END_TEST

START_TEST(every_length_of_settings_is_judged_as_rfc_9113_does)
{
    for (unsigned length = 0; length < 1u << 24; length++) {
        uint8_t header[DETECT_FRAME_HEADER_LEN] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, 4};

        if (detect_server_can_be_settings(header, sizeof header) != is_settings_header(header)) {
            ck_abort_msg("length %u", length);
        }
    }
}
END_TEST

START_TEST(the_first_two_bytes_can_become_settings_if_some_third_completes_them)
{
    for (unsigned first = 0; first < 65536; first++) {
        uint8_t header[DETECT_FRAME_HEADER_LEN] = {(uint8_t)(first >> 8), (uint8_t)first, 0, 4};
        bool is_possible = false;

        for (unsigned third = 0; third < 256; third++) {
            header[2] = (uint8_t)third;
            is_possible = is_possible || is_settings_header(header);
        }
        if (detect_server_can_be_settings(header, 2) != is_possible) {
            ck_abort_msg("bytes %04x", first);
        }
    }
}
END_TEST

START_TEST(the_first_byte_can_become_settings_only_if_it_is_zero)
{
    for (unsigned first = 0; first < 256; first++) {
        uint8_t byte = (uint8_t)first;

        ck_assert(detect_server_can_be_settings(&byte, 1) == (first == 0));
    }
}
END_TEST

START_TEST(type_flags_and_stream_have_one_value_each)
{
    for (size_t place = 3; place < DETECT_FRAME_HEADER_LEN; place++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t header[DETECT_FRAME_HEADER_LEN] = {0, 0, 18, 4, 0, 0, 0, 0, 0};

            header[place] = (uint8_t)value;
            ck_assert(detect_server_can_be_settings(header, sizeof header) == is_settings_header(header));
            ck_assert(detect_server_can_be_settings(header, place + 1) == is_settings_header(header));
        }
    }
}
END_TEST

START_TEST(every_prefix_of_a_settings_frame_can_be_settings)
{
    static const uint8_t frame[] = {
        0, 0, 6,                                  /* length */
        4,                                        /* SETTINGS */
        0,                                        /* flags */
        0, 0, 0, 0,                               /* stream */
        0, 3, 0, 0, 0, 100,                       /* MAX_CONCURRENT_STREAMS */
        0, 0, 4, 8, 0, 0,   0, 0, 0, 0, 63, 0, 1, /* WINDOW_UPDATE */
    };

    for (size_t len = 0; len <= sizeof frame; len++) {
        ck_assert(detect_server_can_be_settings(frame, len));
    }
}
END_TEST

START_TEST(a_settings_ack_is_no_beginning)
{
    static const uint8_t ack[] = {0, 0, 0, 4, 1, 0, 0, 0, 0};

    ck_assert(!detect_server_can_be_settings(ack, sizeof ack));
}
END_TEST

START_TEST(greetings_of_server_first_protocols_cannot_be_settings)
{
    static const char *const greetings[] = {"220 mail ESMTP\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "INFO {\"server_id\":\"N\"}\r\n",
                                            "+OK POP3\r\n",       "RFB 003.008\n",           "\x4a"};

    for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
        ck_assert(!detect_server_can_be_settings(greetings[i], strlen(greetings[i])));
        ck_assert(!detect_server_can_be_settings(greetings[i], 1));
    }
}
END_TEST

/* --- labels --- */

struct label_row {
    const char *bytes;
    size_t len;
    enum detect_label label;
};

#define ROW(bytes, label)              \
    {                                  \
        bytes, sizeof bytes - 1, label \
    }

static const struct label_row rows[] = {
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", DETECT_LABEL_HTTP2),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4", DETECT_LABEL_HTTP2),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r", DETECT_LABEL_OTHER),
    ROW("GET / HTTP/1.1\r\n", DETECT_LABEL_HTTP1),
    ROW("GET", DETECT_LABEL_HTTP1),
    ROW("GETTING", DETECT_LABEL_OTHER),
    ROW("G", DETECT_LABEL_OTHER),
    ROW("POST /x HTTP/1.1\r\n", DETECT_LABEL_HTTP1),
    ROW("PUT /x", DETECT_LABEL_HTTP1),
    ROW("HEAD /", DETECT_LABEL_HTTP1),
    ROW("DELETE /", DETECT_LABEL_HTTP1),
    ROW("PATCH /", DETECT_LABEL_HTTP1),
    ROW("OPTIONS *", DETECT_LABEL_HTTP1),
    ROW("TRACE /", DETECT_LABEL_HTTP1),
    ROW("CONNECT a:1", DETECT_LABEL_HTTP1),
    ROW("get / HTTP/1.1\r\n", DETECT_LABEL_OTHER), /* methods are case-sensitive, RFC 9110 §9.1 */
    ROW("\x16\x03\x01\x02\x00\x01", DETECT_LABEL_TLS),
    ROW("\x16", DETECT_LABEL_TLS),
    ROW("\x16\x02\x01", DETECT_LABEL_OTHER),
    ROW("\x15\x03\x01", DETECT_LABEL_OTHER),
    ROW("*1\r\n$4\r\nPING\r\n", DETECT_LABEL_OTHER),
    ROW("", DETECT_LABEL_OTHER),
};

START_TEST(first_bytes_have_the_label_that_people_expect)
{
    ck_assert_int_eq(detect_label(rows[_i].bytes, rows[_i].len), rows[_i].label);
}
END_TEST

START_TEST(every_label_has_its_own_text)
{
    ck_assert_str_eq(detect_label_text(DETECT_LABEL_HTTP2), "http2");
    ck_assert_str_eq(detect_label_text(DETECT_LABEL_HTTP1), "http1");
    ck_assert_str_eq(detect_label_text(DETECT_LABEL_TLS), "tls");
    ck_assert_str_eq(detect_label_text(DETECT_LABEL_OTHER), "other");
    ck_assert_str_eq(detect_label_text(DETECT_LABEL_SERVER_FIRST), "server_first");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_yet_says_nothing,
        every_strict_prefix_of_the_preface_asks_for_more,
        the_whole_preface_is_http2,
        what_follows_the_preface_does_not_matter,
        a_silent_server_can_still_send_settings,
        every_length_of_settings_is_judged_as_rfc_9113_does,
        the_first_two_bytes_can_become_settings_if_some_third_completes_them,
        the_first_byte_can_become_settings_only_if_it_is_zero,
        type_flags_and_stream_have_one_value_each,
        every_prefix_of_a_settings_frame_can_be_settings,
        a_settings_ack_is_no_beginning,
        greetings_of_server_first_protocols_cannot_be_settings,
        every_label_has_its_own_text,
    };
    TCase *tcase = unit_case("detect_bytes", NULL, NULL, tests, sizeof tests / sizeof *tests);

    tcase_add_loop_test(tcase, any_other_byte_at_any_place_of_the_preface_is_tcp, 0, DETECT_PREFACE_LEN);
    tcase_add_loop_test(tcase, first_bytes_have_the_label_that_people_expect, 0, ARRAY_LEN(rows));
    return unit_run("detect_bytes", tcase, (TCase *)NULL);
}
