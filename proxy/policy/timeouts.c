/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/timeouts.h"

#define DIGITS_MAX 8

bool timeouts_parse_grpc(struct str value, struct usec *ret_timeout)
{
    static const struct {
        char unit;
        uint64_t nanoseconds;
    } units[] = {
        {'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000}, {'m', 1000000}, {'u', 1000}, {'n', 1},
    };
    uint64_t number;

    if (value.len < 2 || value.len > DIGITS_MAX + 1 || !str_to_u64((struct str){value.p, value.len - 1}, 99999999, &number)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (units[i].unit == value.p[value.len - 1]) {
            /* Below 2⁶⁴: 8 digits of hours are 3.6 · 10²⁰ ns, so microseconds are computed, rounded up. */
            *ret_timeout =
                (struct usec){units[i].nanoseconds >= 1000 ? number * (units[i].nanoseconds / 1000) : (number + 999) / 1000};
            return true;
        }
    }
    return false;
}

static void earlier(struct usec at, enum close_reason reason, struct usec *first, enum close_reason *ret_reason)
{
    if (usec_before(at, *first)) {
        *first = at;
        *ret_reason = reason;
    }
}

struct usec timeouts_next(const struct timeouts *t, const struct timeouts_state *s, enum close_reason *ret_reason)
{
    struct usec first = USEC_NEVER;

    *ret_reason = CLOSE_DONE;
    earlier(s->deadline, CLOSE_DEADLINE, &first, ret_reason);
    if (t->request.v != 0) {
        earlier(usec_add(s->arrived, t->request), CLOSE_REQUEST_TIMEOUT, &first, ret_reason);
    }
    if (t->response.v != 0 && s->sent.v != 0 && !s->is_answered) {
        earlier(usec_add(s->sent, t->response), CLOSE_RESPONSE_TIMEOUT, &first, ret_reason);
    }
    if (t->idle.v != 0) {
        earlier(usec_add(s->active, t->idle), CLOSE_STREAM_IDLE, &first, ret_reason);
    }
    return first;
}
