/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The three standard streams are memory files, not pipes: nobody can block on a full pipe, so plain write, wait, read is enough.
 */

#include "init/run.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

bool run_find(const char *name, char ret_path[static RUN_PATH_SIZE])
{
    const char *path = getenv("PATH");
    struct str rest = str_from(path != NULL && *path != '\0' ? path : USUAL_PATH);
    struct str folder;
    char candidate[RUN_PATH_SIZE];

    while (str_split(&rest, ':', &folder)) {
        int len = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)folder.len, folder.p, name);

        /* An empty entry means the working directory, which has no business naming a program that runs as root. */
        if (folder.len > 0 && len > 0 && (size_t)len < sizeof candidate && access(candidate, X_OK) == 0) {
            snprintf(ret_path, RUN_PATH_SIZE, "%s", candidate);
            return true;
        }
    }
    return false;
}

static int write_all(int fd, struct str s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.p, s.len);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            s.p += n;
            s.len -= (size_t)n;
        }
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static void read_all(int fd, struct text *out)
{
    char chunk[4096];
    off_t at = 0;

    for (;;) {
        ssize_t n = pread(fd, chunk, sizeof chunk, at);

        if (n <= 0 || out->is_cut) {
            return;
        }
        text_append(out, chunk, (size_t)n);
        at += n;
    }
}

static int spawn_and_wait(const char *const *argv, const int fds[static 3])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    int r = posix_spawn_file_actions_init(&actions);

    if (r != 0) {
        return -r;
    }
    for (int i = 0; i < 3 && r == 0; i++) {
        r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    }
    if (r == 0) {
        /* The strings are not written to: posix_spawn lacks a const only for the sake of old callers. */
        r = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0) {
        return -r;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_program(const char *const *argv, struct str input, struct text *output, struct text *errors)
{
    CLEANUP_FD int in = memfd_create("input", MFD_CLOEXEC);
    CLEANUP_FD int out = memfd_create("output", MFD_CLOEXEC);
    CLEANUP_FD int err = memfd_create("errors", MFD_CLOEXEC);
    int r;

    if (in < 0 || out < 0 || err < 0) {
        return -errno;
    }
    r = write_all(in, input);
    if (r < 0) {
        return r;
    }
    r = spawn_and_wait(argv, (int[3]){in, out, err});
    read_all(out, output);
    read_all(err, errors);
    return r;
}
