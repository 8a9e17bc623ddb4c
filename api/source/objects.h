/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kubernetes objects, as written in YAML, become the model's: v1 Service and discovery.k8s.io/v1 EndpointSlice.
 *
 * Owner:   the result is one reference, the caller's.
 * Threads: any; pure.
 * Errors:  NULL with the reason in `f->error`.
 */

#include "api/kube/yaml_tree.h"
#include "api/model/service.h"
#include "api/source/fields.h"

struct service *object_read_service(struct fields *f, const struct yaml_node *object);

/* `*ret_is_owned` is false for a slice that names no Service: NULL without an error. */
struct slice *object_read_slice(struct fields *f, const struct yaml_node *object, bool *ret_is_owned);
