/* SPDX-License-Identifier: Apache-2.0 */

#include "base/setting_value.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define HOST_MAX_BYTES 253 /* RFC 1035 §2.3.4, as text */

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Largest first: a value is printed in the first unit that divides it. */
static const struct unit duration_units[] = {{"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}};
static const struct unit byte_units[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};

static struct str digits_of(struct str s)
{
    size_t len = 0;

    while (len < s.len && s.p[len] >= '0' && s.p[len] <= '9') {
        len++;
    }
    return (struct str){s.p, len};
}

static const struct unit *find_unit(const struct unit *units, size_t unit_count, struct str suffix)
{
    for (size_t i = 0; i < unit_count; i++) {
        if (str_eq(suffix, str_from(units[i].suffix))) {
            return &units[i];
        }
    }
    return NULL;
}

/* A number and one of the units. A product too large for 64 bits becomes UINT64_MAX, which no range reaches. */
static bool read_with_unit(struct str value, const struct unit *units, size_t unit_count, uint64_t *ret_value)
{
    struct str digits = digits_of(value);
    const struct unit *unit = find_unit(units, unit_count, (struct str){value.p + digits.len, value.len - digits.len});
    uint64_t number = 0;

    if (digits.len == 0 || unit == NULL) {
        return false;
    }
    *ret_value = str_to_u64(digits, UINT64_MAX / unit->factor, &number) ? number * unit->factor : UINT64_MAX;
    return true;
}

static void print_with_unit(uint64_t value, const struct unit *units, size_t unit_count, const char *zero, struct text *out)
{
    for (size_t i = 0; i < unit_count && value > 0; i++) {
        if (value % units[i].factor == 0) {
            text_printf(out, "%" PRIu64 "%s", value / units[i].factor, units[i].suffix);
            return;
        }
    }
    text_printf(out, "%s", zero);
}

static void print_duration(uint64_t usec, struct text *out)
{
    print_with_unit(usec, duration_units, ARRAY_LEN(duration_units), "0s", out);
}

static void print_bytes(uint64_t bytes, struct text *out)
{
    print_with_unit(bytes, byte_units, ARRAY_LEN(byte_units), "0", out);
}

static enum setting_verdict check_range(const struct setting *row, uint64_t value)
{
    return value < row->min || value > row->max ? SETTING_OUT_OF_RANGE : SETTING_ACCEPTED;
}

static enum setting_verdict parse_bool(struct str value, bool *field)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq(value, str_from(words[i]))) {
            *field = i % 2 == 1;
            return SETTING_ACCEPTED;
        }
    }
    return SETTING_MALFORMED;
}

static enum setting_verdict parse_uint(const struct setting *row, struct str value, uint64_t *field)
{
    uint64_t number = UINT64_MAX;

    if (value.len == 0 || digits_of(value).len != value.len) {
        return SETTING_MALFORMED;
    }
    if (!str_to_u64(value, UINT64_MAX, &number) || check_range(row, number) != SETTING_ACCEPTED) {
        return SETTING_OUT_OF_RANGE;
    }
    *field = number;
    return SETTING_ACCEPTED;
}

static enum setting_verdict parse_bytes(const struct setting *row, struct str value, uint64_t *field)
{
    uint64_t bytes = 0;

    if (!read_with_unit(value, byte_units, ARRAY_LEN(byte_units), &bytes)) {
        return SETTING_MALFORMED;
    }
    enum setting_verdict verdict = check_range(row, bytes);

    if (verdict == SETTING_ACCEPTED) {
        *field = bytes;
    }
    return verdict;
}

static enum setting_verdict parse_duration(const struct setting *row, struct str value, struct usec *field)
{
    uint64_t usec = 0;

    if (!str_eq(value, STR("0")) && !read_with_unit(value, duration_units, ARRAY_LEN(duration_units), &usec)) {
        return SETTING_MALFORMED;
    }
    enum setting_verdict verdict = check_range(row, usec);

    if (verdict == SETTING_ACCEPTED) {
        field->v = usec;
    }
    return verdict;
}

/* Empty means "none", where the default says so too. */
static enum setting_verdict parse_addr(const struct setting *row, struct str value, struct addr *field)
{
    if (value.len == 0 && row->fallback[0] == '\0') {
        *field = (struct addr){0};
        return SETTING_ACCEPTED;
    }
    return addr_parse(value, field) ? SETTING_ACCEPTED : SETTING_MALFORMED;
}

static void replace_string(const char **field, struct str value)
{
    CLEANUP_FREE char *old = NULL;

    memcpy(&old, field, sizeof old); /* the struct's readers see a const string, its owner frees it */
    *field = mem_copy_string(value.p, value.len);
}

static bool is_host_name(struct str name)
{
    if (name.len == 0 || name.len > HOST_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!is_letter && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_') {
            return false;
        }
    }
    return true;
}

static enum setting_verdict parse_hostport(struct str value, const char **field)
{
    struct addr addr;
    uint64_t port = 0;
    size_t colon = str_find(value, ':');
    bool is_addr = addr_parse(value, &addr) && addr.port != 0;
    bool is_name = !is_addr && colon < value.len && is_host_name((struct str){value.p, colon}) &&
                   str_to_u64((struct str){value.p + colon + 1, value.len - colon - 1}, UINT16_MAX, &port) && port != 0;

    if (value.len > 0 && !is_addr && !is_name) {
        return SETTING_MALFORMED;
    }
    replace_string(field, value);
    return SETTING_ACCEPTED;
}

/* Control characters would break the line-wise --print-config and the logs. */
static enum setting_verdict parse_text(const struct setting *row, struct str value, const char **field)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)value.p[i] < 0x20 || value.p[i] == 0x7f) {
            return SETTING_MALFORMED;
        }
    }
    if (check_range(row, value.len) != SETTING_ACCEPTED) {
        return SETTING_OUT_OF_RANGE;
    }
    replace_string(field, value);
    return SETTING_ACCEPTED;
}

static enum setting_verdict parse_choice(const struct setting *row, struct str value, unsigned *field)
{
    struct str rest = str_from(row->choices);
    struct str choice;

    for (unsigned i = 0; str_split(&rest, ',', &choice); i++) {
        if (str_eq(value, choice)) {
            *field = i;
            return SETTING_ACCEPTED;
        }
    }
    return SETTING_MALFORMED;
}

static bool parse_port_range(struct str part, uint16_t *ret_first, uint16_t *ret_last)
{
    size_t dash = str_find(part, '-');
    uint64_t first = 0;
    uint64_t last = 0;

    if (!str_to_u64((struct str){part.p, dash}, UINT16_MAX, &first)) {
        return false;
    }
    if (dash == part.len) {
        last = first;
    } else if (!str_to_u64((struct str){part.p + dash + 1, part.len - dash - 1}, UINT16_MAX, &last)) {
        return false;
    }
    if (first == 0 || first > last) {
        return false;
    }
    *ret_first = (uint16_t)first;
    *ret_last = (uint16_t)last;
    return true;
}

static enum setting_verdict parse_ports(struct str value, struct port_ranges *field)
{
    struct port_ranges ports = {0};
    struct str rest = value.len > 0 ? value : (struct str){NULL, 0}; /* an empty list has no part, "a," has two */
    struct str part;

    while (str_split(&rest, ',', &part)) {
        if (ports.count == PORT_RANGES_MAX) {
            return SETTING_OUT_OF_RANGE;
        }
        if (!parse_port_range(str_trim(part), &ports.range[ports.count].first, &ports.range[ports.count].last)) {
            return SETTING_MALFORMED;
        }
        ports.count++;
    }
    *field = ports;
    return SETTING_ACCEPTED;
}

static enum setting_verdict parse_cidrs(struct str value, struct cidr_list *field)
{
    struct cidr_list list = {0};
    struct str rest = value.len > 0 ? value : (struct str){NULL, 0}; /* an empty list has no part, "a," has two */
    struct str part;

    while (str_split(&rest, ',', &part)) {
        if (list.count == CIDR_LIST_MAX) {
            return SETTING_OUT_OF_RANGE;
        }
        if (!addr_parse_cidr(str_trim(part), &list.network[list.count])) {
            return SETTING_MALFORMED;
        }
        list.count++;
    }
    *field = list;
    return SETTING_ACCEPTED;
}

enum setting_verdict setting_value_parse(const struct setting *row, struct str value, void *field)
{
    switch (row->type) {
    case SETTING_BOOL:
        return parse_bool(value, field);
    case SETTING_UINT:
        return parse_uint(row, value, field);
    case SETTING_BYTES:
        return parse_bytes(row, value, field);
    case SETTING_DURATION:
        return parse_duration(row, value, field);
    case SETTING_ADDR:
        return parse_addr(row, value, field);
    case SETTING_HOSTPORT:
        return parse_hostport(value, field);
    case SETTING_TEXT:
        return parse_text(row, value, field);
    case SETTING_CHOICE:
        return parse_choice(row, value, field);
    case SETTING_PORTS:
        return parse_ports(value, field);
    case SETTING_CIDRS:
        return parse_cidrs(value, field);
    }
    return SETTING_MALFORMED;
}

static bool owns_string(const struct setting *row)
{
    return row->type == SETTING_TEXT || row->type == SETTING_HOSTPORT;
}

void setting_value_init(const struct setting *row, void *field)
{
    if (owns_string(row)) {
        *(const char **)field = NULL;
    }
}

void setting_value_free(const struct setting *row, void *field)
{
    if (owns_string(row)) {
        char *string = NULL;

        memcpy(&string, field, sizeof string);
        mem_free(string);
        setting_value_init(row, field);
    }
}

static void print_choice(const struct setting *row, unsigned index, struct text *out)
{
    struct str rest = str_from(row->choices);
    struct str choice = {0};

    for (unsigned i = 0; i <= index && str_split(&rest, ',', &choice); i++) {
    }
    text_append_str(out, choice);
}

static void print_ports(const struct port_ranges *ports, struct text *out)
{
    for (unsigned i = 0; i < ports->count; i++) {
        text_printf(out, "%s%u", i == 0 ? "" : ",", (unsigned)ports->range[i].first);
        if (ports->range[i].last != ports->range[i].first) {
            text_printf(out, "-%u", (unsigned)ports->range[i].last);
        }
    }
}

static void print_cidrs(const struct cidr_list *list, struct text *out)
{
    char ip[ADDR_TEXT_SIZE];

    for (unsigned i = 0; i < list->count; i++) {
        text_printf(out, "%s%s/%u", i == 0 ? "" : ",", addr_format_ip(&list->network[i], ip), (unsigned)list->network[i].prefix);
    }
}

static void print_addr(const struct addr *addr, struct text *out)
{
    char address[ADDR_TEXT_SIZE];

    if (addr->family != ADDR_NONE) {
        text_printf(out, "%s", addr_format(addr, address));
    }
}

void setting_value_print(const struct setting *row, const void *field, struct text *out)
{
    switch (row->type) {
    case SETTING_BOOL:
        text_printf(out, "%s", *(const bool *)field ? "true" : "false");
        break;
    case SETTING_UINT:
        text_printf(out, "%" PRIu64, *(const uint64_t *)field);
        break;
    case SETTING_BYTES:
        print_bytes(*(const uint64_t *)field, out);
        break;
    case SETTING_DURATION:
        print_duration(((const struct usec *)field)->v, out);
        break;
    case SETTING_ADDR:
        print_addr(field, out);
        break;
    case SETTING_HOSTPORT:
    case SETTING_TEXT:
        text_append_str(out, str_from(*(const char *const *)field));
        break;
    case SETTING_CHOICE:
        print_choice(row, *(const unsigned *)field, out);
        break;
    case SETTING_PORTS:
        print_ports(field, out);
        break;
    case SETTING_CIDRS:
        print_cidrs(field, out);
        break;
    }
}

const char *setting_type_name(enum setting_type type)
{
    static const char *const names[] = {
        [SETTING_BOOL] = "boolean",        [SETTING_UINT] = "number",
        [SETTING_BYTES] = "size",          [SETTING_DURATION] = "duration",
        [SETTING_ADDR] = "IP:port",        [SETTING_HOSTPORT] = "host:port",
        [SETTING_TEXT] = "text",           [SETTING_CHOICE] = "choice",
        [SETTING_PORTS] = "list of ports", [SETTING_CIDRS] = "list of networks",
    };

    return names[type];
}

static void print_number(const struct setting *row, uint64_t value, struct text *out)
{
    if (row->type == SETTING_DURATION) {
        print_duration(value, out);
    } else if (row->type == SETTING_BYTES) {
        print_bytes(value, out);
    } else {
        text_printf(out, "%" PRIu64, value);
    }
}

static void print_choices(const struct setting *row, struct text *out)
{
    struct str rest = str_from(row->choices);
    struct str choice;
    const char *before = "one of ";

    while (str_split(&rest, ',', &choice)) {
        text_printf(out, "%s%.*s", before, (int)choice.len, choice.p);
        before = ", ";
    }
}

void setting_value_print_range(const struct setting *row, struct text *out)
{
    switch (row->type) {
    case SETTING_BOOL:
        text_printf(out, "true or false");
        break;
    case SETTING_UINT:
    case SETTING_BYTES:
    case SETTING_DURATION:
        print_number(row, row->min, out);
        text_append_str(out, row->max == UINT64_MAX ? STR(" or more") : STR(" to "));
        if (row->max != UINT64_MAX) {
            print_number(row, row->max, out);
        }
        break;
    case SETTING_ADDR:
        text_append_str(out, row->fallback[0] == '\0' ? STR("IP:port or empty") : STR("IP:port"));
        break;
    case SETTING_HOSTPORT:
        text_printf(out, "name:port, IP:port or empty");
        break;
    case SETTING_TEXT:
        text_printf(out, "%" PRIu64 " to %" PRIu64 " bytes, no control characters", row->min, row->max);
        break;
    case SETTING_CHOICE:
        print_choices(row, out);
        break;
    case SETTING_PORTS:
        text_printf(out, "at most %d ports or ranges, such as 4567,8000-8100", PORT_RANGES_MAX);
        break;
    case SETTING_CIDRS:
        text_printf(out, "at most %d networks, such as 10.0.0.0/8,fd00::/8", CIDR_LIST_MAX);
        break;
    }
}
