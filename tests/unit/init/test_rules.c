/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rules against golden texts: tests/golden/init/NAME.{args,rules}. A case is the arguments, one a line, and all that --dry-run prints
 * after its own heading. OUTRIGGER_TEST_REFRESH=1 writes the texts anew, to be read as a diff.
 */

#include "init/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "unit.h"

#define FLAGS_MAX 32

static const char *const cases[] = {"default", "ports", "many_ports", "cidrs", "own_ports", "everything"};

static char *const no_environment[] = {NULL};
static struct init_settings settings;
static struct text out;
static struct text problem;

static void setup(void)
{
    text_init(&out, 2 * RULES_TEXT_MAX);
    text_init(&problem, 4096);
}

static void teardown(void)
{
    text_deinit(&out);
    text_deinit(&problem);
}

static void parse(int argc, char **argv)
{
    ck_assert_msg(settings_parse(&init_program, argc, argv, no_environment, &settings, &problem) == SETTINGS_OK, "%s", problem.p);
}

static void parse_defaults(void)
{
    parse(1, (char *[]){(char[]){"outrigger-init"}, NULL});
}

static FILE *open_golden(const char *name, const char *suffix, const char *mode)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s.%s", OUTRIGGER_TEST_GOLDEN, name, suffix);
    FILE *f = fopen(path, mode);

    ck_assert_msg(f != NULL, "cannot open %s", path);
    return f;
}

static void read_golden(const char *name, const char *suffix, struct text *text)
{
    char chunk[1024];
    size_t n;
    FILE *f = open_golden(name, suffix, "r");

    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        text_append(text, chunk, n);
    }
    fclose(f);
}

static void parse_golden_args(const char *name)
{
    char *argv[FLAGS_MAX] = {(char[]){"outrigger-init"}};
    int argc = 1;
    CLEANUP_TEXT struct text args;
    struct str rest;
    struct str line;

    text_init(&args, 4096);
    read_golden(name, "args", &args);
    rest = (struct str){args.p, args.len};
    while (str_split(&rest, '\n', &line) && argc < FLAGS_MAX - 1) {
        if (line.len > 0) {
            argv[argc++] = mem_copy_string(line.p, line.len);
        }
    }
    parse(argc, argv);
    for (int i = 1; i < argc; i++) {
        mem_free(argv[i]);
    }
}

static struct str rules_for(enum addr_family family, struct str installed)
{
    text_clear(&out);
    rules_write(&settings, family, installed, &out);
    return (struct str){out.p, out.len};
}

static unsigned count_lines(struct str text, struct str wanted)
{
    unsigned count = 0;
    struct str line;

    while (str_split(&text, '\n', &line)) {
        count += str_eq(line, wanted);
    }
    return count;
}

#define JUMP_MATCH " -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j "
#define OUTPUT_JUMP "-A OUTPUT" JUMP_MATCH "OUTRIGGER_OUTBOUND"
#define PREROUTING_JUMP "-A PREROUTING" JUMP_MATCH "OUTRIGGER_INBOUND"
#define CHAINS ":OUTRIGGER_INBOUND - [0:0]\n:OUTRIGGER_OUTBOUND - [0:0]\n"

START_TEST(rules_equal_the_golden_text)
{
    CLEANUP_TEXT struct text expected;
    const char *name = cases[_i];

    text_init(&expected, 2 * RULES_TEXT_MAX);
    parse_golden_args(name);
    rules_write(&settings, ADDR_V4, STR(""), &out);
    rules_write(&settings, ADDR_V6, STR(""), &out);
    if (getenv("OUTRIGGER_TEST_REFRESH") != NULL) {
        FILE *f = open_golden(name, "rules", "w");

        fputs(out.p, f);
        fclose(f);
    }
    read_golden(name, "rules", &expected);
    ck_assert_str_eq(out.p, expected.p);
    settings_deinit(&init_program, &settings);
}
END_TEST

START_TEST(a_rule_that_is_right_is_left_where_it_is)
{
    parse_defaults();
    struct str rules = rules_for(ADDR_V4, STR("*nat\n" CHAINS PREROUTING_JUMP "\n" OUTPUT_JUMP "\nCOMMIT\n"));

    ck_assert_uint_eq(count_lines(rules, STR(OUTPUT_JUMP)), 0);
    ck_assert_uint_eq(count_lines(rules, STR(PREROUTING_JUMP)), 0);
    settings_deinit(&init_program, &settings);
}
END_TEST

START_TEST(a_rule_that_is_there_twice_is_made_one)
{
    parse_defaults();
    struct str rules = rules_for(ADDR_V4, STR(CHAINS OUTPUT_JUMP "\n" OUTPUT_JUMP "\n" PREROUTING_JUMP "\n"));

    ck_assert_uint_eq(count_lines(rules, STR("-D OUTPUT" JUMP_MATCH "OUTRIGGER_OUTBOUND")), 2);
    ck_assert_uint_eq(count_lines(rules, STR(OUTPUT_JUMP)), 1);
    settings_deinit(&init_program, &settings);
}
END_TEST

START_TEST(a_rule_of_another_form_is_replaced)
{
    parse_defaults();
    struct str rules = rules_for(ADDR_V4, STR(CHAINS "-A OUTPUT -p tcp -j OUTRIGGER_OUTBOUND\n" PREROUTING_JUMP "\n"));

    ck_assert_uint_eq(count_lines(rules, STR("-D OUTPUT -p tcp -j OUTRIGGER_OUTBOUND")), 1);
    ck_assert_uint_eq(count_lines(rules, STR(OUTPUT_JUMP)), 1);
    settings_deinit(&init_program, &settings);
}
END_TEST

START_TEST(rules_of_others_are_never_named)
{
    parse_defaults();
    struct str rules = rules_for(ADDR_V4, STR(":MINE - [0:0]\n-A OUTPUT -p tcp -j MINE\n-A OUTPUT -j OUTRIGGER_OUTBOUND_2\n"
                                              "-A MINE -m comment --comment OUTRIGGER_OUTBOUND -j RETURN\n"));

    ck_assert_ptr_null(strstr(rules.p, "MINE"));
    ck_assert_ptr_null(strstr(rules.p, "-D "));
    settings_deinit(&init_program, &settings);
}
END_TEST

START_TEST(removal_takes_rules_before_chains)
{
    rules_write_removal(STR("*nat\n" CHAINS "-A PREROUTING -j OTHER\n" PREROUTING_JUMP "\n" OUTPUT_JUMP
                            "\n-A OUTRIGGER_OUTBOUND -o lo -j RETURN\nCOMMIT\n"),
                        &out);

    ck_assert_str_eq(out.p, "*nat\n"
                            "-D OUTPUT" JUMP_MATCH "OUTRIGGER_OUTBOUND\n-F OUTRIGGER_OUTBOUND\n-X OUTRIGGER_OUTBOUND\n"
                            "-D PREROUTING" JUMP_MATCH "OUTRIGGER_INBOUND\n-F OUTRIGGER_INBOUND\n-X OUTRIGGER_INBOUND\n"
                            "COMMIT\n");
}
END_TEST

START_TEST(removal_of_a_chain_without_its_rule_works)
{
    rules_write_removal(STR(":OUTRIGGER_INBOUND - [0:0]\n"), &out);

    ck_assert_str_eq(out.p, "*nat\n-F OUTRIGGER_INBOUND\n-X OUTRIGGER_INBOUND\nCOMMIT\n");
}
END_TEST

START_TEST(removal_of_nothing_is_nothing)
{
    rules_write_removal(STR("*nat\n:OUTPUT ACCEPT [0:0]\n:OUTRIGGER_OUTBOUND_2 - [0:0]\nCOMMIT\n"), &out);

    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(the_longest_settings_fit)
{
    parse_defaults();
    for (unsigned i = 0; i < PORT_RANGES_MAX; i++) {
        settings.skip_inbound_ports.range[i].first = settings.skip_outbound_ports.range[i].first = (uint16_t)(60000 + 2 * i);
        settings.skip_inbound_ports.range[i].last = settings.skip_outbound_ports.range[i].last = (uint16_t)(60001 + 2 * i);
    }
    settings.skip_inbound_ports.count = settings.skip_outbound_ports.count = PORT_RANGES_MAX;
    for (unsigned i = 0; i < CIDR_LIST_MAX; i++) {
        ck_assert(addr_parse_cidr(STR("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff/128"), &settings.skip_inbound_cidrs.network[i]));
    }
    settings.skip_inbound_cidrs.count = CIDR_LIST_MAX;
    settings.skip_outbound_cidrs = settings.skip_inbound_cidrs;
    text_deinit(&out);
    text_init(&out, RULES_TEXT_MAX);

    rules_for(ADDR_V6, STR(""));

    ck_assert(!out.is_cut);
    settings_deinit(&init_program, &settings);
}
END_TEST

/* Each rule's list of ports, against the 15 numbers that the multiport match takes. */
START_TEST(no_rule_names_more_than_15_ports)
{
    parse_golden_args("many_ports");
    struct str rules = rules_for(ADDR_V4, STR(""));
    struct str line;

    while (str_split(&rules, '\n', &line)) {
        unsigned numbers = 1;

        for (size_t i = 0; i < line.len; i++) {
            numbers += line.p[i] == ',';
            numbers += line.p[i] == ':' && i > 0;
        }
        ck_assert_uint_le(numbers, 15);
    }
    settings_deinit(&init_program, &settings);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_rule_that_is_right_is_left_where_it_is,
        a_rule_that_is_there_twice_is_made_one,
        a_rule_of_another_form_is_replaced,
        rules_of_others_are_never_named,
        removal_takes_rules_before_chains,
        removal_of_a_chain_without_its_rule_works,
        removal_of_nothing_is_nothing,
        the_longest_settings_fit,
        no_rule_names_more_than_15_ports,
    };
    TCase *texts = unit_case("texts", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_add_loop_test(texts, rules_equal_the_golden_text, 0, (int)ARRAY_LEN(cases));
    return unit_run("rules", texts, (TCase *)NULL);
}
