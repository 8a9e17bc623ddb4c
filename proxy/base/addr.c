/* SPDX-License-Identifier: Apache-2.0 */

#include "base/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hash.h"

/* addr_eq and addr_hash look at the bytes of the struct. */
_Static_assert(sizeof(struct addr) == 20, "struct addr has no padding");

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static unsigned bit_count(const struct addr *a)
{
    return a->family == ADDR_V4 ? 32 : 128;
}

static struct addr from_v4(const void *bytes, uint16_t port)
{
    struct addr a = {.family = ADDR_V4, .port = port};

    memcpy(a.bytes, bytes, 4);
    return a;
}

static struct addr from_v6(const uint8_t *bytes, uint16_t port)
{
    if (memcmp(bytes, v4_mapped, sizeof v4_mapped) == 0) {
        return from_v4(bytes + sizeof v4_mapped, port);
    }
    struct addr a = {.family = ADDR_V6, .port = port};

    memcpy(a.bytes, bytes, 16);
    return a;
}

bool addr_parse_ip(struct str text, struct addr *ret_addr)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (text.len == 0 || text.len >= sizeof copy || str_find(text, '\0') != text.len) {
        return false;
    }
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1) {
        *ret_addr = from_v4(bytes, 0);
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) == 1) {
        *ret_addr = from_v6(bytes, 0);
        return true;
    }
    return false;
}

bool addr_parse(struct str text, struct addr *ret_addr)
{
    bool has_brackets = text.len > 0 && text.p[0] == '[';
    size_t ip_end = has_brackets ? str_find(text, ']') : str_find(text, ':');
    size_t colon = has_brackets ? ip_end + 1 : ip_end;
    struct addr parsed;
    uint64_t port = 0;

    if (colon >= text.len || text.p[colon] != ':') {
        return false;
    }
    struct str ip = has_brackets ? (struct str){text.p + 1, ip_end - 1} : (struct str){text.p, ip_end};

    if ((has_brackets && str_find(ip, ':') == ip.len) || !addr_parse_ip(ip, &parsed) ||
        !str_to_u64((struct str){text.p + colon + 1, text.len - colon - 1}, UINT16_MAX, &port)) {
        return false;
    }
    parsed.port = (uint16_t)port;
    *ret_addr = parsed;
    return true;
}

/* So that 10.1.2.3/8 and 10.0.0.0/8 are one value. */
static void clear_host_bits(struct addr *network)
{
    for (unsigned bit = network->prefix; bit < bit_count(network); bit++) {
        network->bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    }
}

bool addr_parse_cidr(struct str text, struct addr *ret_network)
{
    size_t slash = str_find(text, '/');
    struct str ip = {text.p, slash};
    struct addr parsed;

    if (!addr_parse_ip(ip, &parsed)) {
        return false;
    }
    /* An IPv4-mapped network counts its prefix from the start of the IPv6 form. */
    unsigned mapped_bits = parsed.family == ADDR_V4 && str_find(ip, ':') < ip.len ? 96 : 0;
    uint64_t prefix = mapped_bits + bit_count(&parsed);

    if (slash < text.len && !str_to_u64((struct str){text.p + slash + 1, text.len - slash - 1}, prefix, &prefix)) {
        return false;
    }
    if (prefix < mapped_bits) {
        return false;
    }
    parsed.prefix = (uint8_t)(prefix - mapped_bits);
    clear_host_bits(&parsed);
    *ret_network = parsed;
    return true;
}

const char *addr_format_ip(const struct addr *a, char out[static ADDR_TEXT_SIZE])
{
    if (a->family == ADDR_NONE || inet_ntop(a->family == ADDR_V4 ? AF_INET : AF_INET6, a->bytes, out, ADDR_TEXT_SIZE) == NULL) {
        snprintf(out, ADDR_TEXT_SIZE, "none");
    }
    return out;
}

const char *addr_format(const struct addr *a, char out[static ADDR_TEXT_SIZE])
{
    char ip[ADDR_TEXT_SIZE];

    if (a->family == ADDR_NONE) {
        return addr_format_ip(a, out);
    }
    int len = snprintf(out, ADDR_TEXT_SIZE, a->family == ADDR_V6 ? "[%s]:%u" : "%s:%u", addr_format_ip(a, ip), (unsigned)a->port);

    assert(len > 0 && len < ADDR_TEXT_SIZE);
    return out;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool addr_eq_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

uint64_t addr_hash(const struct addr *a)
{
    return hash_bytes(a, sizeof *a);
}

bool addr_in_network(const struct addr *a, const struct addr *network)
{
    if (a->family != network->family) {
        return false;
    }
    struct addr masked = *a;

    masked.prefix = network->prefix;
    clear_host_bits(&masked);
    return addr_eq_ip(&masked, network);
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};

    if (a->family == ADDR_V4) {
        return a->bytes[0] == 127;
    }
    return a->family == ADDR_V6 && memcmp(a->bytes, v6_loopback, sizeof v6_loopback) == 0;
}

bool addr_is_any(const struct addr *a)
{
    static const uint8_t zero[16];

    return a->family != ADDR_NONE && memcmp(a->bytes, zero, sizeof zero) == 0;
}

bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret_addr)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof in);
        *ret_addr = from_v4(&in.sin_addr, ntohs(in.sin_port));
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof in6);
        *ret_addr = from_v6(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port));
        return true;
    }
    return false;
}

uint32_t addr_to_sockaddr(const struct addr *a, struct sockaddr *ret_sa)
{
    assert(a->family != ADDR_NONE);
    if (a->family == ADDR_V4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};

        memcpy(&in.sin_addr, a->bytes, 4);
        memcpy(ret_sa, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};

    memcpy(&in6.sin6_addr, a->bytes, 16);
    memcpy(ret_sa, &in6, sizeof in6);
    return sizeof in6;
}
