/* SPDX-License-Identifier: Apache-2.0 */

#include "policy/server_first.h"
#include "unit.h"

#define MEMORY 600000000u

static const struct usec start = {9000000};

static struct server_first *memory;

static void setup(void)
{
    memory = server_first_new(4, SERVER_FIRST_MEMORY);
}

static void teardown(void)
{
    server_first_free(memory);
}

static struct addr destination(uint16_t port)
{
    return (struct addr){.family = ADDR_V4, .port = port, .bytes = {10, 96, 0, 10}};
}

static void record(uint16_t port, enum detect_label outcome, struct usec now)
{
    struct addr a = destination(port);

    server_first_record(memory, &a, outcome, now);
}

static bool is_known(uint16_t port, struct usec now)
{
    struct addr a = destination(port);

    return server_first_is_known(memory, &a, now);
}

static uint64_t outcome(uint16_t port, enum detect_label label, struct usec now)
{
    uint64_t outcomes[DETECT_LABEL_COUNT];
    struct addr a = destination(port);

    server_first_outcomes(memory, &a, now, outcomes);
    return outcomes[label];
}

static struct usec after(uint64_t usec)
{
    return (struct usec){start.v + usec};
}

START_TEST(a_destination_never_seen_is_not_known)
{
    ck_assert(!is_known(3306, start));
    ck_assert_uint_eq(outcome(3306, DETECT_LABEL_SERVER_FIRST, start), 0);
}
END_TEST

START_TEST(a_server_that_spoke_first_is_known)
{
    record(3306, DETECT_LABEL_SERVER_FIRST, start);

    ck_assert(is_known(3306, start));
}
END_TEST

START_TEST(other_outcomes_do_not_make_a_destination_known)
{
    for (unsigned label = 0; label < DETECT_LABEL_COUNT; label++) {
        if (label != DETECT_LABEL_SERVER_FIRST) {
            record(80, (enum detect_label)label, start);
        }
    }

    ck_assert(!is_known(80, start));
}
END_TEST

START_TEST(the_port_is_part_of_a_destination)
{
    record(3306, DETECT_LABEL_SERVER_FIRST, start);

    ck_assert(!is_known(3307, start));
}
END_TEST

START_TEST(a_known_destination_is_forgotten_after_its_time_and_not_before)
{
    record(3306, DETECT_LABEL_SERVER_FIRST, start);

    ck_assert(is_known(3306, after(MEMORY - 1)));
    ck_assert(!is_known(3306, after(MEMORY)));
}
END_TEST

START_TEST(each_time_a_server_speaks_first_it_is_remembered_anew)
{
    record(3306, DETECT_LABEL_SERVER_FIRST, start);
    record(3306, DETECT_LABEL_SERVER_FIRST, after(MEMORY / 2));

    ck_assert(is_known(3306, after(MEMORY)));
}
END_TEST

START_TEST(other_outcomes_do_not_keep_the_mark_alive)
{
    record(3306, DETECT_LABEL_SERVER_FIRST, start);
    record(3306, DETECT_LABEL_HTTP2, after(MEMORY / 2));

    ck_assert(!is_known(3306, after(MEMORY)));
    ck_assert_uint_eq(outcome(3306, DETECT_LABEL_SERVER_FIRST, after(MEMORY)), 1);
}
END_TEST

START_TEST(outcomes_are_counted_for_each_destination)
{
    record(80, DETECT_LABEL_HTTP1, start);
    record(80, DETECT_LABEL_HTTP1, start);
    record(80, DETECT_LABEL_TLS, start);
    record(81, DETECT_LABEL_OTHER, start);

    ck_assert_uint_eq(outcome(80, DETECT_LABEL_HTTP1, start), 2);
    ck_assert_uint_eq(outcome(80, DETECT_LABEL_TLS, start), 1);
    ck_assert_uint_eq(outcome(80, DETECT_LABEL_OTHER, start), 0);
    ck_assert_uint_eq(outcome(81, DETECT_LABEL_OTHER, start), 1);
}
END_TEST

START_TEST(counts_of_a_forgotten_destination_start_again)
{
    record(80, DETECT_LABEL_HTTP1, start);
    record(80, DETECT_LABEL_HTTP1, after(MEMORY));

    ck_assert_uint_eq(outcome(80, DETECT_LABEL_HTTP1, after(MEMORY)), 1);
}
END_TEST

START_TEST(past_its_maximum_it_forgets_the_one_recorded_longest_ago)
{
    for (uint16_t port = 1; port <= 4; port++) {
        record(port, DETECT_LABEL_SERVER_FIRST, after(port));
    }
    record(1, DETECT_LABEL_OTHER, after(5));
    record(5, DETECT_LABEL_SERVER_FIRST, after(6));

    ck_assert_uint_eq(server_first_count(memory), 4);
    ck_assert(is_known(1, after(7)));
    ck_assert(!is_known(2, after(7)));
    ck_assert(is_known(5, after(7)));
}
END_TEST

START_TEST(a_flood_of_destinations_stays_within_the_maximum)
{
    for (unsigned i = 0; i < 20000; i++) {
        record((uint16_t)(i * 31), DETECT_LABEL_OTHER, after(i));
        ck_assert_uint_le(server_first_count(memory), 4);
    }
}
END_TEST

START_TEST(expiry_gives_memory_back)
{
    record(1, DETECT_LABEL_OTHER, start);
    record(2, DETECT_LABEL_OTHER, after(10));

    server_first_expire(memory, after(MEMORY));
    ck_assert_uint_eq(server_first_count(memory), 1);
    server_first_expire(memory, after(MEMORY + 10));
    ck_assert_uint_eq(server_first_count(memory), 0);
}
END_TEST

struct visits {
    unsigned count;
    struct server_first_view last;
};

static void count_visit(const struct server_first_view *view, void *ctx)
{
    struct visits *v = ctx;

    v->count++;
    v->last = *view;
}

START_TEST(every_remembered_destination_is_visited_latest_last)
{
    struct visits visits = {0};
    struct addr expected = destination(2);

    record(1, DETECT_LABEL_OTHER, start);
    record(3, DETECT_LABEL_HTTP2, after(1));
    record(2, DETECT_LABEL_SERVER_FIRST, after(2));
    server_first_for_each(memory, after(3), count_visit, &visits);

    ck_assert_uint_eq(visits.count, 3);
    ck_assert(addr_eq(&visits.last.destination, &expected));
    ck_assert(visits.last.is_server_first);
    ck_assert_uint_eq(visits.last.outcomes[DETECT_LABEL_SERVER_FIRST], 1);
}
END_TEST

START_TEST(a_forgotten_destination_is_not_visited)
{
    struct visits visits = {0};

    record(1, DETECT_LABEL_OTHER, start);
    server_first_for_each(memory, after(MEMORY), count_visit, &visits);

    ck_assert_uint_eq(visits.count, 0);
}
END_TEST

START_TEST(freeing_nothing_is_harmless)
{
    server_first_free(NULL);
}
END_TEST

UNIT_MAIN("server_first", setup, teardown, a_destination_never_seen_is_not_known, a_server_that_spoke_first_is_known,
          other_outcomes_do_not_make_a_destination_known, the_port_is_part_of_a_destination,
          a_known_destination_is_forgotten_after_its_time_and_not_before, each_time_a_server_speaks_first_it_is_remembered_anew,
          other_outcomes_do_not_keep_the_mark_alive, outcomes_are_counted_for_each_destination,
          counts_of_a_forgotten_destination_start_again, past_its_maximum_it_forgets_the_one_recorded_longest_ago,
          a_flood_of_destinations_stays_within_the_maximum, expiry_gives_memory_back,
          every_remembered_destination_is_visited_latest_last, a_forgotten_destination_is_not_visited,
          freeing_nothing_is_harmless)
