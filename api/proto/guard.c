/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One frame a level on a stack of our own. A field that the descriptor calls a message is entered, every other one is stepped over.
 * Groups (wire types 3 and 4) do not exist in proto3 and protobuf-c refuses them; so do we.
 */

#include "api/proto/guard.h"

#include <assert.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct frame {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *end;
};

/* A varint has at most 10 bytes. False when it is cut off or longer. */
static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;

        if (shift < 64) {
            value |= (uint64_t)(byte & 0x7f) << shift;
        }
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool skip_bytes(const uint8_t **p, const uint8_t *end, uint64_t count)
{
    if (count > (uint64_t)(end - *p)) {
        return false;
    }
    *p += count;
    return true;
}

/* The type to enter for this field, or NULL. */
static const ProtobufCMessageDescriptor *child_type(const ProtobufCMessageDescriptor *type, uint64_t field_number)
{
    const ProtobufCFieldDescriptor *field;

    if (field_number > UINT32_MAX) {
        return NULL;
    }
    field = protobuf_c_message_descriptor_get_field(type, (unsigned)field_number);
    return field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
}

/* Steps over one field's value. A message among them is left at its first byte: `ret_child` says its type and end. */
static bool read_field(const uint8_t **p, const struct frame *in, struct frame *ret_child)
{
    uint64_t tag, value;

    ret_child->type = NULL;
    if (!read_varint(p, in->end, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) {
        return false;
    }
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(p, in->end, &value);
    case WIRE_64:
        return skip_bytes(p, in->end, 8);
    case WIRE_32:
        return skip_bytes(p, in->end, 4);
    case WIRE_LEN:
        if (!read_varint(p, in->end, &value) || value > (uint64_t)(in->end - *p)) {
            return false;
        }
        ret_child->type = child_type(in->type, tag >> 3);
        ret_child->end = *p + value;
        if (ret_child->type == NULL) {
            *p = ret_child->end;
        }
        return true;
    default:
        return false;
    }
}

bool proto_guard(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len, unsigned max_depth)
{
    struct frame stack[GUARD_DEPTH_MAX];
    const uint8_t *p = bytes;
    unsigned depth = 1;

    assert(max_depth >= 1 && max_depth <= GUARD_DEPTH_MAX);
    if (len == 0) {
        return true;
    }
    stack[0] = (struct frame){.type = type, .end = p + len};
    while (depth > 0) {
        struct frame child;

        if (p == stack[depth - 1].end) {
            depth--;
            continue;
        }
        if (!read_field(&p, &stack[depth - 1], &child)) {
            return false;
        }
        if (child.type != NULL) {
            if (depth == max_depth) {
                return false;
            }
            stack[depth++] = child;
        }
    }
    return true;
}
