/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A file is read again when its inode, size or times differ from those it was last read with. Times are only as fine as the kernel's
 * tick: a file read within a second of its last change is read once more by the next scan, whatever it looks like.
 */

#include "api/source/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"

#define RACY_SECONDS 1

void folder_init(struct folder *f, const char *path)
{
    *f = (struct folder){.path = mem_strdup(path)};
}

static void free_file(struct folder_file *file)
{
    manifest_deinit(&file->good);
    mem_free(file->name);
    mem_free(file);
}

void folder_deinit(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free_file(f->files[i]);
    }
    mem_free(f->files);
    mem_free(f->path);
    *f = (struct folder){0};
}

bool folder_is_manifest(const char *name)
{
    struct str s = str_from(name);

    return name[0] != '.' && (str_ends_with(s, STR(".yaml")) || str_ends_with(s, STR(".yml")) || str_ends_with(s, STR(".json")));
}

/* The index of `name`, or where it belongs. */
static size_t find_place(const struct folder *f, const char *name)
{
    size_t low = 0, high = f->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(f->files[mid]->name, name) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct folder_file *find_file(const struct folder *f, const char *name)
{
    size_t place = find_place(f, name);

    return place < f->count && strcmp(f->files[place]->name, name) == 0 ? f->files[place] : NULL;
}

/* NULL at the limit. */
static struct folder_file *need_file(struct folder *f, const char *name)
{
    struct folder_file *file = find_file(f, name);
    size_t place;

    if (file != NULL) {
        return file;
    }
    if (f->count == FOLDER_FILES_MAX) {
        log_warn(LOG_SOURCE, f->path, "more than %d files: %s is left alone", FOLDER_FILES_MAX, name);
        return NULL;
    }
    if ((f->count & (f->count - 1)) == 0) { /* 0, 1, 2, 4 …: full */
        f->files = mem_realloc_array(f->files, f->count == 0 ? 1 : f->count * 2, sizeof(struct folder_file *));
    }
    file = mem_alloc(sizeof *file);
    file->name = mem_strdup(name);
    place = find_place(f, name);
    memmove(f->files + place + 1, f->files + place, (f->count - place) * sizeof(struct folder_file *));
    f->files[place] = file;
    f->count++;
    return file;
}

void folder_set_busy(struct folder *f, const char *name, bool is_busy)
{
    struct folder_file *file = is_busy ? need_file(f, name) : find_file(f, name);

    if (file != NULL) {
        file->is_busy = is_busy;
    }
}

void folder_clear_busy(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        f->files[i]->is_busy = false;
    }
}

bool folder_has_busy(const struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->files[i]->is_busy) {
            return true;
        }
    }
    return false;
}

size_t folder_wrong_count(const struct folder *f)
{
    size_t count = 0;

    for (size_t i = 0; i < f->count; i++) {
        count += f->files[i]->is_wrong ? 1 : 0;
    }
    return count;
}

/* --- one file --- */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void report(struct folder *f, struct folder_file *file, const struct yaml_error *error)
{
    bool is_known = file->is_wrong && file->error.line == error->line && strcmp(file->error.reason, error->reason) == 0;

    file->is_wrong = true;
    file->error = *error;
    if (is_known) {
        return;
    }
    f->errors++;
    if (error->line > 0) {
        log_warn(LOG_SOURCE, file->name, "line %u: %s; its last good objects stay", error->line, error->reason);
    } else {
        log_warn(LOG_SOURCE, file->name, "%s; its last good objects stay", error->reason);
    }
}

static void report_errno(struct folder *f, struct folder_file *file, int error)
{
    struct yaml_error why = {0};

    snprintf(why.reason, sizeof why.reason, "cannot be read: %s", strerror(error));
    report(f, file, &why);
}

/* The whole text into `*ret_bytes` (mem_free). 0 or negative errno. */
static int read_all(int fd, char **ret_bytes, size_t *ret_len)
{
    size_t size = 4096, len = 0;
    char *bytes = mem_alloc(size);

    for (;;) {
        ssize_t got = read(fd, bytes + len, size - len);

        if (got < 0) {
            int error = errno;

            mem_free(bytes);
            return -error;
        }
        len += (size_t)got;
        if (got == 0 || len > YAML_BYTES_MAX) {
            *ret_bytes = bytes;
            *ret_len = len;
            return 0;
        }
        if (len == size) {
            size *= 2;
            bytes = mem_realloc_array(bytes, size, 1);
        }
    }
}

static void note_kinds(const struct folder_file *file, const struct manifest *m)
{
    for (size_t i = 0; i < m->other_count; i++) {
        log_info(LOG_SOURCE, file->name, "line %u: %s is left alone", m->others[i].line, m->others[i].kind);
    }
}

/* True when the file's objects were replaced. */
static bool take_text(struct folder *f, struct folder_file *file, struct str text)
{
    struct manifest m;

    if (!manifest_parse(&m, text)) {
        report(f, file, &m.error);
        manifest_deinit(&m);
        return false;
    }
    if (file->is_wrong) {
        log_info(LOG_SOURCE, file->name, "is good again");
    }
    note_kinds(file, &m);
    manifest_deinit(&file->good);
    file->good = m;
    file->is_wrong = false;
    return true;
}

static bool is_racy(const struct stat *info)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec - info->st_mtim.tv_sec <= RACY_SECONDS;
}

/* Opens without waiting for a writer, should it be a FIFO. */
static bool read_file(struct folder *f, int folder_fd, struct folder_file *file)
{
    CLEANUP_FD int fd = openat(folder_fd, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    CLEANUP_FREE char *bytes = NULL;
    struct stat info;
    size_t len = 0;
    int error;

    if (fd < 0 || fstat(fd, &info) != 0) {
        report_errno(f, file, errno);
        return false;
    }
    if (!S_ISREG(info.st_mode)) {
        report(f, file, &(struct yaml_error){.reason = "is not a regular file"});
        return false;
    }
    if (is_same(&info, &file->read_as) && !file->is_racy) {
        return false;
    }
    file->is_racy = is_racy(&info);
    file->read_as = info;
    error = read_all(fd, &bytes, &len);
    if (error < 0) {
        report_errno(f, file, -error);
        return false;
    }
    return take_text(f, file, (struct str){bytes, len});
}

/* --- the folder --- */

static bool scan_entry(struct folder *f, int folder_fd, const struct dirent *entry)
{
    struct folder_file *file;

    if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && f->scans == 1) {
        log_warn(LOG_SOURCE, entry->d_name, "is a folder: it is not entered");
    }
    if (entry->d_type == DT_DIR || !folder_is_manifest(entry->d_name)) {
        return false;
    }
    file = need_file(f, entry->d_name);
    if (file == NULL) {
        return false;
    }
    file->seen = f->scans;
    return !file->is_busy && read_file(f, folder_fd, file);
}

/* True when a file that had objects is gone. */
static bool drop_unseen(struct folder *f)
{
    bool is_changed = false;
    size_t kept = 0;

    for (size_t i = 0; i < f->count; i++) {
        struct folder_file *file = f->files[i];

        if (file->seen == f->scans) {
            f->files[kept++] = file;
            continue;
        }
        is_changed = is_changed || file->good.service_count > 0 || file->good.slice_count > 0;
        free_file(file);
    }
    f->count = kept;
    return is_changed;
}

int folder_scan(struct folder *f, bool *ret_is_changed)
{
    DIR *stream = opendir(f->path);
    bool is_changed = false;
    int error;

    if (stream == NULL) {
        return -errno;
    }
    f->scans++;
    errno = 0;
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        is_changed = scan_entry(f, dirfd(stream), entry) || is_changed;
        errno = 0;
    }
    error = errno;
    closedir(stream);
    if (error != 0) {
        return -error;
    }
    *ret_is_changed = drop_unseen(f) || is_changed;
    return 0;
}
