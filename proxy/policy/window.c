/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/window.h"

#define PAUSE_FIRST usec_from_ms(100)
#define PAUSE_MAX usec_from_s(10)

void window_init(struct window *w, uint32_t bytes, uint32_t max_bytes)
{
    *w = (struct window){.bytes = bytes, .max_bytes = max_bytes};
}

bool window_received(struct window *w, size_t len, struct usec now)
{
    if (w->is_asking) {
        w->sample += len;
        return false;
    }
    return w->bytes < w->max_bytes && !usec_before(now, w->next);
}

void window_asked(struct window *w, struct usec now)
{
    w->is_asking = true;
    w->asked = now;
    w->sample = 0;
}

static void wait_longer(struct window *w, struct usec now)
{
    struct usec doubled = {w->pause.v * 2};

    if (w->pause.v == 0) {
        w->pause = PAUSE_FIRST;
    } else {
        w->pause = usec_before(doubled, PAUSE_MAX) ? doubled : PAUSE_MAX;
    }
    w->next = usec_add(now, w->pause);
}

bool window_answered(struct window *w, struct usec now)
{
    uint64_t elapsed = usec_since(now, w->asked).v;
    uint64_t rate = w->sample * 1000000 / (elapsed > 0 ? elapsed : 1);

    if (!w->is_asking) {
        return false; /* nobody asked: the peer made it up */
    }
    w->is_asking = false;
    if (w->sample * 3 < (uint64_t)w->bytes * 2 || rate <= w->best_rate) {
        wait_longer(w, now);
        return false;
    }
    w->best_rate = rate;
    w->bytes = w->bytes > w->max_bytes / 2 ? w->max_bytes : w->bytes * 2;
    w->pause = (struct usec){0};
    w->next = now;
    return true;
}
