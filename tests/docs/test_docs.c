/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The reference documents are what the tables yield. With OUTRIGGER_TEST_REFRESH=1 they are written instead of compared.
 *
 * argv[1]: the source root.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/metrics.h"
#include "api/settings.h"
#include "app/config.h"
#include "app/program_metrics.h"
#include "init/init_settings.h"

#define DOCUMENT_MAX ((size_t)256 * 1024)
#define NOTE \
    "Generated from the tables in the code; `OUTRIGGER_TEST_REFRESH=1 meson test -C build --suite docs` writes it anew.\n\n"

static int failures;

static void write_file(const char *path, const struct text *wanted)
{
    FILE *f = fopen(path, "w");

    if (f == NULL || fwrite(wanted->p, 1, wanted->len, f) != wanted->len || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static bool is_current(const char *path, const struct text *wanted)
{
    static char found[DOCUMENT_MAX];
    FILE *f = fopen(path, "r");
    size_t len;

    if (f == NULL) {
        return false;
    }
    len = fread(found, 1, sizeof found, f);
    fclose(f);
    return len == wanted->len && memcmp(found, wanted->p, len) == 0;
}

static void check(const char *root, const char *name, const struct text *wanted)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", root, name);
    if (getenv("OUTRIGGER_TEST_REFRESH") != NULL) {
        write_file(path, wanted);
    } else if (!is_current(path, wanted)) {
        fprintf(stderr, "%s is stale\n", name);
        failures++;
    }
}

static void check_settings(const char *root, const char *name, const struct settings_program *program)
{
    struct text wanted;

    text_init(&wanted, DOCUMENT_MAX);
    text_printf(&wanted, "# Settings of %s\n\n%s\n\n" NOTE, program->name, program->summary);
    settings_write_docs(program, &wanted);
    check(root, name, &wanted);
    text_deinit(&wanted);
}

static void check_metrics(const char *root, const char *name, const char *prefix, const struct metric_family *families,
                          size_t count)
{
    struct text wanted;

    text_init(&wanted, DOCUMENT_MAX);
    text_printf(&wanted, "# Metrics `%s*`\n\n" NOTE, prefix);
    metrics_write_docs(prefix, families, count, &wanted);
    check(root, name, &wanted);
    text_deinit(&wanted);
}

int main(int argc, char **argv)
{
    const char *root = argc > 1 ? argv[1] : ".";

    check_settings(root, "proxy/SETTINGS.md", &proxy_program);
    check_settings(root, "proxy/init/SETTINGS.md", &init_program);
    check_settings(root, "api/SETTINGS.md", &api_program);
    check_metrics(root, "proxy/METRICS.md", PROGRAM_METRIC_PREFIX, program_families, PROGRAM_FAMILY_COUNT);
    check_metrics(root, "api/METRICS.md", API_METRIC_PREFIX, api_families, API_FAMILY_COUNT);
    if (failures > 0) {
        fprintf(stderr, "refresh with OUTRIGGER_TEST_REFRESH=1\n");
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
