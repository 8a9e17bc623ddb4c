/* SPDX-License-Identifier: Apache-2.0 */

/* The bytes of a watch, in pieces: each line that is JSON is read as either kind, and what is read the model takes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/kube/json_tree.h"
#include "api/kube/lines.h"
#include "api/model/model.h"
#include "api/source/objects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_object(struct model *model, const struct yaml_node *object)
{
    struct yaml_error error = {0};
    struct fields f = {.error = &error, .kind = "Service"};
    struct service *service = object_read_service(&f, object);
    bool is_owned;

    assert(service == NULL || model_put_service(model, service));
    f = (struct fields){.error = &error, .kind = "EndpointSlice"};
    struct slice *slice = object_read_slice(&f, object, &is_owned);

    assert(slice == NULL || model_put_slice(model, slice));
}

static void on_line(void *ctx, struct str line)
{
    json_error_t error;
    json_t *event = json_loadb(line.p, line.len, 0, &error);
    const json_t *object = json_object_get(event, "object");
    struct yaml tree;

    if (object != NULL && json_tree_make(&tree, object)) {
        read_object(ctx, tree.documents[0]);
        yaml_deinit(&tree);
    }
    json_decref(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model *model = model_new();
    struct kube_lines lines;
    size_t piece = size > 0 ? (size_t)data[0] + 1 : 1;

    kube_lines_init(&lines, 4096);
    for (size_t at = 1; at < size; at += piece) {
        if (!kube_lines_feed(&lines, data + at, size - at < piece ? size - at : piece, on_line, model)) {
            kube_lines_reset(&lines);
        }
    }
    struct world *w = model_commit(model);

    world_unref(&w);
    kube_lines_deinit(&lines);
    model_free(model);
    return 0;
}
