/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <string.h>

#include "base/settings.h"
#include "unit.h"

struct values {
    bool verbose;
    uint64_t workers;
    uint64_t copy_limit;
    struct usec drain_grace;
    struct addr admin_address;
    struct addr pod_address;
    const char *api_address;
    const char *node_name;
    unsigned log_format;
    struct port_ranges skip_ports;
    struct cidr_list skip_cidrs;
};

#define FIELD(name) offsetof(struct values, name)

static const struct setting rows[] = {
    {"verbose", SETTING_BOOL, FIELD(verbose), "false", 0, 0, NULL, "Says more."},
    {"workers", SETTING_UINT, FIELD(workers), "1", 1, 64, NULL, "Threads."},
    {"copy-limit", SETTING_BYTES, FIELD(copy_limit), "64KiB", 0, 1 << 20, NULL, "Bytes kept."},
    {"drain-grace", SETTING_DURATION, FIELD(drain_grace), "30s", 0, 3600000000, NULL, "Time to finish."},
    {"admin-address", SETTING_ADDR, FIELD(admin_address), "0.0.0.0:15191", 0, 0, NULL, "Where the admin port is."},
    {"pod-address", SETTING_ADDR, FIELD(pod_address), "", 0, 0, NULL, "The pod's address."},
    {"api-address", SETTING_HOSTPORT, FIELD(api_address), "", 0, 0, NULL, "Where the api is."},
    {"node-name", SETTING_TEXT, FIELD(node_name), "", 0, 8, NULL, "The node."},
    {"log-format", SETTING_CHOICE, FIELD(log_format), "text", 0, 0, "text,json", "The form of log lines."},
    {"skip-ports", SETTING_PORTS, FIELD(skip_ports), "", 0, 0, NULL, "Left alone."},
    {"skip-cidrs", SETTING_CIDRS, FIELD(skip_cidrs), "", 0, 0, NULL, "Left alone."},
};
static const struct settings_program program = {"outrigger-test", "tests the settings", rows, ARRAY_LEN(rows)};

static struct values values;
static struct text out;

static void setup(void)
{
    text_init(&out, 100000);
    memset(&values, 0xff, sizeof values); /* the parser may not rely on zeroes */
}

static void teardown(void)
{
    text_deinit(&out);
}

static char no_name[] = "outrigger-test";

/* Copies the pointers with the NULL behind them: main's argv is not const, literals are. Returns their number. */
static int copy_pointers(char **to, const char *const *from)
{
    int count = 0;

    while (from[count] != NULL) {
        count++;
    }
    memcpy(to, from, (size_t)(count + 1) * sizeof *to);
    return count;
}

/* `flags` and `env` end with NULL. */
static enum settings_outcome parse(const char *const *flags, const char *const *env)
{
    char *argv[16] = {no_name};
    char *environment[16];
    int argc = 1 + copy_pointers(argv + 1, flags);

    copy_pointers(environment, env);
    text_clear(&out);
    return settings_parse(&program, argc, argv, environment, &values, &out);
}

static const char *const none[] = {NULL};

static enum settings_outcome parse_flag(const char *flag)
{
    return parse((const char *const[]){flag, NULL}, none);
}

static enum settings_outcome parse_variable(const char *variable)
{
    return parse(none, (const char *const[]){variable, NULL});
}

static void accept_flag(const char *flag)
{
    ck_assert_msg(parse_flag(flag) == SETTINGS_OK, "%s: %s", flag, out.p);
    settings_deinit(&program, &values);
}

static void refuse_flag(const char *flag, const char *reason)
{
    ck_assert_msg(parse_flag(flag) == SETTINGS_ERROR, "%s", flag);
    ck_assert_str_eq(out.p, reason);
}

START_TEST(defaults_hold_without_anything_else)
{
    ck_assert(parse(none, none) == SETTINGS_OK);

    ck_assert(!values.verbose);
    ck_assert_uint_eq(values.workers, 1);
    ck_assert_uint_eq(values.copy_limit, 65536);
    ck_assert_uint_eq(values.drain_grace.v, 30000000);
    ck_assert_uint_eq(values.admin_address.port, 15191);
    ck_assert_uint_eq(values.pod_address.family, ADDR_NONE);
    ck_assert_str_eq(values.api_address, "");
    ck_assert_uint_eq(values.log_format, 0);
    ck_assert_uint_eq(values.skip_ports.count, 0);
    ck_assert_uint_eq(values.skip_cidrs.count, 0);
    settings_deinit(&program, &values);
}
END_TEST

START_TEST(a_flag_beats_its_variable_which_beats_the_default)
{
    const char *const env[] = {"OUTRIGGER_WORKERS=3", "OUTRIGGER_LOG_FORMAT=json", "PATH=/bin", "OUTRIGGER", NULL};

    ck_assert(parse((const char *const[]){"--workers=5", NULL}, env) == SETTINGS_OK);

    ck_assert_uint_eq(values.workers, 5);
    ck_assert_uint_eq(values.log_format, 1);
    settings_deinit(&program, &values);
}
END_TEST

START_TEST(a_value_may_be_the_next_argument)
{
    ck_assert(parse((const char *const[]){"--workers", "7", "--verbose", "--node-name", "-", NULL}, none) == SETTINGS_OK);

    ck_assert_uint_eq(values.workers, 7);
    ck_assert(values.verbose);
    ck_assert_str_eq(values.node_name, "-");
    settings_deinit(&program, &values);
}
END_TEST

START_TEST(the_last_of_two_equal_flags_wins)
{
    ck_assert(parse((const char *const[]){"--node-name=a", "--node-name=b", NULL}, none) == SETTINGS_OK);

    ck_assert_str_eq(values.node_name, "b");
    settings_deinit(&program, &values);
}
END_TEST

START_TEST(every_form_of_a_bool_is_read)
{
    static const char *const forms[] = {"true", "1", "yes", "on", "false", "0", "no", "off"};

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        char flag[32];

        snprintf(flag, sizeof flag, "--verbose=%s", forms[i]);
        ck_assert(parse_flag(flag) == SETTINGS_OK);
        ck_assert_int_eq(values.verbose, i < 4);
        settings_deinit(&program, &values);
    }
    refuse_flag("--verbose=maybe", "--verbose (OUTRIGGER_VERBOSE): \"maybe\" is not a boolean; accepted: true or false");
}
END_TEST

static const struct {
    const char *text;
    uint64_t usec;
} durations[] = {{"0", 0},        {"0s", 0},         {"5us", 5},         {"250ms", 250000},
                 {"2s", 2000000}, {"3m", 180000000}, {"1h", 3600000000}, {"3600000000us", 3600000000}};

START_TEST(durations_have_units)
{
    char flag[64];

    snprintf(flag, sizeof flag, "--drain-grace=%s", durations[_i].text);
    ck_assert(parse_flag(flag) == SETTINGS_OK);
    ck_assert_uint_eq(values.drain_grace.v, durations[_i].usec);
    settings_deinit(&program, &values);
}
END_TEST

START_TEST(a_wrong_duration_is_refused_with_the_range)
{
    refuse_flag("--drain-grace=5x", "--drain-grace (OUTRIGGER_DRAIN_GRACE): \"5x\" is not a duration; accepted: 0s to 1h");
    refuse_flag("--drain-grace=5", "--drain-grace (OUTRIGGER_DRAIN_GRACE): \"5\" is not a duration; accepted: 0s to 1h");
    refuse_flag("--drain-grace=", "--drain-grace (OUTRIGGER_DRAIN_GRACE): \"\" is not a duration; accepted: 0s to 1h");
    refuse_flag("--drain-grace=-1s", "--drain-grace (OUTRIGGER_DRAIN_GRACE): \"-1s\" is not a duration; accepted: 0s to 1h");
    refuse_flag("--drain-grace=61m", "--drain-grace (OUTRIGGER_DRAIN_GRACE): \"61m\" is out of range; accepted: 0s to 1h");
}
END_TEST

START_TEST(a_number_that_overflows_is_out_of_range)
{
    refuse_flag("--drain-grace=5124095577h",
                "--drain-grace (OUTRIGGER_DRAIN_GRACE): \"5124095577h\" is out of range; accepted: 0s to 1h");
    refuse_flag("--workers=18446744073709551617",
                "--workers (OUTRIGGER_WORKERS): \"18446744073709551617\" is out of range; accepted: 1 to 64");
    refuse_flag("--copy-limit=17179869184GiB",
                "--copy-limit (OUTRIGGER_COPY_LIMIT): \"17179869184GiB\" is out of range; accepted: 0 to 1MiB");
}
END_TEST

START_TEST(numbers_keep_to_their_range)
{
    accept_flag("--workers=1");
    accept_flag("--workers=64");
    refuse_flag("--workers=0", "--workers (OUTRIGGER_WORKERS): \"0\" is out of range; accepted: 1 to 64");
    refuse_flag("--workers=65", "--workers (OUTRIGGER_WORKERS): \"65\" is out of range; accepted: 1 to 64");
    refuse_flag("--workers=1x", "--workers (OUTRIGGER_WORKERS): \"1x\" is not a number; accepted: 1 to 64");
}
END_TEST

START_TEST(bytes_have_units)
{
    ck_assert(parse_flag("--copy-limit=3KiB") == SETTINGS_OK);
    ck_assert_uint_eq(values.copy_limit, 3072);
    settings_deinit(&program, &values);
    accept_flag("--copy-limit=1MiB");
    accept_flag("--copy-limit=17");
    refuse_flag("--copy-limit=1MB", "--copy-limit (OUTRIGGER_COPY_LIMIT): \"1MB\" is not a size; accepted: 0 to 1MiB");
    refuse_flag("--copy-limit=2MiB", "--copy-limit (OUTRIGGER_COPY_LIMIT): \"2MiB\" is out of range; accepted: 0 to 1MiB");
}
END_TEST

START_TEST(addresses_are_an_ip_and_a_port)
{
    accept_flag("--admin-address=[::1]:80");
    accept_flag("--pod-address=");
    refuse_flag("--admin-address=", "--admin-address (OUTRIGGER_ADMIN_ADDRESS): \"\" is not a IP:port; accepted: IP:port");
    refuse_flag("--pod-address=localhost:80",
                "--pod-address (OUTRIGGER_POD_ADDRESS): \"localhost:80\" is not a IP:port; accepted: IP:port or empty");
}
END_TEST

START_TEST(host_and_port_may_be_a_name)
{
    static const char *const wrong[] = {"--api-address=api",       "--api-address=api:0",    "--api-address=:80",
                                        "--api-address=a b:80",    "--api-address=api:http", "--api-address=a:1:2",
                                        "--api-address=api:65536", "--api-address=[::1]:0"};

    accept_flag("--api-address=outrigger-api.mesh.svc:15150");
    accept_flag("--api-address=10.0.0.1:15150");
    accept_flag("--api-address=[fd00::1]:15150");
    accept_flag("--api-address=");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ck_assert_msg(parse_flag(wrong[i]) == SETTINGS_ERROR, "%s", wrong[i]);
    }
}
END_TEST

START_TEST(texts_are_bounded_and_printable)
{
    accept_flag("--node-name=12345678");
    refuse_flag("--node-name=123456789",
                "--node-name (OUTRIGGER_NODE_NAME): \"123456789\" is out of range; accepted: 0 to 8 bytes, "
                "no control characters");
    refuse_flag("--node-name=a\nb",
                "--node-name (OUTRIGGER_NODE_NAME): \"a\\nb\" is not a text; accepted: 0 to 8 bytes, no control characters");
}
END_TEST

START_TEST(choices_are_named)
{
    accept_flag("--log-format=json");
    refuse_flag("--log-format=xml", "--log-format (OUTRIGGER_LOG_FORMAT): \"xml\" is not a choice; accepted: one of text, json");
    refuse_flag("--log-format=js", "--log-format (OUTRIGGER_LOG_FORMAT): \"js\" is not a choice; accepted: one of text, json");
}
END_TEST

START_TEST(ports_come_as_a_list_of_ranges)
{
    ck_assert(parse_flag("--skip-ports=4567, 8000-8100") == SETTINGS_OK);

    ck_assert_uint_eq(values.skip_ports.count, 2);
    ck_assert_uint_eq(values.skip_ports.range[0].first, 4567);
    ck_assert_uint_eq(values.skip_ports.range[0].last, 4567);
    ck_assert_uint_eq(values.skip_ports.range[1].last, 8100);
    settings_deinit(&program, &values);
}
END_TEST

START_TEST(wrong_port_lists_are_refused)
{
    static const char *const wrong[] = {"--skip-ports=0",  "--skip-ports=2-1",   "--skip-ports=1,", "--skip-ports=,1",
                                        "--skip-ports=1-", "--skip-ports=65536", "--skip-ports=-"};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ck_assert_msg(parse_flag(wrong[i]) == SETTINGS_ERROR, "%s", wrong[i]);
    }
}
END_TEST

START_TEST(networks_come_as_a_list)
{
    ck_assert(parse_flag("--skip-cidrs=10.1.0.0/16,fd00::/8,1.2.3.4") == SETTINGS_OK);

    ck_assert_uint_eq(values.skip_cidrs.count, 3);
    ck_assert_uint_eq(values.skip_cidrs.network[1].prefix, 8);
    ck_assert_uint_eq(values.skip_cidrs.network[2].prefix, 32);
    settings_deinit(&program, &values);
    ck_assert(parse_flag("--skip-cidrs=10.0.0.0/8,") == SETTINGS_ERROR);
}
END_TEST

/* "--name=item" and `count` - 1 times ",item". */
static enum settings_outcome parse_list(const char *name, const char *item, unsigned count)
{
    char flag[4096];
    size_t len = (size_t)snprintf(flag, sizeof flag, "%s=%s", name, item);

    for (unsigned i = 1; i < count; i++) {
        len += (size_t)snprintf(flag + len, sizeof flag - len, ",%s", item);
    }
    return parse_flag(flag);
}

START_TEST(lists_are_bounded)
{
    ck_assert(parse_list("--skip-ports", "80", PORT_RANGES_MAX) == SETTINGS_OK);
    settings_deinit(&program, &values);
    ck_assert(parse_list("--skip-ports", "80", PORT_RANGES_MAX + 1) == SETTINGS_ERROR);
    ck_assert(parse_list("--skip-cidrs", "fd00::/8", CIDR_LIST_MAX) == SETTINGS_OK);
    settings_deinit(&program, &values);
    ck_assert(parse_list("--skip-cidrs", "fd00::/8", CIDR_LIST_MAX + 1) == SETTINGS_ERROR);
}
END_TEST

START_TEST(unknown_flags_and_stray_words_are_refused)
{
    refuse_flag("--wrokers=2", "--wrokers: no such flag; see --help");
    refuse_flag("workers=2", "\"workers=2\": not a flag; see --help");
    refuse_flag("-v", "\"-v\": not a flag; see --help");
    refuse_flag("--", "\"--\": not a flag; see --help");
    ck_assert(parse((const char *const[]){"--verbose", "false", NULL}, none) == SETTINGS_ERROR);
    refuse_flag("--workers", "--workers: a value is missing; accepted: 1 to 64");
    ck_assert(parse((const char *const[]){"--workers", "--verbose", NULL}, none) == SETTINGS_ERROR);
}
END_TEST

START_TEST(unknown_variables_are_refused_by_name)
{
    ck_assert(parse_variable("OUTRIGGER_WROKERS=2") == SETTINGS_ERROR);
    ck_assert_str_eq(out.p, "OUTRIGGER_WROKERS: no such setting of outrigger-test; see --help");
    ck_assert(parse_variable("OUTRIGGER_workers=2") == SETTINGS_ERROR);
}
END_TEST

START_TEST(a_wrong_variable_is_refused_even_if_a_flag_overrides_it)
{
    const char *const env[] = {"OUTRIGGER_WORKERS=many", NULL};

    ck_assert(parse((const char *const[]){"--workers=2", NULL}, env) == SETTINGS_ERROR);
}
END_TEST

static const char *const links[] = {
    "OUTRIGGER_API_SERVICE_HOST=10.96.0.7",
    "OUTRIGGER_API_SERVICE_HOST=fd00::7",
    "OUTRIGGER_API_SERVICE_PORT=15150",
    "OUTRIGGER_API_SERVICE_PORT_GRPC_XDS=15150",
    "OUTRIGGER_API_PORT=tcp://10.96.0.7:15150",
    "OUTRIGGER_API_PORT_15150_TCP=tcp://10.96.0.7:15150",
    "OUTRIGGER_API_PORT_15150_TCP_PROTO=tcp",
    "OUTRIGGER_API_PORT_15150_TCP_PORT=15150",
    "OUTRIGGER_API_PORT_15150_TCP_ADDR=10.96.0.7",
    "OUTRIGGER_API_PORT_53_UDP=udp://10.96.0.7:53",
    "OUTRIGGER_SERVICE_HOST=10.96.0.7",
    "OUTRIGGER_PORT=tcp://10.96.0.7:15150",
    "OUTRIGGER_PORT_15150_TCP_ADDR=10.96.0.7",
    "OUTRIGGER_TEST_ANYTHING=x",
};

START_TEST(the_links_of_services_are_no_settings)
{
    ck_assert_msg(parse_variable(links[_i]) == SETTINGS_OK, "%s", out.p);
    settings_deinit(&program, &values);
}
END_TEST

static const char *const no_links[] = {
    "OUTRIGGER_ADMIN_PORT=15191",      "OUTRIGGER_SERVICE_HOST=nowhere",
    "OUTRIGGER_API_SERVICE_PORT=http", "OUTRIGGER_API_PORT_X_TCP=tcp",
    "OUTRIGGER_API_PORT_1_ICMP=tcp",   "OUTRIGGER_TCP=1",
    "OUTRIGGER_API_SERVICE=1",         "OUTRIGGER_=1",
};

START_TEST(what_only_resembles_a_link_is_refused)
{
    ck_assert_msg(parse_variable(no_links[_i]) == SETTINGS_ERROR, "%s", no_links[_i]);
}
END_TEST

START_TEST(version_names_program_and_version)
{
    const char *const env[] = {"OUTRIGGER_WORKERS=many", NULL};

    ck_assert(parse((const char *const[]){"--version", NULL}, env) == SETTINGS_EXIT);
    ck_assert_str_eq(out.p, "outrigger-test 0.1.0\n");
}
END_TEST

START_TEST(help_shows_each_setting_with_default_and_range)
{
    ck_assert(parse((const char *const[]){"--nonsense", "--help", NULL}, none) == SETTINGS_EXIT);

    ck_assert_ptr_nonnull(strstr(out.p, "outrigger-test: tests the settings\n"));
    ck_assert_ptr_nonnull(strstr(out.p, "  --drain-grace   OUTRIGGER_DRAIN_GRACE\n      Time to finish.\n"
                                        "      default 30s; accepted: 0s to 1h\n"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_ptr_nonnull(strstr(out.p, rows[i].name));
    }
}
END_TEST

START_TEST(printed_settings_are_read_back_the_same)
{
    const char *const flags[] = {"--verbose",
                                 "--workers=3",
                                 "--copy-limit=1536",
                                 "--drain-grace=1500ms",
                                 "--log-format=json",
                                 "--skip-ports=1,2-3",
                                 "--skip-cidrs=fd00::/8,0.0.0.0/0",
                                 "--api-address=[::1]:5",
                                 "--node-name=n 1",
                                 "--print-config",
                                 NULL};

    ck_assert(parse(flags, none) == SETTINGS_EXIT);
    ck_assert_str_eq(out.p, "verbose=true\nworkers=3\ncopy-limit=1536\ndrain-grace=1500ms\nadmin-address=0.0.0.0:15191\n"
                            "pod-address=\napi-address=[::1]:5\nnode-name=n 1\nlog-format=json\nskip-ports=1,2-3\n"
                            "skip-cidrs=fd00::/8,0.0.0.0/0\n");
}
END_TEST

START_TEST(json_has_numbers_bools_and_texts)
{
    ck_assert(parse((const char *const[]){"--verbose", "--node-name=a\"b", NULL}, none) == SETTINGS_OK);
    settings_print_json(&program, &values, &out);

    ck_assert_str_eq(out.p,
                     "{\"verbose\":true,\"workers\":1,\"copy-limit\":\"64KiB\",\"drain-grace\":\"30s\","
                     "\"admin-address\":\"0.0.0.0:15191\",\"pod-address\":\"\",\"api-address\":\"\",\"node-name\":\"a\\\"b\","
                     "\"log-format\":\"text\",\"skip-ports\":\"\",\"skip-cidrs\":\"\"}");
    settings_deinit(&program, &values);
}
END_TEST

START_TEST(the_documentation_has_a_row_for_each_setting)
{
    settings_write_docs(&program, &out);

    ck_assert_ptr_nonnull(strstr(out.p, "| `--drain-grace` | `OUTRIGGER_DRAIN_GRACE` | 30s | 0s to 1h | Time to finish. |\n"));
    ck_assert_ptr_nonnull(strstr(out.p, "| `--node-name` | `OUTRIGGER_NODE_NAME` | empty |"));
}
END_TEST

START_TEST(nothing_is_left_to_release_after_an_error)
{
    ck_assert(parse((const char *const[]){"--node-name=a", "--workers=0", NULL}, none) == SETTINGS_ERROR);
    ck_assert_ptr_null(values.node_name);
    settings_deinit(&program, &values);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {defaults_hold_without_anything_else,
                                  a_flag_beats_its_variable_which_beats_the_default,
                                  a_value_may_be_the_next_argument,
                                  the_last_of_two_equal_flags_wins,
                                  every_form_of_a_bool_is_read,
                                  a_wrong_duration_is_refused_with_the_range,
                                  a_number_that_overflows_is_out_of_range,
                                  numbers_keep_to_their_range,
                                  bytes_have_units,
                                  addresses_are_an_ip_and_a_port,
                                  host_and_port_may_be_a_name,
                                  texts_are_bounded_and_printable,
                                  choices_are_named,
                                  ports_come_as_a_list_of_ranges,
                                  wrong_port_lists_are_refused,
                                  networks_come_as_a_list,
                                  lists_are_bounded,
                                  unknown_flags_and_stray_words_are_refused,
                                  unknown_variables_are_refused_by_name,
                                  a_wrong_variable_is_refused_even_if_a_flag_overrides_it,
                                  version_names_program_and_version,
                                  help_shows_each_setting_with_default_and_range,
                                  printed_settings_are_read_back_the_same,
                                  json_has_numbers_bools_and_texts,
                                  the_documentation_has_a_row_for_each_setting,
                                  nothing_is_left_to_release_after_an_error};
    TCase *tcase = unit_case("settings", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_add_loop_test(tcase, durations_have_units, 0, ARRAY_LEN(durations));
    tcase_add_loop_test(tcase, the_links_of_services_are_no_settings, 0, ARRAY_LEN(links));
    tcase_add_loop_test(tcase, what_only_resembles_a_link_is_refused, 0, ARRAY_LEN(no_links));
    return unit_run("settings", tcase, (TCase *)NULL);
}
