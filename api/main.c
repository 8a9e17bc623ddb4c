/* SPDX-License-Identifier: Apache-2.0 */

/* outrigger-api: settings, then the program, then its exit status (0 after an orderly end, 1 if it could not start, 2 for bad settings). */

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

#include "api/program.h"

#define OUTPUT_MAX ((size_t)256 * 1024)

static int refuse(const struct text *out)
{
    fprintf(stderr, "outrigger-api: %s\n", out->p);
    return 2;
}

static int run(const struct api_settings *settings)
{
    struct program *p = program_new(settings);

    if (p == NULL) {
        return 1;
    }
    program_run(p);
    program_free(p);
    log_info(LOG_APP, NULL, "stopped");
    return 0;
}

static int configure_and_run(int argc, char **argv, struct api_settings *settings, struct text *out)
{
    switch (settings_parse(&api_program, argc, argv, environ, settings, out)) {
    case SETTINGS_EXIT:
        fputs(out->p, stdout);
        return 0;
    case SETTINGS_ERROR:
        return refuse(out);
    case SETTINGS_OK:
        break;
    }
    if (!api_settings_validate(settings, out) || log_set_levels(str_from(settings->log_level), out) < 0) {
        return refuse(out);
    }
    log_set_format(settings->log_format == 0 ? LOG_TEXT : LOG_JSON);
    return run(settings);
}

int main(int argc, char **argv)
{
    struct api_settings settings = {0};
    struct text out;
    int status;

    text_init(&out, OUTPUT_MAX);
    status = configure_and_run(argc, argv, &settings, &out);
    settings_deinit(&api_program, &settings);
    text_deinit(&out);
    return status;
}
