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

/* The answer for all of `bytes`, `piece` of them each time, each time in memory that is gone afterwards. */
static int parse(struct http_parse *p, const char *bytes, size_t len, size_t piece)
{
    int answer = 0;

    http_parse_init(p);
    for (size_t at = 0; answer == 0 && at < len;) {
        size_t given = len - at < piece ? len - at : piece;
        char *copy = mem_copy(bytes + at, given);
        size_t used;

        answer = http_parse_run(p, (struct str){copy, given}, &used);
        at += used;
        assert(used <= given && p->len == at && (answer != 0 || used == given));
        mem_free(copy);
    }
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_parse whole;
    struct http_parse cut;

    if (size < 2) {
        return 0;
    }
    int answer = parse(&whole, (const char *)data + 1, size - 1, size);
    int cut_answer = parse(&cut, (const char *)data + 1, size - 1, data[0] > 0 ? data[0] : 1);

    assert(answer == cut_answer);
    if (answer == 1) {
        assert(whole.len == cut.len);
        assert(str_eq(whole.method, cut.method) && str_eq(whole.path, cut.path) && str_eq(whole.query, cut.query));
        assert(str_eq(whole.host, cut.host) && str_eq(whole.origin, cut.origin) && str_eq(whole.body, cut.body));
        assert(whole.is_last == cut.is_last && whole.expects_continue == cut.expects_continue);
    }
    http_parse_deinit(&whole);
    http_parse_deinit(&cut);
    return 0;
}
