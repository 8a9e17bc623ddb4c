/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tls.c needs of tls_context.c; nobody else includes it. */

#include <mbedtls/ssl.h>

#include "net/tls_context.h"

const mbedtls_ssl_config *tls_context_config(const struct tls_context *c);
enum tls_role tls_context_role(const struct tls_context *c);
