/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of a folder of manifests, each with the objects of its last good text. A scan reads those that changed since the last.
 *
 * Owner:   embedded; owns the files and one reference to each of their objects.
 * Threads: the owner's.
 * Errors:  folder_scan: negative errno when the folder itself cannot be read; nothing changes then. Trouble with one file is logged
 *          and counted; its last good objects stay.
 * Limits:  FOLDER_FILES_MAX files; the rest is left alone with a warning.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/container.h"

#include "api/source/parse.h"

#define FOLDER_FILES_MAX 10000

struct folder_file {
    char *name;
    struct manifest good;
    struct stat read_as;     /* of the text last read; st_ino 0 before the first time */
    bool is_racy;            /* read so soon after it was written that a later write may look the same */
    bool is_busy;            /* somebody writes it: not read before they close it */
    bool is_wrong;           /* the present text cannot be used */
    struct yaml_error error; /* the reason, so as not to log it twice */
    uint64_t seen;           /* the last scan that met it */
};

struct folder {
    char *path;
    size_t count;
    struct folder_file **files; /* sorted by name */
    uint64_t scans;
    uint64_t errors;
};

void folder_init(struct folder *f, const char *path);
void folder_deinit(struct folder *f);

/* `*ret_is_changed`: some file's good objects may be others now. */
int folder_scan(struct folder *f, bool *ret_is_changed) MUST_CHECK;

/* Whether a file of this name would be read: *.yaml, *.yml, *.json, not hidden. */
bool folder_is_manifest(const char *name);

/* Between the first write and the close of `name`, as inotify tells. */
void folder_set_busy(struct folder *f, const char *name, bool is_busy);

/* Events were lost: nobody is known to write. */
void folder_clear_busy(struct folder *f);

bool folder_has_busy(const struct folder *f);
size_t folder_wrong_count(const struct folder *f);
