/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether all who read a request must understand the same by it: what nghttp2 lets pass and two programs might read in two ways. A
 * request that fails is answered 400 (gRPC: INVALID_ARGUMENT) and goes nowhere.
 *
 *   :authority and host name different hosts    who routes by one, and who serves by the other, would disagree (RFC 9113 §8.3.1)
 *   user information in either ("a@b")           one program's host is the other's user name (RFC 9113 §8.3.1)
 *   :path that is not a path                     absolute forms, fragments: parsers differ in what they cut off
 *
 * What a path says (`..`, `//`, `%2f`) is the server's business: it passes as it came, and routes are matched against those same bytes.
 *
 * Errors:  none.
 */

#include <stdbool.h>

#include "base/container.h"
#include "h2/headers.h"

bool h2_request_is_sound(const struct h2_headers *request) MUST_CHECK;

/* The host it is for: :authority, or else host. */
struct str h2_request_authority(const struct h2_headers *request);
