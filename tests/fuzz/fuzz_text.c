/* SPDX-License-Identifier: Apache-2.0 */

/* Small texts from people and files: addresses, log levels, anything that must become JSON or UTF-8. What is taken prints as the same. */

#include <assert.h>
#include <string.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_addr(struct str s)
{
    struct addr a;
    struct addr again;
    char text[ADDR_TEXT_SIZE];

    if (addr_parse(s, &a)) {
        bool is_good = addr_parse(str_from(addr_format(&a, text)), &again);

        assert(is_good && addr_eq(&a, &again) && a.prefix == 0);
    }
    if (addr_parse_ip(s, &a)) {
        bool is_good = addr_parse_ip(str_from(addr_format_ip(&a, text)), &again);

        assert(is_good && addr_eq(&a, &again) && a.port == 0);
    }
    if (addr_parse_cidr(s, &a)) {
        assert(addr_in_network(&a, &a) && a.prefix <= (a.family == ADDR_V4 ? 32 : 128));
    }
}

static void check_levels(struct str s)
{
    struct text first;
    struct text second;
    struct text error;

    text_init(&first, 4096);
    text_init(&second, 4096);
    text_init(&error, 256);
    if (log_set_levels(s, &error) == 0) {
        log_get_levels(&first);
        int r = log_set_levels((struct str){first.p, first.len}, &error);

        log_get_levels(&second);
        assert(r == 0 && strcmp(first.p, second.p) == 0);
    } else {
        assert(error.len > 0);
    }
    text_deinit(&error);
    text_deinit(&second);
    text_deinit(&first);
}

static void check_utf8(struct str s)
{
    struct text clean;
    struct text json;

    text_init(&clean, 3 * s.len + 1);
    text_append_utf8(&clean, s);
    for (struct str rest = {clean.p, clean.len}; rest.len > 0;) {
        size_t len = str_utf8_len(rest);

        assert(len > 0);
        rest = (struct str){rest.p + len, rest.len - len};
    }
    text_init(&json, 6 * s.len + 2);
    text_append_json(&json, s);
    assert(!json.is_cut && json.p[0] == '"' && json.p[json.len - 1] == '"');
    for (size_t i = 0; i < json.len; i++) {
        assert((unsigned char)json.p[i] >= 0x20);
    }
    text_deinit(&json);
    text_deinit(&clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};

    check_addr(s);
    check_levels(s);
    check_utf8(s);
    return 0;
}
