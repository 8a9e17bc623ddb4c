/* SPDX-License-Identifier: Apache-2.0 */

/* outrigger-proxy: settings, then the program, then its exit status (0 after a drain, 1 if it could not start, 2 for bad settings). */

#include "app/program.h"
#include "base/launch.h"
#include "base/log.h"

static bool validate(const void *settings, struct text *ret_error)
{
    return config_validate(settings, ret_error);
}

static int run(const void *settings)
{
    struct program *p = program_new(settings);

    if (p == NULL) {
        return LAUNCH_FAILED;
    }
    program_run(p);
    program_free(p);
    log_info(LOG_APP, NULL, "stopped");
    return LAUNCH_DONE;
}

int main(int argc, char **argv)
{
    struct proxy_settings settings = {0};
    struct launch it = {&proxy_program, &settings, validate, run};

    return launch(&it, argc, argv);
}
