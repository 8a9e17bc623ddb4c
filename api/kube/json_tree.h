/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A parsed JSON object as the tree that manifests are read into, so that an object is read by the same code wherever it came from.
 *
 * Owner:   the result is a struct yaml of one document (yaml_deinit).
 * Threads: any; pure.
 * Errors:  false at YAML_DEPTH_MAX levels or YAML_NODES_MAX values; nothing is to be given back then.
 */

#include <jansson.h>

#include "api/kube/yaml_tree.h"

bool json_tree_make(struct yaml *y, const json_t *value) MUST_CHECK;
