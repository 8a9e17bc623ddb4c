/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Three passes over the rows, each overwriting the one before: defaults, environment, flags. The variable's name is not stored but
 * derived from the flag's, so the two cannot drift apart.
 */

#include "base/settings.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/setting_value.h"
#include "version.h"

#define VARIABLE_PREFIX "OUTRIGGER_"

static void *field_of(const struct setting *row, void *values)
{
    return (char *)values + row->offset;
}

static const void *const_field_of(const struct setting *row, const void *values)
{
    return (const char *)values + row->offset;
}

static char variable_char(char c)
{
    if (c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 'A');
    }
    if (c == '-') {
        return '_';
    }
    return c;
}

static void append_variable(struct text *out, const struct setting *row)
{
    text_append_str(out, STR(VARIABLE_PREFIX));
    for (const char *c = row->name; *c != '\0'; c++) {
        text_append(out, (char[]){variable_char(*c)}, 1);
    }
}

/* `suffix` is the variable's name after the prefix. */
static bool is_variable_of(const struct setting *row, struct str suffix)
{
    if (strlen(row->name) != suffix.len) {
        return false;
    }
    for (size_t i = 0; i < suffix.len; i++) {
        if (variable_char(row->name[i]) != suffix.p[i]) {
            return false;
        }
    }
    return true;
}

static const struct setting *find_variable(const struct settings_program *program, struct str suffix)
{
    for (size_t i = 0; i < program->row_count; i++) {
        if (is_variable_of(&program->rows[i], suffix)) {
            return &program->rows[i];
        }
    }
    return NULL;
}

static const struct setting *find_flag(const struct settings_program *program, struct str name)
{
    for (size_t i = 0; i < program->row_count; i++) {
        if (str_eq(str_from(program->rows[i].name), name)) {
            return &program->rows[i];
        }
    }
    return NULL;
}

static bool set_value(const struct setting *row, struct str value, void *values, struct text *out)
{
    enum setting_verdict verdict = setting_value_parse(row, value, field_of(row, values));

    if (verdict == SETTING_ACCEPTED) {
        return true;
    }
    text_printf(out, "--%s (", row->name);
    append_variable(out, row);
    text_append_str(out, STR("): "));
    text_append_json(out, value);
    if (verdict == SETTING_OUT_OF_RANGE) {
        text_append_str(out, STR(" is out of range; accepted: "));
    } else {
        text_printf(out, " is not a %s; accepted: ", setting_type_name(row->type));
    }
    setting_value_print_range(row, out);
    return false;
}

static bool ends_with_number(struct str name, struct str before)
{
    size_t digits = 0;

    while (digits < name.len && name.p[name.len - 1 - digits] >= '0' && name.p[name.len - 1 - digits] <= '9') {
        digits++;
    }
    return digits > 0 && str_ends_with((struct str){name.p, name.len - digits}, before);
}

/* X_PORT_<n>_TCP, also of UDP and SCTP, and the _PROTO, _PORT and _ADDR of each. */
static bool is_link_port(struct str name)
{
    static const char *const details[] = {"_PROTO", "_PORT", "_ADDR"};
    static const char *const protocols[] = {"_TCP", "_UDP", "_SCTP"};

    for (size_t i = 0; i < ARRAY_LEN(details); i++) {
        if (str_ends_with(name, str_from(details[i]))) {
            name.len -= strlen(details[i]);
            break;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        if (str_ends_with(name, str_from(protocols[i]))) {
            return ends_with_number((struct str){name.p, name.len - strlen(protocols[i])}, STR("_PORT_"));
        }
    }
    return false;
}

static bool contains(struct str s, struct str part)
{
    for (; s.len >= part.len; s.p++, s.len--) {
        if (str_starts_with(s, part)) {
            return true;
        }
    }
    return false;
}

/*
 * Kubernetes tells every container where each Service of its namespace is, in the form of Docker's links: beside a Service named
 * outrigger-api every pod has OUTRIGGER_API_SERVICE_HOST, OUTRIGGER_API_SERVICE_PORT, OUTRIGGER_API_SERVICE_PORT_GRPC,
 * OUTRIGGER_API_PORT=tcp://…, OUTRIGGER_API_PORT_15150_TCP and so on. Nobody wrote them as settings, so they are not errors. The
 * value is looked at as well, so that a mistyped OUTRIGGER_ADMIN_PORT=15191 is still refused.
 */
static bool is_service_link(struct str name, struct str value)
{
    struct addr addr;
    uint64_t port = 0;
    bool is_url =
        str_starts_with(value, STR("tcp://")) || str_starts_with(value, STR("udp://")) || str_starts_with(value, STR("sctp://"));

    if (str_ends_with(name, STR("_SERVICE_HOST"))) {
        return addr_parse_ip(value, &addr);
    }
    if (str_ends_with(name, STR("_SERVICE_PORT")) || contains(name, STR("_SERVICE_PORT_"))) {
        return str_to_u64(value, UINT16_MAX, &port);
    }
    return is_link_port(name) || (is_url && str_ends_with(name, STR("_PORT")));
}

static bool read_variable(const struct settings_program *program, const char *variable, void *values, struct text *out)
{
    struct str text = str_from(variable);
    size_t equals = str_find(text, '=');
    struct str name = {text.p, equals};

    if (!str_starts_with(name, STR(VARIABLE_PREFIX)) || equals == text.len) {
        return true;
    }
    struct str value = {text.p + equals + 1, text.len - equals - 1};
    size_t prefix_len = strlen(VARIABLE_PREFIX);
    const struct setting *row = find_variable(program, (struct str){name.p + prefix_len, name.len - prefix_len});

    if (row != NULL) {
        return set_value(row, value, values, out);
    }
    if (str_starts_with(name, STR(VARIABLE_PREFIX "TEST_")) || is_service_link(name, value)) {
        return true;
    }
    text_append_utf8(out, name);
    text_printf(out, ": no such setting of %s; see --help", program->name);
    return false;
}

/* Reads the flag at `*index`, and the argument after it where that is the value. */
static bool read_flag(const struct settings_program *program, char *const *argv, int *index, void *values, struct text *out)
{
    struct str argument = str_from(argv[*index]);

    if (!str_starts_with(argument, STR("--")) || argument.len == 2) {
        text_append_json(out, argument);
        text_printf(out, ": not a flag; see --help");
        return false;
    }
    struct str flag = {argument.p + 2, argument.len - 2};
    size_t equals = str_find(flag, '=');
    struct str name = {flag.p, equals};
    const struct setting *row = find_flag(program, name);

    if (row == NULL) {
        text_append_str(out, STR("--"));
        text_append_utf8(out, name);
        text_printf(out, ": no such flag; see --help");
        return false;
    }
    if (equals < flag.len) {
        return set_value(row, (struct str){flag.p + equals + 1, flag.len - equals - 1}, values, out);
    }
    if (row->type == SETTING_BOOL) {
        return set_value(row, STR("true"), values, out);
    }
    if (argv[*index + 1] == NULL || strncmp(argv[*index + 1], "--", 2) == 0) {
        text_printf(out, "--%s: a value is missing; accepted: ", row->name);
        setting_value_print_range(row, out);
        return false;
    }
    (*index)++;
    return set_value(row, str_from(argv[*index]), values, out);
}

static bool has_argument(int argc, char *const *argv, const char *wanted)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* The program's struct need not be zeroed: only strings are read before they are set. A default that its own row refuses is a mistake
 * in the table. */
static void set_fallbacks(const struct settings_program *program, void *values, struct text *out)
{
    for (size_t i = 0; i < program->row_count; i++) {
        const struct setting *row = &program->rows[i];

        setting_value_init(row, field_of(row, values));
        bool is_accepted = set_value(row, str_from(row->fallback), values, out);

        assert(is_accepted);
    }
}

static enum settings_outcome read_all(const struct settings_program *program, int argc, char *const *argv, char *const *env,
                                      void *values, struct text *out)
{
    set_fallbacks(program, values, out);
    for (; *env != NULL; env++) {
        if (!read_variable(program, *env, values, out)) {
            return SETTINGS_ERROR;
        }
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--print-config") != 0 && !read_flag(program, argv, &i, values, out)) {
            return SETTINGS_ERROR;
        }
    }
    if (has_argument(argc, argv, "--print-config")) {
        settings_print(program, values, out);
        return SETTINGS_EXIT;
    }
    return SETTINGS_OK;
}

enum settings_outcome settings_parse(const struct settings_program *program, int argc, char *const *argv, char *const *env,
                                     void *values, struct text *out)
{
    /* These two answer whatever else is wrong. */
    if (has_argument(argc, argv, "--help")) {
        settings_help(program, out);
        return SETTINGS_EXIT;
    }
    if (has_argument(argc, argv, "--version")) {
        text_printf(out, "%s %s\n", program->name, OUTRIGGER_VERSION);
        return SETTINGS_EXIT;
    }
    enum settings_outcome outcome = read_all(program, argc, argv, env, values, out);

    if (outcome != SETTINGS_OK) {
        settings_deinit(program, values);
    }
    return outcome;
}

void settings_deinit(const struct settings_program *program, void *values)
{
    for (size_t i = 0; i < program->row_count; i++) {
        setting_value_free(&program->rows[i], field_of(&program->rows[i], values));
    }
}

void settings_print(const struct settings_program *program, const void *values, struct text *out)
{
    for (size_t i = 0; i < program->row_count; i++) {
        text_printf(out, "%s=", program->rows[i].name);
        setting_value_print(&program->rows[i], const_field_of(&program->rows[i], values), out);
        text_append_str(out, STR("\n"));
    }
}

void settings_print_json(const struct settings_program *program, const void *values, struct text *out)
{
    text_append_str(out, STR("{"));
    for (size_t i = 0; i < program->row_count; i++) {
        const struct setting *row = &program->rows[i];
        struct text value;

        text_init(&value, SIZE_MAX / 2);
        setting_value_print(row, const_field_of(row, values), &value);
        text_printf(out, "%s\"%s\":", i == 0 ? "" : ",", row->name);
        if (row->type == SETTING_BOOL || row->type == SETTING_UINT) {
            text_append(out, value.p, value.len);
        } else {
            text_append_json(out, (struct str){value.p, value.len});
        }
        text_deinit(&value);
    }
    text_append_str(out, STR("}"));
}

void settings_help(const struct settings_program *program, struct text *out)
{
    text_printf(out, "%s: %s\n\nUsage: %s [--flag=value | --flag value]...\n\n", program->name, program->summary, program->name);
    text_append_str(out, STR("A flag beats its environment variable, which beats the default.\n"));
    for (size_t i = 0; i < program->row_count; i++) {
        const struct setting *row = &program->rows[i];

        text_printf(out, "\n  --%s   ", row->name);
        append_variable(out, row);
        text_printf(out, "\n      %s\n      default ", row->help);
        text_append_str(out, row->fallback[0] == '\0' ? STR("empty") : str_from(row->fallback));
        text_append_str(out, STR("; accepted: "));
        setting_value_print_range(row, out);
        text_append_str(out, STR("\n"));
    }
    text_append_str(out, STR("\n  --print-config\n      Print the settings in force and exit.\n"
                             "\n  --version\n      Print the version and exit.\n"
                             "\n  --help\n      Print this and exit.\n"));
}

void settings_write_docs(const struct settings_program *program, struct text *out)
{
    text_append_str(out, STR("| flag | variable | default | accepted | meaning |\n|---|---|---|---|---|\n"));
    for (size_t i = 0; i < program->row_count; i++) {
        const struct setting *row = &program->rows[i];

        text_printf(out, "| `--%s` | `", row->name);
        append_variable(out, row);
        text_printf(out, "` | %s | ", row->fallback[0] == '\0' ? "empty" : row->fallback);
        setting_value_print_range(row, out);
        text_printf(out, " | %s |\n", row->help);
    }
}
