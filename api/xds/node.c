/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/node.h"

#include <string.h>

#include "base/mem.h"

void node_init(struct node *n)
{
    *n = (struct node){.id = mem_strdup(""), .namespace = mem_strdup(""), .name = mem_strdup("")};
}

void node_deinit(struct node *n)
{
    mem_free(n->id);
    mem_free(n->namespace);
    mem_free(n->name);
}

static void replace(char **field, const char *value)
{
    mem_free(*field);
    *field = mem_copy_string(value, strnlen(value, NODE_TEXT_MAX));
}

static const char *metadata_text(const Google__Protobuf__Struct *metadata, const char *key)
{
    const char *found = "";

    for (size_t i = 0; metadata != NULL && i < metadata->n_fields; i++) {
        const Google__Protobuf__Struct__FieldsEntry *field = metadata->fields[i];

        /* Of a repeated key the last one counts. */
        if (strcmp(field->key, key) == 0 && field->value != NULL &&
            field->value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE) {
            found = field->value->string_value;
        }
    }
    return found;
}

void node_take(struct node *n, const Envoy__Config__Core__V3__Node *from)
{
    if (from == NULL) {
        return;
    }
    replace(&n->id, from->id);
    replace(&n->namespace, metadata_text(from->metadata, "namespace"));
    replace(&n->name, metadata_text(from->metadata, "node"));
}

struct view node_view(const struct node *n)
{
    return (struct view){.namespace = str_from(n->namespace), .node = str_from(n->name)};
}
