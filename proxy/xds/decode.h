/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Decoding one resource: what config.c's four decoders share. A decoder fills `out` or fails with a sentence; whatever it has put
 * into `out` by then is released by config_unref.
 *
 * Owner:   on the stack of config_decode.
 * Threads: the control thread's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "api/proto/arena.h"
#include "api/proto/xds.pb-c.h"
#include "xds/config.h"

struct decode {
    struct arena *arena; /* of the messages */
    struct text *reason;
    struct config *out;
};

/* Appends the reason. Always false, to be returned. */
bool decode_fail(struct decode *d, const char *format, ...) PRINTF_LIKE(2, 3);

/* Guarded and in the arena; NULL (and the reason is given) if it is not that message. */
void *decode_unpack(struct decode *d, const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len);

/* Is `any` (may be NULL) a message of this full name, "envoy.…"? */
bool decode_any_is(const Google__Protobuf__Any *any, const char *full_name);

/* A name of another resource: not empty, not too long. `what` completes "has no …". */
bool decode_check_name(struct decode *d, const char *name, const char *what);

bool decode_listener(struct decode *d, const Envoy__Config__Listener__V3__Listener *m);
bool decode_route(struct decode *d, const Envoy__Config__Route__V3__RouteConfiguration *m);
bool decode_cluster(struct decode *d, const Envoy__Config__Cluster__V3__Cluster *m);
bool decode_endpoints(struct decode *d, const Envoy__Config__Endpoint__V3__ClusterLoadAssignment *m);

/* A new, empty one of this type; one reference. */
struct config *config_new(enum xds_type type);
