/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The check before unpacking: walks the bytes along the generated descriptor tables and refuses what is nested too deep or is not
 * protobuf wire format. protobuf-c itself recurses once a level with no limit, and google.protobuf.Struct is recursive by nature: a
 * message of 35 KB would overflow the stack.
 *
 * Threads: any; pure.
 * Errors:  false.
 * Limits:  GUARD_DEPTH_MAX levels; `len` is bounded by whoever received the message.
 */

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "base/container.h"

#define GUARD_DEPTH_MAX 32

/* True when unpacking `bytes` as `type` stays within `max_depth` (at most GUARD_DEPTH_MAX) levels; the message itself is level 1. */
bool proto_guard(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len, unsigned max_depth) MUST_CHECK;
