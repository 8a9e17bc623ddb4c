/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A folder of Kubernetes manifests (*.yaml, *.yml, *.json) as the source of the model, followed by inotify.
 *
 *     event ─▶ wait until it has been quiet for 50 ms ─▶ scan: read what changed ─▶ model_put/remove ─▶ on_change
 *
 * Each file counts as a whole: while anything in it is wrong, or somebody is still writing it, its last good objects stay. A file that
 * is gone takes its objects along. Of an object in two files the one in the alphabetically first file counts. If the folder itself
 * disappears everything stays and it is looked for every second. Symbolic links are followed, so that a mounted ConfigMap works; other
 * folders inside are not entered.
 *
 * Owner:   the program; writes to the model it was given, which outlives it.
 * Threads: the loop's.
 * Errors:  manifests_start: negative errno when the folder cannot be read at the start. Later trouble is logged, once for each reading.
 * Limits:  FOLDER_FILES_MAX files (folder.h), yaml_tree.h's limits for each.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/container.h"
#include "net/loop.h"

#include "api/model/model.h"

struct manifests;

struct manifests_status {
    size_t files;       /* being followed */
    size_t wrong_files; /* of these, those whose present text cannot be used */
    size_t services;
    size_t slices;
    uint64_t scans;
    uint64_t errors; /* failed readings since the start */
};

/* `folder` is copied. `on_change` is called from the loop after the model changed, never from manifests_start. */
struct manifests *manifests_new(struct loop *l, const char *folder, struct model *model, void (*on_change)(void *ctx), void *ctx);

/* The first scan has been done when it returns; the model is then complete. */
int manifests_start(struct manifests *m) MUST_CHECK;
void manifests_free(struct manifests *m); /* accepts NULL */

struct manifests_status manifests_status(const struct manifests *m);
