/* SPDX-License-Identifier: Apache-2.0 */

#include "net/base64.h"

#include <assert.h>
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

char *base64_encode(struct str bytes)
{
    size_t size = (bytes.len + 2) / 3 * 4 + 1;
    unsigned char *out = mem_alloc(size);
    size_t len;
    int r = mbedtls_base64_encode(out, size, &len, (const unsigned char *)bytes.p, bytes.len);

    assert(r == 0);
    (void)r;
    return (char *)out;
}
