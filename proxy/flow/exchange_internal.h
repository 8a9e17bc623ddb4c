/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What exchange.c (the client's stream, the exchange's life) and attempt.c (the endpoint's stream, deliveries) know of each other;
 * nobody else includes this.
 *
 * The exchange ends with the client's stream: its on_closed is the one place that frees it. The endpoint's stream is a guest that may
 * come and go; whichever way it ends, attempt_over() settles the account with the balancer exactly once.
 */

#include "flow/body_copy.h"
#include "flow/exchange.h"
#include "flow/worker.h"

struct exchange {
    struct list node;
    struct grave grave;
    struct http_side *http; /* link; NULL once abandoned */
    struct worker *worker;
    struct h2_stream *client; /* link: towards the client */
    struct h2_stream *server; /* link: towards the endpoint or app; NULL between attempts */

    struct h2_headers *request;  /* kept until the response begins; NULL when it cannot be sent again */
    struct h2_headers *trailers; /* of the request */
    size_t header_bytes;         /* of `request`, counted in the worker's budget of headers; outbound only */
    struct body_copy copy;

    struct cluster *cluster;                   /* reference; NULL inbound */
    struct endpoint *endpoint;                 /* reference, of the attempt under way */
    struct endpoint *tried[CLUSTER_TRIED_MAX]; /* compared only, never followed: they may be gone */
    unsigned tried_count;
    unsigned attempts;
    unsigned goaways; /* attempts that a GOAWAY left out */
    struct pool_waiter waiter;

    struct deadline timeout;
    struct usec deadline; /* the caller's; USEC_NEVER: none */
    struct usec arrived;
    struct usec sent;
    struct usec active;    /* last body byte or header block, either way */
    uint64_t credited;     /* request bytes whose credit the client has back */
    uint64_t attempt_sent; /* request bytes this attempt has put on their way */
    int grpc_status;       /* −1 until seen */
    unsigned http_status;

    bool is_grpc : 1;
    bool is_waiting : 1; /* for a connection */
    bool is_request_ended : 1;
    bool is_answered : 1;  /* response headers went to the client */
    bool is_streaming : 1; /* and the endpoint has begun the body */
    bool is_response_ended : 1;
    bool is_over : 1; /* the proxy has answered or reset: what still comes is thrown away */
};

/* How an attempt ended, as far as the endpoint is concerned. */
enum attempt_end { ATTEMPT_COMPLETE, ATTEMPT_FAILED, ATTEMPT_UNPROCESSED, ATTEMPT_CLIENT_LEFT, ATTEMPT_TIMED_OUT };

static inline struct usec exchange_now(const struct exchange *x)
{
    return loop_now(x->worker->loop);
}

/* The series of its Service (outbound) or of the app (inbound). */
struct service_metrics *exchange_service(struct exchange *x);

/* A limit on its time may have come nearer. */
void exchange_watch(struct exchange *x);

/* The request cannot be sent again: gives its copy back. Idempotent. */
void exchange_forget_request(struct exchange *x);

/* The proxy's own answer ends the exchange: nothing more is expected of an endpoint. */
void exchange_answer(struct exchange *x, enum close_reason reason, bool was_sent);
void exchange_reset(struct exchange *x, uint32_t error, enum close_reason reason);

/* --- attempt.c --- */

/* Sends the request to `e` (picked: the exchange's from here on), now or when a connection has room. NULL: no endpoint is left. */
void attempt_deliver(struct exchange *x, struct endpoint *e);

/* Sends the request, and as much of its body as has come, on a session with room. */
void attempt_send_on(struct exchange *x, struct h2_session *session);

/* The attempt was provably not processed: another endpoint, or the client's own retry, or the end. */
void attempt_unprocessed(struct exchange *x, enum close_reason reason);

/* Settles with the endpoint and lets it go. */
void attempt_over(struct exchange *x, enum attempt_end end);

/* For pool_waiter. */
void attempt_connection_ready(struct pool_waiter *w, struct h2_session *session, enum close_reason reason);
