/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each change is: read the nat table with iptables-save, let rules.c say what has to be different, hand that to iptables-restore. Reading
 * first is what makes a second run harmless: iptables-restore has no "add unless it is there".
 */

#include "init/iptables.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "init/rules.h"
#include "init/run.h"

/* The programs of one backend for one family. */
struct backend {
    enum iptables_mode mode; /* never IPTABLES_AUTO */
    enum addr_family family;
    char name[32]; /* "ip6tables-nft", for people */
    char save[RUN_PATH_SIZE];
    char restore[RUN_PATH_SIZE];
};

/* What a program says when the kernel lacks the family or the backend, as opposed to a rule that is wrong or a lock that is busy. */
static const char *const unsupported_signs[] = {
    "Table does not exist",     "Could not fetch rule set generation id",
    "Failed to initialize nft", "Protocol not supported",
    "Operation not supported",  "TABLE_ADD failed",
    "CHAIN_ADD failed",         "is incompatible, use 'nft' tool",
};

/* ---- what is there ---- */

bool iptables_is_permitted(struct text *ret_text)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1U << CAP_NET_ADMIN)) != 0) {
        return true;
    }
    text_printf(ret_text,
                "CAP_NET_ADMIN is missing (running as user %u): run as root with the capabilities NET_ADMIN and NET_RAW",
                (unsigned)geteuid());
    return false;
}

/* A family whose loopback address is missing can carry no redirected connection. */
static bool has_loopback(enum addr_family family, struct text *ret_text)
{
    bool is_v6 = family == ADDR_V6;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr *sa = is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    CLEANUP_FD int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        text_printf(ret_text, "the kernel does not offer it (%s)", strerror(errno));
        return false;
    }
    if (bind(fd, sa, is_v6 ? sizeof v6 : sizeof v4) < 0) {
        text_printf(ret_text, "disabled here: no loopback address %s (%s)", is_v6 ? "::1" : "127.0.0.1", strerror(errno));
        return false;
    }
    return true;
}

static const char *program_name(enum addr_family family)
{
    return family == ADDR_V6 ? "ip6tables" : "iptables";
}

/* The backend of programs that do not carry it in their name: "v1.8.9 (nf_tables)", "v1.8.9 (legacy)"; before 1.8 only legacy existed. */
static enum iptables_mode plain_mode(const char *restore)
{
    CLEANUP_TEXT struct text out;
    CLEANUP_TEXT struct text err;

    text_init(&out, 4096);
    text_init(&err, 4096);
    if (run_program((const char *[]){restore, "--version", NULL}, STR(""), &out, &err) == 0 && out.len > 0 &&
        strstr(out.p, "nf_tables") != NULL) {
        return IPTABLES_NFT;
    }
    return IPTABLES_LEGACY;
}

static bool find_programs(struct backend *b, const char *suffix)
{
    char name[64];

    snprintf(b->name, sizeof b->name, "%s%s", program_name(b->family), suffix);
    snprintf(name, sizeof name, "%s-save", b->name);
    if (!run_find(name, b->save)) {
        return false;
    }
    snprintf(name, sizeof name, "%s-restore", b->name);
    return run_find(name, b->restore);
}

static bool backend_find(struct backend *b, enum iptables_mode mode, enum addr_family family)
{
    b->mode = mode;
    b->family = family;
    return find_programs(b, mode == IPTABLES_NFT ? "-nft" : "-legacy") ||
           (find_programs(b, "") && plain_mode(b->restore) == mode);
}

/*
 * Even reading with iptables-legacy-save creates the legacy table, with hooks that every packet then passes. The kernel lists the
 * tables that exist; what is not listed need not be read.
 */
static bool legacy_nat_exists(enum addr_family family)
{
    char names[1024];
    CLEANUP_FD int fd =
        open(family == ADDR_V6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, names, sizeof names);
    struct str rest = {names, n > 0 ? (size_t)n : 0};
    struct str line;

    while (str_split(&rest, '\n', &line)) {
        if (str_eq(line, STR("nat"))) {
            return true;
        }
    }
    return false;
}

/*
 * The legacy programs insist on a lock file. Where the root file system is read-only, as in a hardened container, nobody else can hold
 * that lock, so any file that can be opened will do.
 */
static void ensure_lock_file(void)
{
    CLEANUP_FD int fd = -1;

    if (getenv("XTABLES_LOCKFILE") == NULL) {
        fd = open("/run/xtables.lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 && errno == EROFS) {
            setenv("XTABLES_LOCKFILE", "/dev/null", 0);
        }
    }
}

/* ---- talking to the programs ---- */

/* One line: what the program said, without its advice to read the manual. */
static void describe_failure(const char *path, int status, const struct text *errors, struct text *ret_text)
{
    struct str rest = {errors->p, errors->len};
    struct str line;
    const char *separator = ": ";

    if (status < 0) {
        text_printf(ret_text, "%s: %s", path, strerror(-status));
        return;
    }
    text_printf(ret_text, "%s: status %d", path, status);
    while (str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.len > 0 && !str_starts_with(line, STR("Try `")) && !str_starts_with(line, STR("#"))) {
            text_printf(ret_text, "%s%.*s", separator, (int)line.len, line.p);
            separator = "; ";
        }
    }
}

static enum iptables_outcome failure_kind(const struct text *errors)
{
    for (size_t i = 0; i < ARRAY_LEN(unsupported_signs); i++) {
        if (errors->len > 0 && strstr(errors->p, unsupported_signs[i]) != NULL) {
            return IPTABLES_MISSING;
        }
    }
    return IPTABLES_FAILED;
}

static enum iptables_outcome backend_save(const struct backend *b, struct text *installed, struct text *ret_text)
{
    CLEANUP_TEXT struct text errors;
    int r;

    text_init(&errors, 4096);
    if (b->mode == IPTABLES_LEGACY && !legacy_nat_exists(b->family)) {
        return IPTABLES_DONE;
    }
    r = run_program((const char *[]){b->save, "-t", "nat", NULL}, STR(""), installed, &errors);
    if (r != 0) {
        describe_failure(b->save, r, &errors, ret_text);
        return failure_kind(&errors);
    }
    if (installed->is_cut) {
        text_printf(ret_text, "%s: the nat table prints more than %zu bytes", b->save, IPTABLES_SAVE_MAX);
        return IPTABLES_FAILED;
    }
    return IPTABLES_DONE;
}

static enum iptables_outcome backend_restore(const struct backend *b, const struct text *rules, struct text *ret_text)
{
    CLEANUP_TEXT struct text output;
    CLEANUP_TEXT struct text errors;
    int r;

    if (b->mode == IPTABLES_LEGACY) {
        ensure_lock_file();
    }
    text_init(&output, 4096);
    text_init(&errors, 4096);
    r = run_program((const char *[]){b->restore, "--noflush", "-w", IPTABLES_LOCK_SECONDS, NULL},
                    (struct str){rules->p, rules->len}, &output, &errors);
    if (r != 0) {
        describe_failure(b->restore, r, &errors, ret_text);
        return failure_kind(&errors);
    }
    return IPTABLES_DONE;
}

/* ---- one backend ---- */

static enum iptables_outcome backend_apply(const struct backend *b, const struct init_settings *s, struct text *ret_text)
{
    CLEANUP_TEXT struct text installed;
    CLEANUP_TEXT struct text rules;
    enum iptables_outcome outcome;

    text_init(&installed, IPTABLES_SAVE_MAX);
    text_init(&rules, IPTABLES_SAVE_MAX);
    outcome = backend_save(b, &installed, ret_text);
    if (outcome != IPTABLES_DONE) {
        return outcome;
    }
    rules_write(s, b->family, (struct str){installed.p, installed.len}, &rules);
    return backend_restore(b, &rules, ret_text);
}

static enum iptables_outcome backend_remove(const struct backend *b, bool *ret_changed, struct text *ret_text)
{
    CLEANUP_TEXT struct text installed;
    CLEANUP_TEXT struct text rules;
    enum iptables_outcome outcome;

    text_init(&installed, IPTABLES_SAVE_MAX);
    text_init(&rules, IPTABLES_SAVE_MAX);
    outcome = backend_save(b, &installed, ret_text);
    if (outcome != IPTABLES_DONE) {
        return outcome;
    }
    rules_write_removal((struct str){installed.p, installed.len}, &rules);
    *ret_changed = rules.len > 0;
    return rules.len > 0 ? backend_restore(b, &rules, ret_text) : IPTABLES_DONE;
}

/* ---- all backends of a family ---- */

/* Finds the backends that --iptables-mode allows, the preferred one first. */
static unsigned find_backends(enum iptables_mode mode, enum addr_family family, struct backend found[static 2])
{
    unsigned count = 0;

    for (enum iptables_mode m = IPTABLES_NFT; m <= IPTABLES_LEGACY; m++) {
        if ((mode == IPTABLES_AUTO || mode == m) && backend_find(&found[count], m, family)) {
            count++;
        }
    }
    return count;
}

static void describe_no_program(enum iptables_mode mode, enum addr_family family, struct text *ret_text)
{
    const char *name = program_name(family);

    if (mode == IPTABLES_AUTO) {
        text_printf(ret_text, "neither %s-nft-restore nor %s-legacy-restore nor %s-restore is installed", name, name, name);
    } else {
        text_printf(ret_text, "%s-%s-restore is not installed", name, mode == IPTABLES_NFT ? "nft" : "legacy");
    }
}

/* What an earlier run left in the backend that is not used now. */
static enum iptables_outcome clean_other(const struct backend *used, struct text *ret_text)
{
    struct backend other;
    bool changed = false;
    enum iptables_outcome outcome;

    if (!backend_find(&other, used->mode == IPTABLES_NFT ? IPTABLES_LEGACY : IPTABLES_NFT, used->family)) {
        return IPTABLES_DONE;
    }
    outcome = backend_remove(&other, &changed, ret_text);
    if (outcome == IPTABLES_FAILED) {
        return outcome;
    }
    text_clear(ret_text); /* a backend that the kernel lacks holds nothing of ours */
    text_printf(ret_text, "%s%s%s", used->name, changed ? "; took away what was left in " : "", changed ? other.name : "");
    return IPTABLES_DONE;
}

enum iptables_outcome iptables_apply(const struct init_settings *s, enum addr_family family, struct text *ret_text)
{
    enum iptables_mode mode = (enum iptables_mode)s->iptables_mode;
    enum iptables_outcome worst = IPTABLES_MISSING;
    struct backend backends[2];
    unsigned count;

    if (!has_loopback(family, ret_text)) {
        return IPTABLES_MISSING;
    }
    count = find_backends(mode, family, backends);
    if (count == 0) {
        describe_no_program(mode, family, ret_text);
        return IPTABLES_MISSING;
    }
    for (unsigned i = 0; i < count; i++) {
        enum iptables_outcome outcome;

        text_printf(ret_text, "%s", i > 0 ? "; " : "");
        outcome = backend_apply(&backends[i], s, ret_text);
        if (outcome == IPTABLES_DONE) {
            text_clear(ret_text);
            text_printf(ret_text, "%s", backends[i].name);
            return clean_other(&backends[i], ret_text);
        }
        worst = outcome == IPTABLES_FAILED ? IPTABLES_FAILED : worst;
    }
    return worst;
}

enum iptables_outcome iptables_remove(const struct init_settings *s, enum addr_family family, struct text *ret_text)
{
    enum iptables_mode mode = (enum iptables_mode)s->iptables_mode;
    struct backend backends[2];
    unsigned count = find_backends(mode, family, backends);
    bool changed_any = false;

    if (count == 0) {
        describe_no_program(mode, family, ret_text);
        return IPTABLES_MISSING;
    }
    for (unsigned i = 0; i < count; i++) {
        bool changed = false;

        if (backend_remove(&backends[i], &changed, ret_text) == IPTABLES_FAILED) {
            return IPTABLES_FAILED;
        }
        changed_any = changed_any || changed;
    }
    text_clear(ret_text);
    text_printf(ret_text, changed_any ? "removed" : "nothing of ours was there");
    return IPTABLES_DONE;
}
