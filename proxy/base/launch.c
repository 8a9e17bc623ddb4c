/* SPDX-License-Identifier: Apache-2.0 */

#include "base/launch.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define OUTPUT_MAX ((size_t)256 * 1024)

static int refuse(const struct launch *l, const struct text *why)
{
    fprintf(stderr, "%s: %s\n", l->program->name, why->p);
    return LAUNCH_SETTINGS;
}

static const void *field(const struct launch *l, const char *name)
{
    const struct settings_program *p = l->program;
    size_t i = 0;

    while (i < p->row_count && !str_eq(str_from(p->rows[i].name), str_from(name))) {
        i++;
    }
    assert(i < p->row_count);
    return (const char *)l->settings + p->rows[i].offset;
}

static bool set_up_log(const struct launch *l, struct text *ret_error)
{
    const char *const *levels = field(l, "log-level");
    const unsigned *format = field(l, "log-format");

    log_set_format(*format == 0 ? LOG_TEXT : LOG_JSON);
    return log_set_levels(str_from(*levels), ret_error) == 0;
}

static int launch_with(const struct launch *l, struct text *out)
{
    if (!l->validate(l->settings, out) || !set_up_log(l, out)) {
        return refuse(l, out);
    }
    return l->run(l->settings);
}

int launch(const struct launch *l, int argc, char *const *argv)
{
    CLEANUP_TEXT struct text out;
    int status;

    text_init(&out, OUTPUT_MAX);
    switch (settings_parse(l->program, argc, argv, environ, l->settings, &out)) {
    case SETTINGS_EXIT:
        return fputs(out.p, stdout) >= 0 && fflush(stdout) == 0 ? LAUNCH_DONE : LAUNCH_FAILED;
    case SETTINGS_ERROR:
        return refuse(l, &out);
    case SETTINGS_OK:
        break;
    }
    status = launch_with(l, &out);
    settings_deinit(l->program, l->settings);
    return status;
}
