/* SPDX-License-Identifier: Apache-2.0 */

#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* What an empty text shows. Writable only so that `text.p` need not be const; nothing writes it. */
static char nothing[1];

struct str str_from(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){s.p, prefix.len}, prefix);
}

bool str_ends_with(struct str s, struct str suffix)
{
    return suffix.len == 0 || (s.len >= suffix.len && memcmp(s.p + (s.len - suffix.len), suffix.p, suffix.len) == 0);
}

size_t str_find(struct str s, char c)
{
    const char *found = s.len == 0 ? NULL : memchr(s.p, c, s.len);

    return found == NULL ? s.len : (size_t)(found - s.p);
}

bool str_split(struct str *rest, char separator, struct str *ret_part)
{
    if (rest->p == NULL) {
        return false;
    }
    size_t len = str_find(*rest, separator);

    *ret_part = (struct str){rest->p, len};
    if (len == rest->len) {
        *rest = (struct str){NULL, 0};
    } else {
        *rest = (struct str){rest->p + len + 1, rest->len - len - 1};
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.p[0])) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(s.p[i] - '0');

        if (value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > max) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* The narrowest and widest second byte exclude overlong forms, surrogates and what is past U+10FFFF (RFC 3629 §4). */
static size_t sequence_shape(uint8_t first, uint8_t *ret_low, uint8_t *ret_high)
{
    *ret_low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *ret_high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t str_utf8_len(struct str s)
{
    uint8_t low = 0;
    uint8_t high = 0;

    if (s.len == 0) {
        return 0;
    }
    size_t len = sequence_shape((uint8_t)s.p[0], &low, &high);

    if (len > s.len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (c < (i == 1 ? low : 0x80) || c > (i == 1 ? high : 0xbf)) {
            return 0;
        }
    }
    return len;
}

void text_init(struct text *t, size_t max_len)
{
    *t = (struct text){.p = nothing, .max = max_len};
}

void text_deinit(struct text *t)
{
    if (t->size > 0) {
        mem_free(t->p);
    }
    text_init(t, t->max);
}

void text_clear(struct text *t)
{
    t->len = 0;
    t->is_cut = false;
    if (t->size > 0) {
        t->p[0] = '\0';
    }
}

/* Room for `len` more bytes and the NUL; returns how many of them may be used. */
static size_t reserve(struct text *t, size_t len)
{
    assert(t->len <= t->max);
    if (len > t->max - t->len) {
        len = t->max - t->len;
        t->is_cut = true;
    }
    if (t->len + len >= t->size) {
        size_t size = t->size * 2 > t->len + len + 1 ? t->size * 2 : t->len + len + 1;

        size = size < 64 ? 64 : size;
        t->p = mem_realloc_array(t->size > 0 ? t->p : NULL, 1, size);
        t->size = size;
    }
    return len;
}

void text_append(struct text *t, const void *bytes, size_t len)
{
    size_t room = reserve(t, len);

    if (room > 0) {
        memcpy(t->p + t->len, bytes, room);
        t->len += room;
    }
    t->p[t->len] = '\0';
}

void text_append_str(struct text *t, struct str s)
{
    text_append(t, s.p, s.len);
}

/* Most texts fit what is there already; the others are formatted a second time, when their length is known. */
void text_printf(struct text *t, const char *format, ...)
{
    va_list args;

    reserve(t, 0);
    size_t space = t->size - t->len;

    va_start(args, format);
    int len = vsnprintf(t->p + t->len, space, format, args);
    va_end(args);
    assert(len >= 0);

    size_t room = reserve(t, (size_t)len);

    if (space <= (size_t)len || room < (size_t)len) {
        va_start(args, format);
        vsnprintf(t->p + t->len, room + 1, format, args);
        va_end(args);
    }
    t->len += room;
}

void text_append_utf8(struct text *t, struct str s)
{
    while (s.len > 0) {
        size_t len = str_utf8_len(s);

        if (len == 0) {
            text_append(t, "\xef\xbf\xbd", 3); /* U+FFFD */
            len = 1;
        } else {
            text_append(t, s.p, len);
        }
        s.p += len;
        s.len -= len;
    }
}

/* What stands for `c` in a JSON string after the backslash, or 0 (RFC 8259 §7). */
static char json_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

void text_append_json(struct text *t, struct str s)
{
    text_append(t, "\"", 1);
    for (size_t start = 0; start < s.len;) {
        size_t end = start;

        while (end < s.len && json_escape(s.p[end]) == 0 && (uint8_t)s.p[end] >= 0x20) {
            end++;
        }
        text_append_utf8(t, (struct str){s.p + start, end - start});
        if (end < s.len && json_escape(s.p[end]) != 0) {
            text_append(t, (char[]){'\\', json_escape(s.p[end])}, 2);
        } else if (end < s.len) {
            text_printf(t, "\\u%04x", (unsigned)(uint8_t)s.p[end]);
        }
        start = end + 1;
    }
    text_append(t, "\"", 1);
}

char *text_steal(struct text *t)
{
    char *taken = t->size > 0 ? t->p : mem_copy_string("", 0);

    text_init(t, t->max);
    return taken;
}
