/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * `struct str`: a view of bytes that somebody else owns. `struct text`: a growing, bounded, NUL-terminated text.
 *
 * Owner:   a view's bytes outlive it; a text is embedded and owns its bytes.
 * Threads: the owner's.
 * Errors:  a text that would pass its maximum is cut there and remembers it (`is_cut`).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/container.h"

struct str {
    const char *p; /* not NUL-terminated; may be NULL when len is 0 */
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})

struct str str_from(const char *text); /* NULL yields an empty view */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII */
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);

/* Index of the first `c`, or s.len. */
size_t str_find(struct str s, char c);

/*
 * Cuts the part before the first `separator` off `*rest` (all of it if there is none). False once `*rest` is used up: its `p`
 * is NULL then, so that "a," has two parts and "" has one.
 */
bool str_split(struct str *rest, char separator, struct str *ret_part);

/* Without the ASCII blanks at both ends. */
struct str str_trim(struct str s);

/* A decimal number with no sign, blank or leading '+'. False if it is not one or exceeds `max`. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *ret_value) MUST_CHECK;

/* Length of the UTF-8 sequence (RFC 3629) that `s` starts with; 0 if there is none. */
size_t str_utf8_len(struct str s);

struct text {
    char *p; /* NUL-terminated; "" before the first append */
    size_t len;
    size_t size;
    size_t max;
    bool is_cut;
};

/* `max_len` bytes at most. */
void text_init(struct text *t, size_t max_len);
void text_deinit(struct text *t);
void text_clear(struct text *t);
void text_append(struct text *t, const void *bytes, size_t len);
void text_append_str(struct text *t, struct str s);
void text_printf(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* Each byte that is not UTF-8 becomes U+FFFD. */
void text_append_utf8(struct text *t, struct str s);

/* As a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void text_append_json(struct text *t, struct str s);

/* The bytes, now the caller's (mem_free); the text is empty again. */
char *text_steal(struct text *t);
