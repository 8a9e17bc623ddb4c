/* SPDX-License-Identifier: Apache-2.0 */

#include "net/base64.h"

#include <mbedtls/base64.h>

#include "base/mem.h"

char *base64_decode(struct str text, size_t *ret_len)
{
    size_t size = text.len / 4 * 3 + 4;
    unsigned char *out = mem_alloc(size);

    if (mbedtls_base64_decode(out, size - 1, ret_len, (const unsigned char *)text.p, text.len) != 0) {
        mem_free(out);
        return NULL;
    }
    out[*ret_len] = '\0';
    return (char *)out;
}
