/* SPDX-License-Identifier: Apache-2.0 */

#include "api/kube/json_tree.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct maker {
    size_t nodes;
    bool is_failed;
};

static struct yaml_node *make(struct maker *m, const json_t *value, unsigned depth);

static struct yaml_node *scalar(struct maker *m, const char *text, size_t len, bool is_plain)
{
    struct yaml_node *node = mem_alloc(sizeof *node);

    m->nodes++;
    node->kind = YAML_SCALAR;
    node->is_plain = is_plain;
    node->text = (struct str){mem_copy_string(text, len), len};
    return node;
}

static struct yaml_node *number(struct maker *m, const json_t *value)
{
    char text[64];
    int len = json_is_integer(value) ? snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value))
                                     : snprintf(text, sizeof text, "%.17g", json_real_value(value));

    return scalar(m, text, (size_t)len, true);
}

static struct yaml_node *container(struct maker *m, enum yaml_kind kind, size_t capacity)
{
    struct yaml_node *node = mem_alloc(sizeof *node);

    m->nodes++;
    node->kind = kind;
    node->items = capacity > 0 ? mem_alloc_array(capacity, sizeof(struct yaml_node *)) : NULL;
    return node;
}

static void add(struct yaml_node *container, struct yaml_node *item)
{
    assert(container->items != NULL);
    container->items[container->count++] = item;
}

static struct yaml_node *map(struct maker *m, const json_t *object, unsigned depth)
{
    struct yaml_node *node = container(m, YAML_MAP, json_object_size(object) * 2);
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value) /* only read; the macro's type lacks the const */
    {
        add(node, scalar(m, key, strlen(key), false));
        add(node, make(m, value, depth + 1));
    }
    return node;
}

static struct yaml_node *list(struct maker *m, const json_t *array, unsigned depth)
{
    struct yaml_node *node = container(m, YAML_LIST, json_array_size(array));

    for (size_t i = 0; i < json_array_size(array); i++) {
        add(node, make(m, json_array_get(array, i), depth + 1));
    }
    return node;
}

static struct yaml_node *make(struct maker *m, const json_t *value, unsigned depth)
{
    if (depth >= YAML_DEPTH_MAX || m->nodes >= YAML_NODES_MAX) {
        m->is_failed = true;
        return scalar(m, "null", 4, true);
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return map(m, value, depth);
    case JSON_ARRAY:
        return list(m, value, depth);
    case JSON_STRING:
        return scalar(m, json_string_value(value), json_string_length(value), false);
    case JSON_INTEGER:
    case JSON_REAL:
        return number(m, value);
    case JSON_TRUE:
        return scalar(m, "true", 4, true);
    case JSON_FALSE:
        return scalar(m, "false", 5, true);
    case JSON_NULL:
        break;
    }
    return scalar(m, "null", 4, true);
}

bool json_tree_make(struct yaml *y, const json_t *value)
{
    struct maker m = {0};

    *y = (struct yaml){.count = 1, .documents = mem_alloc_array(1, sizeof(struct yaml_node *))};
    y->documents[0] = make(&m, value, 0);
    y->node_count = m.nodes;
    if (m.is_failed) {
        yaml_deinit(y);
    }
    return !m.is_failed;
}
