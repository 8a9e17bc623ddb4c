/* SPDX-License-Identifier: Apache-2.0 */

/* Where the check connects to. The connection itself is tested in namespaces: tests/e2e/test_init.py. */

#include "init/check.h"

#include "base/container.h"
#include "unit.h"

static struct init_settings settings;

static const struct {
    enum addr_family family;
    const char *cidrs[4];
    uint16_t skip_to;     /* ports 1 to this one are skipped; 0: none */
    const char *expected; /* NULL: nothing is left */
} cases[] = {
    {ADDR_V4, {NULL}, 0, "192.0.2.1:1"},
    {ADDR_V6, {NULL}, 0, "[2001:db8::1]:1"},
    {ADDR_V4, {NULL}, 1023, "192.0.2.1:1024"},
    {ADDR_V4, {NULL}, 65535, NULL},
    {ADDR_V4, {"192.0.2.0/24"}, 0, "198.51.100.1:1"},
    {ADDR_V4, {"192.0.2.0/24", "198.51.100.0/24"}, 0, "203.0.113.1:1"},
    {ADDR_V4, {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}, 0, NULL},
    {ADDR_V4, {"::/0"}, 0, "192.0.2.1:1"},
    {ADDR_V6, {"0.0.0.0/0"}, 0, "[2001:db8::1]:1"},
    {ADDR_V6, {"2001::/16"}, 0, "[3fff::1]:1"},
    {ADDR_V6, {"::/0"}, 0, NULL},
};

START_TEST(target_is_an_address_that_the_settings_do_not_skip)
{
    struct addr target;
    char text[ADDR_TEXT_SIZE];

    settings = (struct init_settings){0};
    for (unsigned i = 0; cases[_i].cidrs[i] != NULL; i++) {
        ck_assert(addr_parse_cidr(str_from(cases[_i].cidrs[i]), &settings.skip_outbound_cidrs.network[i]));
        settings.skip_outbound_cidrs.count++;
    }
    settings.skip_outbound_ports.count = cases[_i].skip_to > 0;
    settings.skip_outbound_ports.range[0].first = 1;
    settings.skip_outbound_ports.range[0].last = cases[_i].skip_to;

    bool is_found = check_choose_target(&settings, cases[_i].family, &target);

    ck_assert_int_eq(is_found, cases[_i].expected != NULL);
    if (is_found) {
        ck_assert_str_eq(addr_format(&target, text), cases[_i].expected);
    }
}
END_TEST

int main(void)
{
    TCase *target = unit_case("target", NULL, NULL, NULL, 0);

    tcase_add_loop_test(target, target_is_an_address_that_the_settings_do_not_skip, 0, (int)ARRAY_LEN(cases));
    return unit_run("check", target, (TCase *)NULL);
}
