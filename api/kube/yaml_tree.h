/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * YAML text (or JSON, which is YAML) as a tree. Only what Kubernetes manifests are made of: mappings, sequences, scalars, several
 * documents. Aliases are refused: with them a small text stands for a huge tree, and no manifest needs them.
 *
 * Owner:   `struct yaml` owns all nodes; nodes are links into it.
 * Threads: any; pure.
 * Errors:  yaml_load answers false with line and reason; the tree is empty then.
 * Limits:  YAML_BYTES_MAX, YAML_DEPTH_MAX levels, YAML_NODES_MAX nodes.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define YAML_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 1000000

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool is_plain; /* a scalar without quotes: may be null, a number or a truth value */
    unsigned line; /* from 1 */
    struct str text;
    size_t count; /* of a map: keys and values, so twice its entries */
    struct yaml_node **items;
};

struct yaml_error {
    unsigned line; /* 0: the text as a whole */
    char reason[256];
};

struct yaml {
    size_t count;
    struct yaml_node **documents; /* empty documents are left out */
    size_t node_count;
};

bool yaml_load(struct yaml *y, struct str bytes, struct yaml_error *ret_error) MUST_CHECK;
void yaml_deinit(struct yaml *y);

/* The value under `key`, or NULL when there is none or it is null. The last one counts when a key is repeated. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

bool yaml_is_null(const struct yaml_node *node);
