/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libyaml's events, put together on a stack of open containers: the depth is a number here, not a recursion. Containers grow as their
 * children come.
 */

#include "api/kube/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"

struct loader {
    struct yaml *yaml;
    struct yaml_error *error;
    struct yaml_node *open[YAML_DEPTH_MAX];
    unsigned depth;
    unsigned line;
};

static void free_tree(struct yaml_node *root)
{
    struct yaml_node *path[YAML_DEPTH_MAX + 1];
    unsigned depth = 0;

    path[0] = root;
    for (;;) {
        struct yaml_node *node = path[depth];

        if (node->count > 0) {
            path[++depth] = node->items[--node->count];
            continue;
        }
        mem_free((void *)(uintptr_t)node->text.p);
        mem_free(node->items);
        mem_free(node);
        if (depth == 0) {
            return;
        }
        depth--;
    }
}

void yaml_deinit(struct yaml *y)
{
    for (size_t i = 0; i < y->count; i++) {
        free_tree(y->documents[i]);
    }
    mem_free(y->documents);
    *y = (struct yaml){0};
}

static bool PRINTF_LIKE(2, 3) fail(struct loader *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(l->error->reason, sizeof l->error->reason, format, args);
    va_end(args);
    l->error->line = l->line;
    return false;
}

static void append(struct yaml_node ***array, size_t *count, struct yaml_node *node)
{
    if ((*count & (*count - 1)) == 0) { /* 0, 1, 2, 4 …: full */
        *array = mem_realloc_array(*array, *count == 0 ? 1 : *count * 2, sizeof(struct yaml_node *));
    }
    (*array)[(*count)++] = node;
}

/* A new node where the text is now: in the open container, or as a document. NULL after a failure. */
static struct yaml_node *add_node(struct loader *l, enum yaml_kind kind)
{
    struct yaml_node *node;

    if (l->yaml->node_count == YAML_NODES_MAX) {
        fail(l, "more than %d values", YAML_NODES_MAX);
        return NULL;
    }
    node = mem_alloc(sizeof *node);
    node->kind = kind;
    node->line = l->line;
    l->yaml->node_count++;
    if (l->depth == 0) {
        append(&l->yaml->documents, &l->yaml->count, node);
    } else {
        struct yaml_node *parent = l->open[l->depth - 1];

        append(&parent->items, &parent->count, node);
    }
    return node;
}

static bool open_container(struct loader *l, enum yaml_kind kind)
{
    struct yaml_node *node;

    if (l->depth == YAML_DEPTH_MAX) {
        return fail(l, "nested deeper than %d levels", YAML_DEPTH_MAX);
    }
    node = add_node(l, kind);
    if (node == NULL) {
        return false;
    }
    l->open[l->depth++] = node;
    return true;
}

static bool add_scalar(struct loader *l, const yaml_event_t *event)
{
    struct yaml_node *node = add_node(l, YAML_SCALAR);
    size_t len = event->data.scalar.length;

    if (node == NULL) {
        return false;
    }
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = (struct str){mem_copy_string(event->data.scalar.value, len), len};
    return true;
}

static bool take_event(struct loader *l, const yaml_event_t *event)
{
    l->line = (unsigned)event->start_mark.line + 1;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(l, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(l, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_container(l, YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        l->depth--;
        return true;
    case YAML_ALIAS_EVENT:
        return fail(l, "aliases (*name) are not read here: write the value out");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return true;
}

static bool fail_syntax(struct loader *l, const yaml_parser_t *parser)
{
    l->line = (unsigned)parser->problem_mark.line + 1;
    return fail(l, "not YAML: %s%s%s", parser->problem != NULL ? parser->problem : "unreadable",
                parser->context != NULL ? ", " : "", parser->context != NULL ? parser->context : "");
}

static bool read_events(struct loader *l, yaml_parser_t *parser)
{
    bool is_last = false;

    while (!is_last) {
        yaml_event_t event;
        bool is_ok;

        if (yaml_parser_parse(parser, &event) == 0) {
            return fail_syntax(l, parser);
        }
        is_ok = take_event(l, &event);
        is_last = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (!is_ok) {
            return false;
        }
    }
    return true;
}

static void drop_null_documents(struct yaml *y)
{
    size_t kept = 0;

    for (size_t i = 0; i < y->count; i++) {
        if (yaml_is_null(y->documents[i])) {
            free_tree(y->documents[i]);
        } else {
            y->documents[kept++] = y->documents[i];
        }
    }
    y->count = kept;
}

bool yaml_load(struct yaml *y, struct str bytes, struct yaml_error *ret_error)
{
    struct loader l = {.yaml = y, .error = ret_error};
    yaml_parser_t parser;
    bool is_ok;

    *y = (struct yaml){0};
    if (bytes.len > YAML_BYTES_MAX) {
        return fail(&l, "larger than %zu bytes", YAML_BYTES_MAX);
    }
    if (yaml_parser_initialize(&parser) == 0) {
        return fail(&l, "out of memory");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)(bytes.len == 0 ? "" : bytes.p), bytes.len);
    is_ok = read_events(&l, &parser);
    yaml_parser_delete(&parser);
    if (is_ok) {
        drop_null_documents(y);
    } else {
        yaml_deinit(y);
    }
    return is_ok;
}

bool yaml_is_null(const struct yaml_node *node)
{
    static const struct str nulls[] = {{"", 0}, {"~", 1}, {"null", 4}, {"Null", 4}, {"NULL", 4}};

    if (node->kind != YAML_SCALAR || !node->is_plain) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++) {
        if (str_eq(node->text, nulls[i])) {
            return true;
        }
    }
    return false;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP) {
        return NULL;
    }
    for (size_t i = map->count; i >= 2; i -= 2) {
        const struct yaml_node *name = map->items[i - 2], *value = map->items[i - 1];

        if (name->kind == YAML_SCALAR && str_eq(name->text, str_from(key))) {
            return yaml_is_null(value) ? NULL : value;
        }
    }
    return NULL;
}
