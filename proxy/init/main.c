/* SPDX-License-Identifier: Apache-2.0 */

/*
 * outrigger-init: one action, family by family, then an exit status: 0 done, 1 not done, 2 the settings are wrong.
 */

#include <stdio.h>

#include "base/cleanup.h"
#include "base/launch.h"
#include "base/log.h"
#include "init/check.h"
#include "init/init_settings.h"
#include "init/iptables.h"
#include "init/rules.h"

#define MESSAGE_MAX 8192

/* The three things an action can say about a family. */
enum verdict { VERDICT_DONE, VERDICT_MISSING, VERDICT_FAILED };

static const enum addr_family families[] = {ADDR_V4, ADDR_V6};

static enum verdict apply(const struct init_settings *s, enum addr_family family, struct text *message)
{
    enum iptables_outcome outcome = iptables_apply(s, family, message);

    return outcome == IPTABLES_DONE ? VERDICT_DONE : outcome == IPTABLES_MISSING ? VERDICT_MISSING : VERDICT_FAILED;
}

static enum verdict remove_all(const struct init_settings *s, enum addr_family family, struct text *message)
{
    enum iptables_outcome outcome = iptables_remove(s, family, message);

    return outcome == IPTABLES_DONE ? VERDICT_DONE : outcome == IPTABLES_MISSING ? VERDICT_MISSING : VERDICT_FAILED;
}

static enum verdict check(const struct init_settings *s, enum addr_family family, struct text *message)
{
    enum check_outcome outcome = check_redirection(s, family, message);

    return outcome == CHECK_PASSED ? VERDICT_DONE : outcome == CHECK_IMPOSSIBLE ? VERDICT_MISSING : VERDICT_FAILED;
}

struct action {
    enum verdict (*run)(const struct init_settings *s, enum addr_family family, struct text *message);
    const char *done;
    const char *missing;
    const char *failed;
};

static const struct action action_apply = {apply, "redirected", "not redirected, goes on without", "could not be redirected"};
static const struct action action_remove = {remove_all, "cleared", "nothing to clear", "could not be cleared"};
static const struct action action_check = {check, "works", "not checked", "does not work"};

/* Writes the one line about the family. `on` turns what is missing into a failure. */
static enum verdict run_family(const struct action *a, const struct init_settings *s, enum addr_family family)
{
    CLEANUP_TEXT struct text message;
    const char *label = init_family_label(family);
    enum verdict verdict;

    text_init(&message, MESSAGE_MAX);
    verdict = a->run(s, family, &message);
    if (verdict == VERDICT_MISSING && init_settings_family_mode(s, family) == INIT_FAMILY_ON && a != &action_remove) {
        verdict = VERDICT_FAILED;
    }
    if (verdict == VERDICT_DONE) {
        log_info(LOG_INIT, label, "%s: %s", a->done, message.p);
    } else if (verdict == VERDICT_MISSING) {
        log_warn(LOG_INIT, label, "%s: %s", a->missing, message.p);
    } else {
        log_error(LOG_INIT, label, "%s: %s", a->failed, message.p);
    }
    return verdict;
}

/* Done if no family failed and at least one was there; removing is also done when there is nothing to remove from. */
static int run_action(const struct action *a, const struct init_settings *s)
{
    unsigned done = a == &action_remove;
    unsigned failed = 0;

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (init_settings_family_mode(s, families[i]) != INIT_FAMILY_OFF) {
            enum verdict verdict = run_family(a, s, families[i]);

            done += verdict == VERDICT_DONE;
            failed += verdict == VERDICT_FAILED;
        }
    }
    if (failed == 0 && done == 0) {
        log_error(LOG_INIT, NULL, "no address family is left");
    }
    return failed == 0 && done > 0 ? LAUNCH_DONE : LAUNCH_FAILED;
}

static int dry_run(const struct init_settings *s)
{
    CLEANUP_TEXT struct text out;

    text_init(&out, ARRAY_LEN(families) * RULES_TEXT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (init_settings_family_mode(s, families[i]) != INIT_FAMILY_OFF) {
            text_printf(&out, "# %s: %s-restore --noflush\n", init_family_label(families[i]),
                        families[i] == ADDR_V6 ? "ip6tables" : "iptables");
            rules_write(s, families[i], STR(""), &out);
        }
    }
    return fputs(out.p, stdout) >= 0 && fflush(stdout) == 0 ? LAUNCH_DONE : LAUNCH_FAILED;
}

static int run(const void *settings)
{
    const struct init_settings *s = settings;
    CLEANUP_TEXT struct text problem;

    text_init(&problem, MESSAGE_MAX);
    if (s->dry_run) {
        return dry_run(s);
    }
    if (s->check) {
        return run_action(&action_check, s);
    }
    if (!iptables_is_permitted(&problem)) {
        log_error(LOG_INIT, NULL, "%s", problem.p);
        return LAUNCH_FAILED;
    }
    return run_action(s->remove ? &action_remove : &action_apply, s);
}

static bool validate(const void *settings, struct text *ret_error)
{
    return init_settings_validate(settings, ret_error);
}

int main(int argc, char **argv)
{
    struct init_settings settings = {0};
    struct launch it = {&init_program, &settings, validate, run};

    return launch(&it, argc, argv);
}
