/* SPDX-License-Identifier: Apache-2.0 */

#include "api/source/parse.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#include "api/source/fields.h"
#include "api/source/objects.h"

enum kind { KIND_SERVICE, KIND_SLICE, KIND_LIST, KIND_OTHER };

static const struct {
    const char *api_version;
    const char *name;
    enum kind kind;
    enum kind items; /* of a list whose items need not say what they are */
} kinds[] = {
    {"v1", "Service", KIND_SERVICE, KIND_OTHER},
    {"discovery.k8s.io/v1", "EndpointSlice", KIND_SLICE, KIND_OTHER},
    {"v1", "List", KIND_LIST, KIND_OTHER},
    {"v1", "ServiceList", KIND_LIST, KIND_SERVICE},
    {"discovery.k8s.io/v1", "EndpointSliceList", KIND_LIST, KIND_SLICE},
};

static void *grow(void *array, size_t count)
{
    if ((count & (count - 1)) != 0) {
        return array;
    }
    return mem_realloc_array(array, count == 0 ? 1 : count * 2, sizeof(void *));
}

static bool add_service(struct manifest *m, struct service *s)
{
    if (s == NULL) {
        return false;
    }
    m->services = grow(m->services, m->service_count);
    m->services[m->service_count++] = s;
    return true;
}

static bool add_slice(struct manifest *m, struct slice *s)
{
    if (s == NULL) {
        return false;
    }
    m->slices = grow(m->slices, m->slice_count);
    m->slices[m->slice_count++] = s;
    return true;
}

static void note_other(struct manifest *m, const struct yaml_node *object, struct str kind)
{
    for (size_t i = 0; i < m->other_count; i++) {
        if (str_eq(str_from(m->others[i].kind), kind)) {
            return;
        }
    }
    if (m->other_count < OTHER_KINDS_MAX) {
        struct other_kind *other = &m->others[m->other_count++];

        other->line = object->line;
        snprintf(other->kind, sizeof other->kind, "%.*s",
                 (int)(kind.len < sizeof other->kind ? kind.len : sizeof other->kind - 1), kind.p);
    }
}

/* The row of `kinds`, or ARRAY_LEN(kinds). */
static size_t find_kind(struct str api_version, struct str name)
{
    size_t row = 0;

    while (row < ARRAY_LEN(kinds) &&
           (!str_eq(str_from(kinds[row].name), name) || !str_eq(str_from(kinds[row].api_version), api_version))) {
        row++;
    }
    return row;
}

static bool read_object(struct manifest *m, struct fields *f, const struct yaml_node *object, enum kind kind)
{
    bool is_owned = true;

    switch (kind) {
    case KIND_SERVICE:
        f->kind = "Service";
        return add_service(m, object_read_service(f, object));
    case KIND_SLICE:
        f->kind = "EndpointSlice";
        if (add_slice(m, object_read_slice(f, object, &is_owned))) {
            return true;
        }
        if (!is_owned) {
            note_other(m, object, STR("EndpointSlice without a Service"));
        }
        return !is_owned;
    case KIND_LIST:
        return fields_fail(f, object, "a List within a List");
    case KIND_OTHER:
        break;
    }
    return true;
}

/* What an object says it is, or `implied` where it says nothing. */
static bool read_kind(struct manifest *m, struct fields *f, const struct yaml_node *object, enum kind implied, size_t *ret_row)
{
    struct str api_version, name;

    *f = (struct fields){.error = &m->error, .kind = "object"};
    if (object->kind != YAML_MAP) {
        return fields_fail(f, object, "a document is not a mapping");
    }
    if (!fields_text(f, object, "apiVersion", &api_version) || !fields_text(f, object, "kind", &name)) {
        return false;
    }
    if (name.len == 0 && implied != KIND_OTHER) {
        *ret_row = implied == KIND_SERVICE ? 0 : 1;
        return true;
    }
    if (name.len == 0 || api_version.len == 0) {
        return fields_fail(f, object, "kind or apiVersion is missing");
    }
    *ret_row = find_kind(api_version, name);
    if (*ret_row == ARRAY_LEN(kinds)) {
        note_other(m, object, name);
    }
    return true;
}

static bool read_list(struct manifest *m, const struct yaml_node *list, enum kind implied)
{
    struct fields f = {.error = &m->error, .kind = "List"};
    const struct yaml_node *items;

    if (!fields_list(&f, list, "items", &items)) {
        return false;
    }
    for (size_t i = 0; items != NULL && i < items->count; i++) {
        struct fields item;
        size_t row = ARRAY_LEN(kinds);

        if (!read_kind(m, &item, items->items[i], implied, &row)) {
            return false;
        }
        if (row < ARRAY_LEN(kinds) && !read_object(m, &item, items->items[i], kinds[row].kind)) {
            return false;
        }
    }
    return true;
}

static bool read_document(struct manifest *m, const struct yaml_node *document)
{
    struct fields f;
    size_t row = ARRAY_LEN(kinds);

    if (!read_kind(m, &f, document, KIND_OTHER, &row)) {
        return false;
    }
    if (row == ARRAY_LEN(kinds)) {
        return true;
    }
    if (kinds[row].kind == KIND_LIST) {
        return read_list(m, document, kinds[row].items);
    }
    return read_object(m, &f, document, kinds[row].kind);
}

static void drop_objects(struct manifest *m)
{
    for (size_t i = 0; i < m->service_count; i++) {
        service_unref(&m->services[i]);
    }
    for (size_t i = 0; i < m->slice_count; i++) {
        slice_unref(&m->slices[i]);
    }
    mem_free(m->services);
    mem_free(m->slices);
    m->services = NULL;
    m->slices = NULL;
    m->service_count = 0;
    m->slice_count = 0;
}

bool manifest_parse(struct manifest *m, struct str bytes)
{
    struct yaml yaml;
    bool is_ok = true;

    memset(m, 0, sizeof *m);
    if (!yaml_load(&yaml, bytes, &m->error)) {
        return false;
    }
    for (size_t i = 0; i < yaml.count && is_ok; i++) {
        is_ok = read_document(m, yaml.documents[i]);
    }
    yaml_deinit(&yaml);
    if (!is_ok) {
        drop_objects(m);
    }
    return is_ok;
}

void manifest_deinit(struct manifest *m)
{
    drop_objects(m);
    m->other_count = 0;
}
