/* SPDX-License-Identifier: Apache-2.0 */

#include "h2/headers.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

/* Fits an ordinary gRPC request, so that most blocks are two slab blocks and never grow. */
#define FIRST_CAPACITY 16

struct h2_headers *h2_headers_new(struct slab *slab)
{
    struct h2_headers *h = slab_alloc(slab, sizeof *h);

    h->slab = slab;
    list_init(&h->node);
    return h;
}

static void release_field(struct h2_headers *h, struct h2_field *f)
{
    if (f->name_ref != NULL) {
        nghttp2_rcbuf_decref(f->name_ref);
    }
    if (f->value_ref != NULL) {
        nghttp2_rcbuf_decref(f->value_ref);
    }
    if (f->own != NULL) {
        slab_release(h->slab, f->own);
    }
}

void h2_headers_free(struct h2_headers **headers)
{
    struct h2_headers *h = *headers;

    if (h == NULL) {
        return;
    }
    *headers = NULL;
    list_unlink(&h->node);
    for (size_t i = 0; i < h->count; i++) {
        release_field(h, &h->field[i]);
    }
    slab_release(h->slab, h->field);
    slab_release(h->slab, h);
}

static size_t field_bytes(const struct h2_field *f)
{
    return f->name.len + f->value.len + H2_FIELD_OVERHEAD;
}

static struct h2_field *append(struct h2_headers *h)
{
    if (h->count == h->capacity) {
        h->capacity = h->capacity == 0 ? FIRST_CAPACITY : h->capacity * 2;
        h->field = slab_realloc(h->slab, h->field, h->capacity * sizeof *h->field);
    }
    return &h->field[h->count++];
}

static struct str ref_view(struct nghttp2_rcbuf *ref)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(ref);

    return (struct str){(const char *)v.base, v.len};
}

void h2_headers_add_received(struct h2_headers *h, struct nghttp2_rcbuf *name, struct nghttp2_rcbuf *value, bool is_never_indexed)
{
    struct h2_field *f = append(h);

    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    *f = (struct h2_field){
        .name = ref_view(name),
        .value = ref_view(value),
        .name_ref = name,
        .value_ref = value,
        .is_never_indexed = is_never_indexed,
    };
    h->list_bytes += field_bytes(f);
}

static void assert_sendable(struct str name, struct str value)
{
    struct str bare = name.len > 0 && name.p[0] == ':' ? (struct str){name.p + 1, name.len - 1} : name;

    assert(nghttp2_check_header_name((const uint8_t *)bare.p, bare.len));
    assert(nghttp2_check_header_value((const uint8_t *)value.p, value.len));
}

static void copy_into(struct h2_headers *h, struct h2_field *f, struct str name, struct str value)
{
    char *own = slab_alloc_raw(h->slab, name.len + value.len);

    memcpy(own, name.p, name.len);
    if (value.len > 0) {
        memcpy(own + name.len, value.p, value.len);
    }
    *f = (struct h2_field){
        .name = {own, name.len},
        .value = {own + name.len, value.len},
        .own = own,
        .is_never_indexed = f->is_never_indexed,
    };
    h->list_bytes += field_bytes(f);
}

void h2_headers_add(struct h2_headers *h, struct str name, struct str value)
{
    struct h2_field *f = append(h);

    assert_sendable(name, value);
    f->is_never_indexed = false;
    copy_into(h, f, name, value);
}

void h2_headers_add_literal(struct h2_headers *h, struct str name, struct str value)
{
    struct h2_field *f = append(h);

    *f = (struct h2_field){.name = name, .value = value};
    h->list_bytes += field_bytes(f);
}

struct h2_headers *h2_headers_clone(const struct h2_headers *h)
{
    struct h2_headers *copy = h2_headers_new(h->slab);

    copy->capacity = h->count > FIRST_CAPACITY ? h->count : FIRST_CAPACITY;
    copy->field = slab_alloc_raw(h->slab, copy->capacity * sizeof *copy->field);
    copy->count = h->count;
    for (size_t i = 0; i < h->count; i++) {
        const struct h2_field *from = &h->field[i];
        struct h2_field *to = &copy->field[i];

        *to = *from;
        if (from->own != NULL) {
            copy_into(copy, to, from->name, from->value);
            continue;
        }
        if (from->name_ref != NULL) {
            nghttp2_rcbuf_incref(from->name_ref);
            nghttp2_rcbuf_incref(from->value_ref);
        }
    }
    copy->list_bytes = h->list_bytes;
    return copy;
}

static bool is_named(const struct h2_field *f, struct str name)
{
    return f->name.len == name.len && memcmp(f->name.p, name.p, name.len) == 0;
}

const struct h2_field *h2_headers_find(const struct h2_headers *h, struct str name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (is_named(&h->field[i], name)) {
            return &h->field[i];
        }
    }
    return NULL;
}

struct str h2_headers_value(const struct h2_headers *h, struct str name)
{
    const struct h2_field *f = h2_headers_find(h, name);

    return f != NULL ? f->value : (struct str){NULL, 0};
}

void h2_headers_remove(struct h2_headers *h, struct str name)
{
    size_t kept = 0;

    for (size_t i = 0; i < h->count; i++) {
        struct h2_field *f = &h->field[i];

        if (is_named(f, name)) {
            h->list_bytes -= field_bytes(f);
            release_field(h, f);
        } else {
            h->field[kept++] = *f;
        }
    }
    h->count = kept;
}
