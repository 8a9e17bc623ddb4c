/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Frames as log lines, for people: at log level h2=debug those of every session, otherwise those of the connections that a rule of
 * base/trace names.
 *
 *     … debug h2 out-12 10.0.0.7:41822: read HEADERS stream=1 len=94 flags=END_HEADERS :method="POST" … authorization=*** (317 bytes)
 *     … debug h2 out-12 10.0.0.7:41822: wrote DATA stream=1 len=5 flags=END_STREAM
 *
 * "read" is what the peer of that socket sent, "wrote" what we sent. Bodies are never shown, only their lengths. Values of fields that carry
 * secrets, by name (frame_log.c) or because their sender said so (never-indexed, RFC 7541 §7.1.3), are masked, and so is what
 * follows the '?' of a path. What is read is shown once it is complete: a header block with its CONTINUATIONs is one line.
 *
 * Whether a session is shown is decided once for each turn of the loop; while it is not, a frame costs one branch.
 *
 * Threads: the session's loop.
 * Limits:  FRAME_LOG_LINES_PER_SECOND for the process, then lines are left out and counted; a line as in base/log; a value
 *          FRAME_LOG_VALUE_MAX bytes.
 */

#include <nghttp2/nghttp2.h>

#include "base/str.h"
#include "h2/session_internal.h"

#define FRAME_LOG_LINES_PER_SECOND 5000
#define FRAME_LOG_VALUE_MAX 256

/* Decides whether the frames of this turn are shown. */
void frame_log_look(struct h2_session *s);

/* Only for sessions with `is_traced`. */
void frame_log_read(const struct h2_session *s, const nghttp2_frame *frame);
void frame_log_wrote(const struct h2_session *s, const nghttp2_frame *frame);

/* One field as a line shows it: name="value", masked and cut. */
void frame_log_field(struct text *out, struct str name, struct str value, bool is_never_indexed);

/* All but the direction. `headers`: the fields of a HEADERS frame that was read; NULL: those of the frame itself, or none were kept. */
void frame_log_format(struct text *out, const nghttp2_frame *frame, const struct h2_headers *headers);
