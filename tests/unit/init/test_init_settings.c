/* SPDX-License-Identifier: Apache-2.0 */

#include "init/init_settings.h"

#include <string.h>

#include "base/container.h"
#include "unit.h"

#define FLAGS_MAX 4

static char *const no_environment[] = {NULL};
static struct init_settings settings;
static struct text problem;

/* What is wrong with some arguments, and what the message must contain. */
struct refusal {
    const char *flags[FLAGS_MAX];
    const char *named;
};

static const struct refusal refused_by_row[] = {
    {{"--proxy-uid=-1"}, "--proxy-uid"},
    {{"--proxy-uid=4294967295"}, "4294967294"},
    {{"--outbound-port=0"}, "--outbound-port"},
    {{"--inbound-port=65536"}, "65535"},
    {{"--skip-inbound-ports=80,x"}, "--skip-inbound-ports"},
    {{"--skip-outbound-ports=90-80"}, "--skip-outbound-ports"},
    {{"--skip-outbound-cidrs=10.0.0.0/33"}, "--skip-outbound-cidrs"},
    {{"--skip-inbound-cidrs=10.0.0.0/8;fd00::/8"}, "--skip-inbound-cidrs"},
    {{"--iptables-mode=nftables"}, "auto, nft, legacy"},
    {{"--ipv6=maybe"}, "--ipv6"},
    {{"--ipv5=on"}, "--ipv5"},
};

static const struct refusal contradictions[] = {
    {{"--dry-run", "--check"}, "exclude each other"},  {{"--check", "--remove"}, "exclude each other"},
    {{"--dry-run", "--remove"}, "exclude each other"}, {{"--inbound-port=15140"}, "must differ"},
    {{"--admin-port=15140"}, "must differ"},           {{"--inbound-port=15191"}, "must differ"},
    {{"--ipv4=off", "--ipv6=off"}, "nothing to do"},
};

static void setup(void)
{
    text_init(&problem, 4096);
}

static void teardown(void)
{
    text_deinit(&problem);
}

static enum settings_outcome parse(const char *const *flags)
{
    char texts[FLAGS_MAX][64] = {0};
    char *argv[FLAGS_MAX + 2] = {(char[]){"outrigger-init"}};
    int argc = 1;

    for (int i = 0; i < FLAGS_MAX && flags[i] != NULL; i++) {
        strncpy(texts[i], flags[i], sizeof texts[i] - 1);
        argv[argc++] = texts[i];
    }
    return settings_parse(&init_program, argc, argv, no_environment, &settings, &problem);
}

START_TEST(a_bad_value_is_refused_by_name)
{
    ck_assert_int_eq(parse(refused_by_row[_i].flags), SETTINGS_ERROR);
    ck_assert_msg(strstr(problem.p, refused_by_row[_i].named) != NULL, "%s", problem.p);
}
END_TEST

START_TEST(contradictions_are_refused_with_the_reason)
{
    ck_assert_int_eq(parse(contradictions[_i].flags), SETTINGS_OK);
    ck_assert(!init_settings_validate(&settings, &problem));
    ck_assert_msg(strstr(problem.p, contradictions[_i].named) != NULL, "%s", problem.p);
    settings_deinit(&init_program, &settings);
}
END_TEST

START_TEST(the_defaults_are_valid)
{
    ck_assert_int_eq(parse((const char *[]){NULL}), SETTINGS_OK);
    ck_assert(init_settings_validate(&settings, &problem));
    ck_assert_uint_eq(settings.proxy_uid, 2140);
    ck_assert_int_eq(init_settings_family_mode(&settings, ADDR_V6), INIT_FAMILY_AUTO);
    settings_deinit(&init_program, &settings);
}
END_TEST

START_TEST(one_family_may_be_off)
{
    ck_assert_int_eq(parse((const char *[]){"--ipv6=off", NULL}), SETTINGS_OK);
    ck_assert(init_settings_validate(&settings, &problem));
    ck_assert_int_eq(init_settings_family_mode(&settings, ADDR_V6), INIT_FAMILY_OFF);
    ck_assert_int_eq(init_settings_family_mode(&settings, ADDR_V4), INIT_FAMILY_AUTO);
    settings_deinit(&init_program, &settings);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_defaults_are_valid, one_family_may_be_off};
    TCase *accepted = unit_case("accepted", setup, teardown, tests, ARRAY_LEN(tests));
    TCase *refused = unit_case("refused", setup, teardown, NULL, 0);

    tcase_add_loop_test(refused, a_bad_value_is_refused_by_name, 0, (int)ARRAY_LEN(refused_by_row));
    tcase_add_loop_test(refused, contradictions_are_refused_with_the_reason, 0, (int)ARRAY_LEN(contradictions));
    return unit_run("init_settings", accepted, refused, (TCase *)NULL);
}
