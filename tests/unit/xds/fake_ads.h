/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A delta ADS server under the test's control, on the loop under test. Requests become lines, such as
 *
 *     "listener node +10.96.0.1:80,10.96.0.2:80 held 10.96.0.1:80@7"      "cluster -shop/old:80"      "endpoints ack 3"
 *     "route nack 4"
 *
 * with names sorted; what a response must be is the test's business.
 */

#include "base/str.h"
#include "h2/grpc_call.h"
#include "messages.h"
#include "net/loop.h"
#include "xds/xds_type.h"

#define FAKE_LINES_MAX 256

struct fake_ads {
    struct loop *loop;
    struct listener *listener;
    struct h2_session *session; /* of the latest connection; NULL once closed */
    struct grpc_call *call;     /* of the latest stream */
    char address[64];           /* "127.0.0.1:port" */
    unsigned streams;           /* so far */
    char *lines[FAKE_LINES_MAX];
    unsigned line_count;
    unsigned line_next;
    char refusal[512]; /* of the latest NACK */
    unsigned nonce;
    bool refuses_streams; /* each ends UNAVAILABLE before a response */
};

void fake_ads_open(struct fake_ads *f, struct loop *l);
void fake_ads_close(struct fake_ads *f);

/* Turns the loop until one more request has come; its line, valid until close. */
const char *fake_ads_next(struct fake_ads *f);

/* The next one that is no acknowledgement. */
const char *fake_ads_next_question(struct fake_ads *f);

/* Requests so far are of no interest any more. */
void fake_ads_forget_lines(struct fake_ads *f);

/* One resource, its bytes released; or one that is removed. */
void fake_ads_send(struct fake_ads *f, enum xds_type type, const char *name, const char *version, struct bytes resource);
void fake_ads_remove(struct fake_ads *f, enum xds_type type, const char *name);
void fake_ads_end_stream(struct fake_ads *f);

/* A message as it is, DeltaDiscoveryResponse or not. */
void fake_ads_send_message(struct fake_ads *f, const void *bytes, size_t len);

/* One resource whose Any says it is of another type. */
void fake_ads_send_as(struct fake_ads *f, enum xds_type type, enum xds_type said, const char *name, struct bytes resource);

/* Listener `name` → Route → Cluster "shop/<cluster>" → Endpoints at these addresses, each sent after it was asked for. */
void fake_ads_lead(struct fake_ads *f, const char *name, const char *cluster, const char *const *addresses, size_t count);
