/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A header block: fields in wire order, pseudo-headers first (RFC 9113 §8.3). Received fields hold references to nghttp2's own
 * buffers, so passing a block on copies no bytes; added fields are copies or literals.
 *
 * Owner:   whoever holds the pointer; h2_headers_free gives it back. Blocks come from the loop's slab.
 * Threads: the loop's.
 * Errors:  names and values that RFC 9113 §8.2.1 forbids never get in from the wire (the session resets such a stream); adding one
 *          from code asserts.
 * Limits:  the session's max_header_list_bytes, as RFC 9113 §6.5.2 counts (name + value + 32), and H2_FIELDS_MAX fields.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slab.h"
#include "base/str.h"

#define H2_FIELDS_MAX 1024
#define H2_FIELD_OVERHEAD 32 /* what RFC 9113 §6.5.2 adds to name and value */

struct nghttp2_rcbuf;

struct h2_field {
    struct str name; /* lower case */
    struct str value;
    struct nghttp2_rcbuf *name_ref; /* NULL: literal, or in `own` */
    struct nghttp2_rcbuf *value_ref;
    char *own;             /* the block's copy of what was added: name, then value; NULL if there is none */
    bool is_never_indexed; /* RFC 7541 §6.2.3: kept when the block is sent on */
};

struct h2_headers {
    struct slab *slab;
    struct h2_field *field;
    size_t count;
    size_t capacity;
    size_t list_bytes; /* as RFC 9113 §6.5.2 counts */
    struct list node;  /* the session's, while the block waits to be serialised */
};

struct h2_headers *h2_headers_new(struct slab *slab);
void h2_headers_free(struct h2_headers **h); /* nulls the caller's pointer; accepts NULL inside */

/* A second block with the same fields (references, no copies of received bytes). For requests that may be sent again. */
struct h2_headers *h2_headers_clone(const struct h2_headers *h);

/* Appends. The bytes are copied. Pseudo-headers must be added before regular ones. */
void h2_headers_add(struct h2_headers *h, struct str name, struct str value);

/* Appends without a copy: both outlive the block (literals). */
void h2_headers_add_literal(struct h2_headers *h, struct str name, struct str value);

/* Appends a received field: takes one more reference on each buffer. For the session. */
void h2_headers_add_received(struct h2_headers *h, struct nghttp2_rcbuf *name, struct nghttp2_rcbuf *value,
                             bool is_never_indexed);

/* The first field of that (lower-case) name; NULL if there is none. */
const struct h2_field *h2_headers_find(const struct h2_headers *h, struct str name);

/* Its value, or an empty view. */
struct str h2_headers_value(const struct h2_headers *h, struct str name);

/* Removes all fields of that name. */
void h2_headers_remove(struct h2_headers *h, struct str name);
