/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Feeds files, and the files in directories, to a fuzz target: its corpus becomes an ordinary test. An empty corpus fails, because it
 * would prove nothing.
 */

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"

#define INPUT_MAX_BYTES (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static void fail(const char *path)
{
    perror(path);
    exit(EXIT_FAILURE);
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fail(path);
    }
    uint8_t *data = mem_alloc(INPUT_MAX_BYTES);
    size_t size = fread(data, 1, INPUT_MAX_BYTES, file);

    if (ferror(file)) {
        fail(path);
    }
    fclose(file);
    /* Exactly as large as the input, so that the sanitizer sees a read past its end. */
    data = mem_realloc_array(data, 1, size);
    LLVMFuzzerTestOneInput(data, size);
    mem_free(data);
    replayed++;
}

static bool is_directory(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        fail(path);
    }
    return S_ISDIR(info.st_mode);
}

static void replay_directory(const char *path)
{
    DIR *directory = opendir(path);

    if (directory == NULL) {
        fail(path);
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') {
            char *child = mem_printf("%s/%s", path, entry->d_name);

            replay_file(child);
            mem_free(child);
        }
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (is_directory(argv[i])) {
            replay_directory(argv[i]);
        } else {
            replay_file(argv[i]);
        }
    }
    printf("%u inputs replayed\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
