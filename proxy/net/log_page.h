/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The admin pages of every program that show and change the log levels.
 *
 * Owner:   stateless; both ignore `ctx`.
 * Threads: the admin server's.
 * Errors:  a level that log_set_levels refuses is answered 400 with its reason, and changes nothing.
 */

#include "net/http_server.h"

/* GET: the levels in force. */
void log_page_get(void *ctx, const struct http_request *request, struct http_response *response);

/* POST ?level=warn,discovery=debug */
void log_page_set(void *ctx, const struct http_request *request, struct http_response *response);
