/* SPDX-License-Identifier: Apache-2.0 */

#include "h2/host.h"

#include "h2/session_internal.h"

#define TOLD_DIFFERENCE 4096
#define WITHHELD_PERIOD usec_from_ms(20)
#define LOOK_PERIOD usec_from_ms(5)
#define FAREWELLS_MAX usec_from_s(3) /* two for each session's own, and one to spare */

/* --- levels --- */

static void release_withheld(struct h2_host *host)
{
    struct list *node;

    while ((node = list_pop_front(&host->withheld)) != NULL) {
        struct h2_session *s = list_entry(node, struct h2_session, withheld_node);

        if (h2_session_is_live(s)) {
            h2_credit_release(s);
        }
    }
}

static struct h2_session *find_largest(struct h2_host *host)
{
    struct h2_session *largest = NULL;

    list_for_each(node, &host->sessions) {
        struct h2_session *s = list_entry(node, struct h2_session, host_node);

        if (h2_session_is_live(s) && (largest == NULL || s->told_bytes > largest->told_bytes)) {
            largest = s;
        }
    }
    return largest;
}

static void evict(struct h2_session *s)
{
    s->host->counts.evicted++;
    h2_session_close(s, H2_ENHANCE_YOUR_CALM, CLOSE_BUFFER_LIMIT);
    h2_session_drop_bodies(s);
    h2_host_account(s);
}

static void evict_largest(struct h2_host *host)
{
    struct h2_session *largest = find_largest(host);

    byte_budget_tell_largest(host->budget, host->party, largest != NULL ? largest->told_bytes : 0);
    if (host->level == BUDGET_EVICT && largest != NULL &&
        byte_budget_is_largest(host->budget, host->party, loop_now(host->loop))) {
        evict(largest);
    }
}

void h2_host_tick(struct h2_host *host)
{
    host->level = byte_budget_level(host->budget, loop_now(host->loop));
    if (host->level >= BUDGET_WITHHOLD) {
        host->looked = loop_now(host->loop);
        evict_largest(host);
    } else {
        byte_budget_tell_largest(host->budget, host->party, 0);
        release_withheld(host);
    }
}

static void on_timer(struct timer *t)
{
    struct h2_host *host = container_of(t, struct h2_host, timer);

    h2_host_tick(host);
    if (!list_is_empty(&host->withheld)) {
        timer_set(t, WITHHELD_PERIOD);
    }
}

/* --- sessions --- */

void h2_host_add(struct h2_session *s)
{
    s->host = s->options->host;
    list_init(&s->host_node);
    list_init(&s->withheld_node);
    if (s->host != NULL) {
        list_push_back(&s->host->sessions, &s->host_node);
    }
}

static void tell(struct h2_session *s, uint64_t bytes)
{
    byte_budget_add(s->host->budget, (int64_t)bytes - (int64_t)s->told_bytes);
    s->host->waiting_bytes += bytes - s->told_bytes;
    s->told_bytes = bytes;
}

void h2_host_remove(struct h2_session *s)
{
    if (s->host != NULL) {
        tell(s, 0);
        list_unlink(&s->withheld_node);
        list_unlink(&s->host_node);
    }
}

/* The level, now; who holds most is looked for only from time to time, for it takes a walk over all sessions. */
static void look(struct h2_host *host)
{
    struct usec now = loop_now(host->loop);

    host->level = byte_budget_level(host->budget, now);
    if (host->level == BUDGET_EVICT && !usec_before(usec_since(now, host->looked), LOOK_PERIOD)) {
        h2_host_tick(host);
    } else if (host->level < BUDGET_WITHHOLD) {
        release_withheld(host);
    }
}

void h2_host_account(struct h2_session *s)
{
    uint64_t waiting = s->waiting_bytes + (s->out.end - s->out.start);
    uint64_t difference = waiting > s->told_bytes ? waiting - s->told_bytes : s->told_bytes - waiting;

    if (s->host == NULL || (difference < TOLD_DIFFERENCE && (waiting > 0 || difference == 0))) {
        return;
    }
    tell(s, waiting);
    if (waiting > 2 * s->host->session_max_bytes && h2_session_is_live(s)) {
        evict(s);
    } else {
        look(s->host);
    }
}

bool h2_host_refuses(const struct h2_session *s)
{
    return s->host != NULL && (s->host->level >= BUDGET_REFUSE || s->told_bytes > s->host->session_max_bytes);
}

void h2_host_withhold(struct h2_session *s)
{
    struct h2_host *host = s->host;

    if (!list_is_empty(&s->withheld_node)) {
        return;
    }
    host->counts.withheld++;
    list_push_back(&host->withheld, &s->withheld_node);
    if (!timer_is_set(&host->timer)) {
        timer_set(&host->timer, WITHHELD_PERIOD);
    }
}

/* --- life --- */

void h2_host_init(struct h2_host *host, struct loop *loop, struct byte_budget *budget, unsigned party, uint64_t session_max_bytes)
{
    *host = (struct h2_host){.loop = loop, .budget = budget, .party = party, .session_max_bytes = session_max_bytes};
    list_init(&host->sessions);
    list_init(&host->withheld);
    timer_init(&host->timer, loop, on_timer);
}

static void on_finish_timer(struct timer *t)
{
    (void)t; /* only so that a turn ends */
}

static void cut_off(struct h2_host *host)
{
    list_for_each(node, &host->sessions) {
        h2_session_cut(list_entry(node, struct h2_session, host_node));
    }
}

void h2_host_finish(struct h2_host *host)
{
    struct usec until = usec_add(loop_clock(), FAREWELLS_MAX);

    host->timer.on_fire = on_finish_timer;
    while (!list_is_empty(&host->sessions)) {
        if (!usec_before(loop_clock(), until)) {
            cut_off(host);
        }
        timer_set(&host->timer, WITHHELD_PERIOD);
        loop_turn(host->loop, true);
    }
    timer_stop(&host->timer);
}
