/* SPDX-License-Identifier: Apache-2.0 */

#include "api/source/fields.h"

#include <stdarg.h>
#include <stdio.h>

#define LABEL_MAX 63

/* How much of a wrong value a message shows. */
#define SHOWN_MAX 60

static int shown(struct str s)
{
    return (int)(s.len < SHOWN_MAX ? s.len : SHOWN_MAX);
}

bool fields_fail(struct fields *f, const struct yaml_node *at, const char *format, ...)
{
    char what[160];
    va_list args;

    if (f->is_failed) {
        return false;
    }
    f->is_failed = true;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    f->error->line = at == NULL ? 0 : at->line;
    snprintf(f->error->reason, sizeof f->error->reason, "%s%s%.*s: %s", f->kind, f->name.len > 0 ? " " : "", shown(f->name),
             f->name.len > 0 ? f->name.p : "", what);
    return false;
}

static bool get_container(struct fields *f, const struct yaml_node *map, const char *key, enum yaml_kind kind,
                          const struct yaml_node **ret_node)
{
    const struct yaml_node *node = yaml_get(map, key);

    if (node != NULL && node->kind != kind) {
        return fields_fail(f, node, "%s is not a %s", key, kind == YAML_MAP ? "mapping" : "list");
    }
    *ret_node = node;
    return true;
}

bool fields_map(struct fields *f, const struct yaml_node *map, const char *key, const struct yaml_node **ret_node)
{
    return get_container(f, map, key, YAML_MAP, ret_node);
}

bool fields_list(struct fields *f, const struct yaml_node *map, const char *key, const struct yaml_node **ret_node)
{
    return get_container(f, map, key, YAML_LIST, ret_node);
}

static bool is_visible(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < 0x21 || s.p[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

bool fields_text(struct fields *f, const struct yaml_node *map, const char *key, struct str *ret_text)
{
    const struct yaml_node *node = yaml_get(map, key);

    if (node == NULL) {
        *ret_text = (struct str){"", 0};
        return true;
    }
    if (node->kind != YAML_SCALAR) {
        return fields_fail(f, node, "%s is not a text", key);
    }
    if (node->text.len > FIELD_TEXT_MAX) {
        return fields_fail(f, node, "%s is longer than %d bytes", key, FIELD_TEXT_MAX);
    }
    if (!is_visible(node->text)) {
        return fields_fail(f, node, "%s has characters other than visible ASCII", key);
    }
    *ret_text = node->text;
    return true;
}

static bool is_label(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!is_alphanumeric && (c != '-' || i == 0 || i + 1 == s.len)) {
            return false;
        }
    }
    return s.len <= LABEL_MAX;
}

bool fields_label(struct fields *f, const struct yaml_node *map, const char *key, struct str *ret_text)
{
    if (!fields_text(f, map, key, ret_text)) {
        return false;
    }
    if (!is_label(*ret_text)) {
        return fields_fail(f, yaml_get(map, key), "%s \"%.*s\" is not a DNS label", key, shown(*ret_text), ret_text->p);
    }
    return true;
}

bool fields_bool(struct fields *f, const struct yaml_node *map, const char *key, bool *ret_value)
{
    const struct yaml_node *node = yaml_get(map, key);

    if (node == NULL) {
        return true;
    }
    if (node->kind == YAML_SCALAR && node->is_plain) {
        if (str_eq_nocase(node->text, STR("true"))) {
            *ret_value = true;
            return true;
        }
        if (str_eq_nocase(node->text, STR("false"))) {
            *ret_value = false;
            return true;
        }
    }
    return fields_fail(f, node, "%s is neither true nor false", key);
}

bool fields_port(struct fields *f, const struct yaml_node *map, const char *key, uint16_t *ret_port)
{
    const struct yaml_node *node = yaml_get(map, key);
    uint64_t value;

    if (node == NULL) {
        *ret_port = 0;
        return true;
    }
    if (node->kind != YAML_SCALAR || !str_to_u64(node->text, UINT16_MAX, &value) || value == 0) {
        return fields_fail(f, node, "%s is not a port (1 to 65535)", key);
    }
    *ret_port = (uint16_t)value;
    return true;
}

bool fields_ip(struct fields *f, const struct yaml_node *item, struct addr *ret_ip)
{
    if (item->kind != YAML_SCALAR) {
        return fields_fail(f, item, "an address is not a text");
    }
    if (!addr_parse_ip(item->text, ret_ip)) {
        return fields_fail(f, item, "\"%.*s\" is not an IP address", shown(item->text), item->text.p);
    }
    return true;
}

bool fields_choice(struct fields *f, const struct yaml_node *map, const char *key, const char *const *choices,
                   unsigned *ret_index)
{
    struct str text = {0};

    if (!fields_text(f, map, key, &text)) {
        return false;
    }
    *ret_index = 0;
    if (text.len == 0) {
        return true;
    }
    for (unsigned i = 0; choices[i] != NULL; i++) {
        if (str_eq(text, str_from(choices[i]))) {
            *ret_index = i;
            return true;
        }
    }
    return fields_fail(f, yaml_get(map, key), "%s \"%.*s\" is unknown", key, shown(text), text.p);
}
