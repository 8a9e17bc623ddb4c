/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What TLS connections share: own certificate, trust, ALPN, and the random numbers. Immutable once made: a new certificate means a new
 * context, which new connections use while old ones keep theirs.
 *
 * Owner:   reference-counted: whoever made it, and every session (net/tls) that uses it.
 * Threads: the loop's: its random numbers are not shared between threads.
 * Errors:  tls_context_new answers NULL and says why in words.
 * Limits:  TLS 1.2 at least; ECDHE key exchange and AEAD ciphers only; the curves X25519, P-256, P-384.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum tls_role { TLS_CLIENT, TLS_SERVER };

struct tls_options {
    struct str trust_pem;       /* certificates that the peer's must lead to. Client: required. Server: empty asks for none */
    struct str certificate_pem; /* own chain, leaf first; empty: none (client only) */
    struct str key_pem;         /* its private key, not encrypted */
    const char *const *alpn;    /* NULL-terminated, most wanted first, static; NULL: no ALPN */
};

struct tls_context;

/* The PEM texts are read during the call only. On failure NULL, and `error` says what is wrong. */
struct tls_context *tls_context_new(enum tls_role role, const struct tls_options *options, struct text *error);

struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context **c); /* nulls; accepts NULL inside */
