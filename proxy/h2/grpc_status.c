/* SPDX-License-Identifier: Apache-2.0 */

#include "h2/grpc_status.h"

#include <stdio.h>

#include "h2/session.h"

#define MESSAGE_ENCODED_MAX (3 * GRPC_MESSAGE_MAX)

enum grpc_status grpc_status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    case 431:
        return GRPC_INTERNAL;
    default:
        return GRPC_UNKNOWN;
    }
}

enum grpc_status grpc_status_of_reset(uint32_t error)
{
    switch (error) {
    case H2_REFUSED_STREAM:
        return GRPC_UNAVAILABLE;
    case H2_CANCEL:
        return GRPC_CANCELLED;
    case H2_ENHANCE_YOUR_CALM:
        return GRPC_RESOURCE_EXHAUSTED;
    case 12: /* INADEQUATE_SECURITY */
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_decode_message(struct str encoded, struct text *out)
{
    for (size_t i = 0; i < encoded.len; i++) {
        char byte = encoded.p[i];

        if (byte == '%' && encoded.len - i > 2) {
            int high = hex_value(encoded.p[i + 1]);
            int low = hex_value(encoded.p[i + 2]);

            if (high >= 0 && low >= 0) {
                byte = (char)(high * 16 + low);
                i += 2;
            }
        }
        text_append(out, &byte, 1);
    }
}

void grpc_encode_message(struct str message, struct text *out)
{
    for (size_t i = 0; i < message.len; i++) {
        unsigned char byte = (unsigned char)message.p[i];

        if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
            text_append(out, &message.p[i], 1);
        } else {
            text_printf(out, "%%%02X", byte);
        }
    }
}

void grpc_add_status(struct h2_headers *headers, int status, struct str message)
{
    struct text encoded;
    char number[16];

    snprintf(number, sizeof number, "%d", status);
    h2_headers_add(headers, STR("grpc-status"), str_from(number));
    if (message.len > 0) {
        text_init(&encoded, MESSAGE_ENCODED_MAX);
        grpc_encode_message(message, &encoded);
        h2_headers_add(headers, STR("grpc-message"), (struct str){encoded.p, encoded.len});
        text_deinit(&encoded);
    }
}
