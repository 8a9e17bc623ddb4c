/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One ADS stream, whichever of the two protocols it speaks: requests in, responses out, at most 256 KiB ahead of what the client reads.
 * What is the same for both is here: the node, back-pressure, nonces, age, the end. What a request means and what must be told next is
 * the protocol's (delta_stream.c, sotw_stream.c).
 *
 * For both: nothing is told before the store is synced. A NACK is counted and logged; what it refused is sent again when it changes or is
 * asked for again. Everything is on demand: "*" asks for nothing.
 *
 * Owner:   the hub's list; ends with its call.
 * Threads: the loop's.
 * Errors:  a message that is malformed or breaks a limit ends the stream with INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
 * Limits:  ads_limits; ADS_REQUEST_BYTES a request; ADS_PENDING_MAX bytes that the client does not read.
 */

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "base/list.h"
#include "h2/grpc_call.h"
#include "net/timer.h"

#include "api/metrics.h"
#include "api/model/resources.h"
#include "api/proto/xds.pb-c.h"
#include "api/xds/delta_response.h"
#include "api/xds/interest.h"
#include "api/xds/node.h"
#include "api/xds/topics.h"

#define ADS_REQUEST_BYTES ((size_t)4 * 1024 * 1024)
#define ADS_PENDING_MAX ((size_t)8 * 1024 * 1024)
#define ADS_NONCE_SIZE 24

struct ads_stream;

struct ads_limits {
    uint64_t subscriptions; /* of one stream, over all types */
    struct usec max_age;    /* about; jittered by a fifth so that streams do not end together. 0: never */
};

/* What all streams of a server share. */
struct ads_hub {
    struct loop *loop;
    struct resources *resources;
    struct api_metrics *metrics;
    struct ads_limits limits;
    struct topics topics;
    struct list streams;
    uint64_t stream_count;
};

void ads_hub_init(struct ads_hub *h, struct loop *l, struct resources *r, struct api_metrics *m, struct ads_limits limits);
void ads_hub_deinit(struct ads_hub *h); /* its streams have ended */

/* The topics that changed are marked; all streams go on. The first time, everything held back is told. */
void ads_hub_apply(struct ads_hub *h, struct world *w);

/* Ends all streams without a word, at once. */
void ads_hub_cut(struct ads_hub *h);

/* Ends all streams with this status. */
void ads_hub_finish(struct ads_hub *h, enum grpc_status status, struct str message);

/*
 * Who is connected, what each client holds, acknowledged and refused, and when, as lines for people. `client`: only those of this id or
 * address, with all their names; empty: everybody, in numbers.
 */
void ads_hub_print(struct ads_hub *h, struct str client, struct text *out);

/* --- protocols --- */

struct ads_protocol {
    const char *label; /* "delta", "sotw" */
    const char *path;  /* of the method */
    size_t size;       /* of the struct that begins with a struct ads_stream */
    const ProtobufCMessageDescriptor *request;
    void (*init)(struct ads_stream *s);
    void (*deinit)(struct ads_stream *s);
    /* A request that could be read. `node` of the first one has been taken already. */
    void (*on_request)(struct ads_stream *s, const ProtobufCMessage *request);
    const Envoy__Config__Core__V3__Node *(*node_of)(const ProtobufCMessage *request);
    /* The next response; false when there is nothing to tell. */
    bool (*next)(struct ads_stream *s, enum resource_type *ret_type, struct delta_response *ret_response);
    uint8_t *(*encode)(const struct delta_response *r, const char *type_url, const char *nonce, size_t *ret_len); /* mem_free */
    const struct interests *(*names)(struct ads_stream *s);
};

extern const struct ads_protocol delta_protocol;
extern const struct ads_protocol sotw_protocol;

/* What was said about one type: for the page that shows it. */
struct ads_answers {
    char nonce[ADS_NONCE_SIZE]; /* of the latest response */
    struct usec sent;           /* 0: none yet */
    char acknowledged[ADS_NONCE_SIZE];
    struct usec acknowledged_at; /* 0: never */
    char *refusal;               /* the client's words when it last refused one; NULL: never */
    struct usec refused_at;
};

struct ads_stream {
    struct list in_hub;
    struct ads_hub *hub;
    const struct ads_protocol *protocol;
    struct grpc_call *call; /* owned until its on_closed */
    struct deferred flush;
    struct timer age;
    struct node node;
    char *peer;
    bool has_node;
    bool is_finished; /* the status has been sent; only on_closed is to come */
    uint64_t nonce_count;
    struct usec started;
    struct ads_answers answers[RESOURCE_TYPE_COUNT];
};

/* Serves a request for the protocol's method. `peer` is for logs (copied). Takes `headers`. */
void ads_stream_accept(struct ads_hub *h, const struct ads_protocol *protocol, struct h2_stream *stream,
                       struct h2_headers *headers, bool is_end, const char *peer);

/* --- for the protocols --- */

/* There may be something to tell: the protocol is asked at the end of the turn. */
void ads_stream_flush(struct ads_stream *s);

/* For logs: the client's name if it gave one. */
const char *ads_stream_id(const struct ads_stream *s);

/* Counts and logs what a request says of an earlier response. */
void ads_stream_take_answer(struct ads_stream *s, enum resource_type type, const char *nonce, const Google__Rpc__Status *error);

/* Answers a request for a type that is none of ours, of which nothing exists; `response` is the protocol's way to say so. */
void ads_stream_deny_type(struct ads_stream *s, const char *type_url, const struct delta_response *response);

/* Ends the stream unless the name was taken; says whether it was. */
bool ads_stream_accept_name(struct ads_stream *s, enum interest_outcome outcome);
