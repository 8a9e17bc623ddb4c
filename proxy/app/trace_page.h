/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The admin pages that switch the frame log on for one connection, peer or Service, and off again (base/trace, h2/frame_log).
 *
 * Threads: the control thread's.
 */

#include "net/http_server.h"

void trace_page_get(void *ctx, const struct http_request *request, struct http_response *response);

/* 400 with the reason when the rule cannot be made. */
void trace_page_add(void *ctx, const struct http_request *request, struct http_response *response);
void trace_page_stop(void *ctx, const struct http_request *request, struct http_response *response);
