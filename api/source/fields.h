/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Typed reading of a manifest's fields. The first thing that is wrong is remembered with its line and the object's name; everything
 * after it answers false.
 *
 * Owner:   embedded in one parse.
 * Threads: any; pure.
 * Errors:  false; the reason is in `error`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

#include "api/kube/yaml_tree.h"

#define FIELD_TEXT_MAX 253

struct fields {
    struct yaml_error *error;
    const char *kind; /* of the object being read, for messages */
    struct str name;  /* and its name, once known */
    bool is_failed;
};

/* Remembers the reason, unless there is one already. Always false. */
bool fields_fail(struct fields *f, const struct yaml_node *at, const char *format, ...) PRINTF_LIKE(3, 4);

/* A map or list under `key`; `*ret_node` is NULL when it is absent or null. */
bool fields_map(struct fields *f, const struct yaml_node *map, const char *key, const struct yaml_node **ret_node) MUST_CHECK;
bool fields_list(struct fields *f, const struct yaml_node *map, const char *key, const struct yaml_node **ret_node) MUST_CHECK;

/* Text of visible ASCII, at most FIELD_TEXT_MAX; empty when absent. */
bool fields_text(struct fields *f, const struct yaml_node *map, const char *key, struct str *ret_text) MUST_CHECK;

/* A DNS label, as Services, namespaces and ports are named (RFC 1123); empty when absent. */
bool fields_label(struct fields *f, const struct yaml_node *map, const char *key, struct str *ret_text) MUST_CHECK;

/* `*ret_value` stays as it is when absent. */
bool fields_bool(struct fields *f, const struct yaml_node *map, const char *key, bool *ret_value) MUST_CHECK;

/* 1 to 65535; 0 when absent. */
bool fields_port(struct fields *f, const struct yaml_node *map, const char *key, uint16_t *ret_port) MUST_CHECK;

/* An item of a list of addresses. */
bool fields_ip(struct fields *f, const struct yaml_node *item, struct addr *ret_ip) MUST_CHECK;

/* The index of the text in `choices` (NULL-terminated); 0 when absent. */
bool fields_choice(struct fields *f, const struct yaml_node *map, const char *key, const char *const *choices,
                   unsigned *ret_index) MUST_CHECK;
