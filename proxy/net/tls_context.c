/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Written for mbedTLS 2.28 (Debian 12) and 3.6 (Debian 13). 2.28's defaults are not good enough: it would offer TLS 1.0, CBC suites
 * and secp521r1 first.
 */

#include "net/tls_context.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include "base/mem.h"
#include "net/tls_internal.h"

struct tls_context {
    unsigned refs;
    enum tls_role role;
    mbedtls_ssl_config config;
    mbedtls_x509_crt trust;
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
};

static const int cipher_suites[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

const mbedtls_ssl_config *tls_context_config(const struct tls_context *c)
{
    return &c->config;
}

enum tls_role tls_context_role(const struct tls_context *c)
{
    return c->role;
}

static bool fail(struct text *error, const char *what, int code)
{
    char reason[160];

    mbedtls_strerror(code, reason, sizeof reason);
    text_printf(error, "%s: %s", what, reason);
    return false;
}

/* mbedTLS takes PEM only with its NUL. A positive result counts certificates that could not be read. */
static bool read_certificates(mbedtls_x509_crt *to, struct str pem, const char *what, struct text *error)
{
    char *copy = mem_copy_string(pem.p, pem.len);
    int r = mbedtls_x509_crt_parse(to, (const unsigned char *)copy, pem.len + 1);

    mem_free(copy);
    if (r < 0) {
        return fail(error, what, r);
    }
    if (r > 0) {
        text_printf(error, "%s: %d of its certificates cannot be read", what, r);
        return false;
    }
    return true;
}

static bool read_key(struct tls_context *c, struct str pem, struct text *error)
{
    char *copy = mem_copy_string(pem.p, pem.len);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    int r = mbedtls_pk_parse_key(&c->key, (const unsigned char *)copy, pem.len + 1, NULL, 0, mbedtls_ctr_drbg_random, &c->random);
#else
    int r = mbedtls_pk_parse_key(&c->key, (const unsigned char *)copy, pem.len + 1, NULL, 0);
#endif

    for (volatile char *p = copy; p < copy + pem.len; p++) {
        *p = 0; /* no second copy of a private key stays behind */
    }
    mem_free(copy);
    return r == 0 || fail(error, "the private key", r);
}

static bool is_pair(struct tls_context *c, struct text *error)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    int r = mbedtls_pk_check_pair(&c->certificate.pk, &c->key, mbedtls_ctr_drbg_random, &c->random);
#else
    int r = mbedtls_pk_check_pair(&c->certificate.pk, &c->key);
#endif

    return r == 0 || fail(error, "certificate and private key do not belong together", r);
}

static bool take_own_certificate(struct tls_context *c, const struct tls_options *o, struct text *error)
{
    if (o->certificate_pem.len == 0) {
        if (c->role == TLS_SERVER) {
            text_printf(error, "a server needs a certificate");
        }
        return c->role == TLS_CLIENT;
    }
    if (!read_certificates(&c->certificate, o->certificate_pem, "the certificate", error) || !read_key(c, o->key_pem, error) ||
        !is_pair(c, error)) {
        return false;
    }
    int r = mbedtls_ssl_conf_own_cert(&c->config, &c->certificate, &c->key);

    return r == 0 || fail(error, "the certificate", r);
}

static bool take_trust(struct tls_context *c, const struct tls_options *o, struct text *error)
{
    if (o->trust_pem.len == 0) {
        if (c->role == TLS_CLIENT) {
            text_printf(error, "no certificate authority to trust");
            return false;
        }
        mbedtls_ssl_conf_authmode(&c->config, MBEDTLS_SSL_VERIFY_NONE);
        return true;
    }
    mbedtls_ssl_conf_authmode(&c->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&c->config, &c->trust, NULL);
    return read_certificates(&c->trust, o->trust_pem, "the certificate authorities", error);
}

static void restrict_protocol(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                      MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};

    mbedtls_ssl_conf_groups(config, groups);
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
                                                  MBEDTLS_ECP_DP_NONE};

    mbedtls_ssl_conf_curves(config, curves);
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    mbedtls_ssl_conf_ciphersuites(config, cipher_suites);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
}

static bool configure(struct tls_context *c, const struct tls_options *o, struct text *error)
{
    int endpoint = c->role == TLS_CLIENT ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER;
    int r = mbedtls_ctr_drbg_seed(&c->random, mbedtls_entropy_func, &c->entropy, NULL, 0);

    if (r != 0) {
        return fail(error, "no random numbers", r);
    }
    r = mbedtls_ssl_config_defaults(&c->config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (r != 0) {
        return fail(error, "TLS", r);
    }
    mbedtls_ssl_conf_rng(&c->config, mbedtls_ctr_drbg_random, &c->random);
    restrict_protocol(&c->config);
    if (o->alpn != NULL) {
        r = mbedtls_ssl_conf_alpn_protocols(&c->config,
                                            (const char **)(uintptr_t)o->alpn); /* only read; the type lacks a const */
        if (r != 0) {
            return fail(error, "ALPN", r);
        }
    }
    return take_trust(c, o, error) && take_own_certificate(c, o, error);
}

struct tls_context *tls_context_new(enum tls_role role, const struct tls_options *options, struct text *error)
{
    struct tls_context *c = mem_alloc(sizeof *c);

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    (void)psa_crypto_init(); /* TLS 1.3 needs it; repeating it is allowed */
#endif
    c->refs = 1;
    c->role = role;
    mbedtls_ssl_config_init(&c->config);
    mbedtls_x509_crt_init(&c->trust);
    mbedtls_x509_crt_init(&c->certificate);
    mbedtls_pk_init(&c->key);
    mbedtls_entropy_init(&c->entropy);
    mbedtls_ctr_drbg_init(&c->random);
    if (!configure(c, options, error)) {
        tls_context_unref(&c);
    }
    return c;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    c->refs++;
    return c;
}

void tls_context_unref(struct tls_context **context)
{
    struct tls_context *c = *context;

    *context = NULL;
    if (c == NULL || --c->refs > 0) {
        return;
    }
    mbedtls_ssl_config_free(&c->config);
    mbedtls_x509_crt_free(&c->trust);
    mbedtls_x509_crt_free(&c->certificate);
    mbedtls_pk_free(&c->key);
    mbedtls_ctr_drbg_free(&c->random);
    mbedtls_entropy_free(&c->entropy);
    mem_free(c);
}
