/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One HTTP/1.1 request, read as a whole and in pieces: the answer and all that was found must be the same. Input: the size of the pieces,
 * then the bytes.
 */

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The answer for all of `bytes`, `piece` more of them each time, each time in another place. */
static int parse(struct http_parse *p, const char *bytes, size_t len, size_t piece, char **ret_bytes)
{
    char *seen = NULL;
    int answer = 0;

    http_parse_init(p);
    for (size_t given = 0; answer == 0 && given < len;) {
        given = len - given > piece ? given + piece : len;
        char *moved = mem_alloc(given);

        memcpy(moved, bytes, given);
        mem_free(seen);
        seen = moved;
        answer = http_parse_run(p, (struct str){seen, given});
    }
    *ret_bytes = seen;
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_parse whole;
    struct http_parse cut;
    char *whole_bytes;
    char *cut_bytes;

    if (size < 2) {
        return 0;
    }
    int answer = parse(&whole, (const char *)data + 1, size - 1, size, &whole_bytes);
    int cut_answer = parse(&cut, (const char *)data + 1, size - 1, data[0] > 0 ? data[0] : 1, &cut_bytes);

    assert(answer == cut_answer);
    if (answer == 1) {
        assert(whole.at == cut.at && whole.at <= size - 1);
        assert(str_eq(whole.method, cut.method) && str_eq(whole.path, cut.path) && str_eq(whole.query, cut.query));
        assert(str_eq(whole.host, cut.host) && str_eq(whole.origin, cut.origin) && str_eq(whole.body, cut.body));
        assert(whole.has_close == cut.has_close && whole.is_http_1_0 == cut.is_http_1_0);
    }
    http_parse_deinit(&whole);
    http_parse_deinit(&cut);
    mem_free(whole_bytes);
    mem_free(cut_bytes);
    return 0;
}
