/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of h2/ share: a loop, sessions on socket pairs, and `struct heard`, which notes everything a stream tells its handler.
 * At the end of each test nothing may live any more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "h2/session.h"
#include "unit.h"

/* What one stream has told. */
struct heard {
    struct h2_stream *stream; /* NULL once closed */
    struct h2_headers *request;
    struct h2_headers *response;
    struct h2_headers *trailers;
    unsigned informational;
    size_t received;    /* body bytes */
    uint8_t bytes[256]; /* the first of them */
    size_t sent;
    bool is_holding; /* does not give credit back */
    bool is_ended;   /* the peer has finished */
    bool is_closed;
    uint32_t error;
    enum close_reason reason;
    bool is_unprocessed;
};

/* One end: a session and what it has told. */
struct end {
    struct h2_session *session; /* NULL once closed */
    struct heard heard[40];     /* server: of the requests, in the order they came */
    unsigned requests;
    unsigned settings;
    unsigned goaways;
    uint32_t goaway_error;
    int32_t goaway_last_id;
    unsigned refusals;
    enum close_reason refusal; /* the last one's */
    bool is_closed;
    enum close_reason reason;
};

extern struct loop *loop;
extern struct h2_options options; /* of new sessions; defaults again before each test */
extern struct end client;
extern struct end server;

void fixture_setup(void);
void fixture_teardown(void); /* closes both ends; asserts that no object lives */

/* A session of `role` on `fd`. */
void end_start(struct end *e, enum h2_role role, int fd, const void *preface, size_t preface_len);

/* Both ends, joined, with their SETTINGS exchanged. */
void pair_start(void);

/* A socket pair; [0] is for a session. */
void socket_pair(int fds[static 2]);

/* Turns until nothing more happens by itself. */
void settle(void);

/* Waits, turn by turn, until `*flag`. */
void turn_until(const bool *flag);

/* Fields from a list of names and values that ends with NULL. */
struct h2_headers *block(const char *name, ...);
struct h2_headers *request_block(void);  /* POST / */
struct h2_headers *response_block(void); /* 200 */

/* The client opens a stream, whose events `heard` notes. */
void request(struct heard *heard, bool is_end);
void request_with(struct heard *heard, struct h2_headers *headers, bool is_end);

/* The server's `index`th request (it must have come). */
struct heard *served(unsigned index);

extern const struct h2_stream_ops heard_ops;
extern const struct h2_session_ops end_ops;
void heard_clear(struct heard *heard);

/* The value of a field, for ck_assert_str_eq; "" when it is not there. */
const char *value_of(const struct h2_headers *headers, const char *name);

void send_filler(struct h2_stream *s, size_t len);

#define assert_closed(heard, with_error, with_reason)                                           \
    do {                                                                                        \
        ck_assert((heard)->is_closed);                                                          \
        ck_assert_uint_eq((heard)->error, (with_error));                                        \
        ck_assert_str_eq(close_reason_label((heard)->reason), close_reason_label(with_reason)); \
    } while (0)
