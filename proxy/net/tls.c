/* SPDX-License-Identifier: Apache-2.0 */

#include "net/tls.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "base/mem.h"
#include "net/tls_internal.h"

struct tls {
    struct tls_context *context;
    mbedtls_ssl_context ssl;
    int fd; /* during a call */
    int socket_error;
    int failure;           /* sticky: mbedTLS is not to be called again after an error */
    struct addr server_ip; /* client: the certificate must name it; ADDR_NONE: a DNS name, which mbedTLS checks */
    uint8_t *out;
    size_t out_start;
    size_t out_end;
    size_t out_size;
    bool is_established;
    bool is_ended;
    char error[200];
};

/* --- mbedTLS's view of the socket --- */

static int bio_recv(void *ctx, unsigned char *buf, size_t len)
{
    struct tls *t = ctx;
    ssize_t n = recv(t->fd, buf, len > INT_MAX ? INT_MAX : len, 0);

    if (n >= 0) {
        return (int)n;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    t->socket_error = -errno;
    return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

/* Always takes everything: a record that is made is made whole, whatever the socket says later. */
static int bio_send(void *ctx, const unsigned char *buf, size_t len)
{
    struct tls *t = ctx;

    if (t->out_size - t->out_end < len) {
        t->out_size = (t->out_end + len) * 2;
        t->out = mem_realloc_array(t->out, t->out_size, 1);
    }
    memcpy(t->out + t->out_end, buf, len);
    t->out_end += len;
    return (int)len;
}

int tls_flush(struct tls *t, int fd)
{
    while (t->out_start < t->out_end) {
        ssize_t n = send(fd, t->out + t->out_start, t->out_end - t->out_start, MSG_NOSIGNAL);

        if (n < 0) {
            return -errno;
        }
        t->out_start += (size_t)n;
    }
    mem_free(t->out); /* an idle session holds none */
    t->out = NULL;
    t->out_start = t->out_end = t->out_size = 0;
    return 0;
}

bool tls_has_output(const struct tls *t)
{
    return t->out_end > t->out_start;
}

/* --- names --- */

/*
 * mbedTLS 2.28 does not know IP addresses in certificates; this serves both versions. subjectAltName entries stay raw: context tag 7
 * is an address of 4 or 16 bytes (RFC 5280 §4.2.1.6).
 */
static bool names_ip(const mbedtls_x509_crt *certificate, const struct addr *ip)
{
    size_t len = ip->family == ADDR_V4 ? 4 : 16;

    for (const mbedtls_x509_sequence *san = &certificate->subject_alt_names; san != NULL; san = san->next) {
        if ((san->buf.tag & 0x1f) == MBEDTLS_X509_SAN_IP_ADDRESS && san->buf.len == len &&
            memcmp(san->buf.p, ip->bytes, len) == 0) {
            return true;
        }
    }
    return false;
}

static int verify_ip(void *ctx, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    const struct tls *t = ctx;

    if (depth == 0 && !names_ip(certificate, &t->server_ip)) {
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    return 0;
}

static int expect_name(struct tls *t, const char *server_name)
{
    if (server_name == NULL) {
        return 0;
    }
    if (addr_parse_ip(str_from(server_name), &t->server_ip)) {
        mbedtls_ssl_set_verify(&t->ssl, verify_ip, t);
        return mbedtls_ssl_set_hostname(&t->ssl, NULL); /* no SNI (RFC 6066 §3), no check of mbedTLS's own */
    }
    return mbedtls_ssl_set_hostname(&t->ssl, server_name);
}

/* --- life --- */

struct tls *tls_new(struct tls_context *context, const char *server_name)
{
    struct tls *t = mem_alloc(sizeof *t);

    assert((tls_context_role(context) == TLS_CLIENT) == (server_name != NULL));
    t->context = tls_context_ref(context);
    mbedtls_ssl_init(&t->ssl);
    if (mbedtls_ssl_setup(&t->ssl, tls_context_config(context)) != 0 || expect_name(t, server_name) != 0) {
        tls_free(&t);
        return NULL;
    }
    mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
    return t;
}

void tls_free(struct tls **tls)
{
    struct tls *t = *tls;

    if (t == NULL) {
        return;
    }
    *tls = NULL;
    mbedtls_ssl_free(&t->ssl);
    tls_context_unref(&t->context);
    mem_free(t->out);
    mem_free(t);
}

/* --- errors --- */

static void describe(struct tls *t, int code)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);

    if (code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags != 0 && flags != UINT32_MAX) {
        mbedtls_x509_crt_verify_info(t->error, sizeof t->error, "", flags);
        t->error[strcspn(t->error, "\n")] = '\0'; /* the first reason */
    } else {
        mbedtls_strerror(code, t->error, sizeof t->error);
    }
}

/* mbedTLS's result as negative errno; 0 for what only asks to be called again. */
static int result_of(struct tls *t, int code)
{
    switch (code) {
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return -EAGAIN;
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET: /* TLS 1.3: not data, not an error */
        return 0;
#endif
    default:
        break;
    }
    if (t->socket_error == 0) {
        describe(t, code);
    }
    t->failure = t->socket_error != 0 ? t->socket_error : -EPROTO;
    return t->failure;
}

const char *tls_error_text(const struct tls *t)
{
    return t->error;
}

/* --- handshake --- */

int tls_handshake(struct tls *t, int fd)
{
    int r;
    int error;

    t->fd = fd;
    if (t->failure != 0 || t->is_established) {
        return t->failure;
    }
    do {
        r = mbedtls_ssl_handshake(&t->ssl);
        error = r == 0 ? 0 : result_of(t, r);
    } while (r != 0 && error == 0);
    /* Also after a failure: the alert tells the peer why. */
    int flushed = tls_flush(t, fd);

    t->is_established = error == 0;
    return error == 0 && flushed != -EAGAIN ? flushed : error;
}

bool tls_is_established(const struct tls *t)
{
    return t->is_established;
}

const char *tls_alpn(const struct tls *t)
{
    return mbedtls_ssl_get_alpn_protocol(&t->ssl);
}

/* --- bytes --- */

ssize_t tls_recv(struct tls *t, int fd, void *buf, size_t size)
{
    uint8_t *to = buf;
    size_t got = 0;

    if (t->failure != 0 || !t->is_established) {
        return t->failure != 0 ? t->failure : -EAGAIN;
    }
    t->fd = fd;
    while (got < size && !t->is_ended) {
        int n = mbedtls_ssl_read(&t->ssl, to + got, size - got);

        if (n > 0) {
            got += (size_t)n;
        } else if (n == 0 || n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || n == MBEDTLS_ERR_SSL_CONN_EOF) {
            t->is_ended = true;
        } else {
            int error = result_of(t, n);

            if (error == 0) {
                continue;
            }
            if (got == 0) {
                return error;
            }
            break; /* what has come is delivered; a lasting error shows again */
        }
    }
    return (ssize_t)got;
}

bool tls_has_input(const struct tls *t)
{
    return t->is_established && mbedtls_ssl_check_pending(&t->ssl) != 0;
}

ssize_t tls_send(struct tls *t, int fd, const void *buf, size_t len)
{
    const uint8_t *from = buf;
    size_t wanted = len < TLS_SEND_MAX ? len : TLS_SEND_MAX;
    size_t taken = 0;

    if (t->failure != 0 || !t->is_established) {
        return t->failure != 0 ? t->failure : -EAGAIN;
    }
    int r = tls_flush(t, fd);

    if (r < 0) {
        return r;
    }
    t->fd = fd;
    while (taken < wanted) {
        int n = mbedtls_ssl_write(&t->ssl, from + taken, wanted - taken);

        if (n < 0) {
            return result_of(t, n);
        }
        taken += (size_t)n;
    }
    r = tls_flush(t, fd);
    return r == 0 || r == -EAGAIN ? (ssize_t)taken : r;
}

void tls_shutdown(struct tls *t, int fd)
{
    t->fd = fd;
    if (t->is_established && t->failure == 0) {
        (void)mbedtls_ssl_close_notify(&t->ssl);
        int r = tls_flush(t, fd);

        (void)r; /* a farewell that does not fit is not waited for */
    }
}
