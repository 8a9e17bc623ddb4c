/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one source that the settings choose: a folder of manifests, or the Kubernetes API.
 *
 * Owner:   the program; writes to the model it was given, which outlives it.
 * Threads: the loop's.
 * Errors:  source_start logs what is wrong and answers negative errno. Later trouble is logged, and what is known stays.
 */

#include <stdbool.h>

#include "base/container.h"
#include "net/loop.h"

#include "api/kube/reflector.h"
#include "api/model/model.h"
#include "api/source/kubernetes.h"
#include "api/source/manifests.h"

struct source_options {
    const char *manifests;  /* a folder; "": the Kubernetes API */
    const char *kubeconfig; /* a file; "": the pod's service account */
};

struct source {
    struct manifests *manifests; /* one of the two */
    struct kubernetes *kubernetes;
    struct kube_client *client;
    char *name;       /* for people: the folder, or the API's address */
    bool is_complete; /* the model was, as soon as the source had started */
};

/* `on_change`: the model is complete and may have changed; from the loop, never from within this call. */
int source_start(struct source *s, struct loop *l, const struct source_options *options, struct model *model,
                 void (*on_change)(void *ctx), void *ctx) MUST_CHECK;

/* Accepts one that was never started. */
void source_stop(struct source *s);
