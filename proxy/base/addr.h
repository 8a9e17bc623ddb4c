/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An IP address and TCP port as a plain value: compared, hashed, parsed and printed without a socket. IPv4-mapped IPv6 addresses
 * are stored as IPv4, so one destination has one form (RFC 4291 §2.5.5.2).
 *
 * Owner:   a value.
 * Errors:  parsing answers false and leaves its output untouched.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/container.h"
#include "base/str.h"

struct sockaddr;

enum addr_family { ADDR_NONE, ADDR_V4, ADDR_V6 };

struct addr {
    uint8_t family;    /* enum addr_family */
    uint8_t prefix;    /* CIDR length where the value is a network, else 0 */
    uint16_t port;     /* host byte order; 0 where there is none */
    uint8_t bytes[16]; /* network order; IPv4 in the first four, the rest zero */
};

#define ADDR_TEXT_SIZE 64

/* "10.96.0.10:50051", "[fd00::a]:50051". */
bool addr_parse(struct str text, struct addr *ret_addr) MUST_CHECK;

/* "10.96.0.10", "fd00::a"; the port is 0. */
bool addr_parse_ip(struct str text, struct addr *ret_addr) MUST_CHECK;

/* "10.96.0.0/12", or a bare address as a network of one. */
bool addr_parse_cidr(struct str text, struct addr *ret_network) MUST_CHECK;

/* As addr_parse reads it. Returns `out`, NUL-terminated. */
const char *addr_format(const struct addr *a, char out[static ADDR_TEXT_SIZE]);

/* The IP alone. */
const char *addr_format_ip(const struct addr *a, char out[static ADDR_TEXT_SIZE]);

bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_eq_ip(const struct addr *a, const struct addr *b); /* ports aside */
uint64_t addr_hash(const struct addr *a);
bool addr_in_network(const struct addr *a, const struct addr *network);
bool addr_is_loopback(const struct addr *a);
bool addr_is_any(const struct addr *a);

/* False for families other than IPv4 and IPv6. `sa` is a struct sockaddr_storage or fits its family. */
bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret_addr) MUST_CHECK;

/* Fills a struct sockaddr_storage; returns its length. `a` has a family. */
uint32_t addr_to_sockaddr(const struct addr *a, struct sockaddr *ret_sa);
