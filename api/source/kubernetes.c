/* SPDX-License-Identifier: Apache-2.0 */

#include "api/source/kubernetes.h"

#include "base/log.h"
#include "base/mem.h"

#include "api/kube/json_tree.h"
#include "api/source/objects.h"

struct kubernetes {
    struct model *model;
    void (*on_change)(void *ctx);
    void *ctx;
    struct kube_reflector *reflectors[KUBERNETES_KIND_COUNT];
    uint64_t skipped;
};

static const struct kube_kind kinds[KUBERNETES_KIND_COUNT] = {
    [KUBERNETES_SERVICES] = {.path = "/api/v1/services", .query = "", .page_size = 500},
    /* A full slice has 100 endpoints and some 30 KB. */
    [KUBERNETES_SLICES] = {.path = "/apis/discovery.k8s.io/v1/endpointslices", .query = "", .page_size = 250},
};

static void changed(struct kubernetes *k)
{
    if (kubernetes_is_synced(k)) {
        k->on_change(k->ctx);
    }
}

static void on_synced(void *ctx)
{
    changed(ctx);
}

static void skip(struct kubernetes *k, const char *kind, const json_t *object, const char *reason)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *namespace = json_string_value(json_object_get(metadata, "namespace"));
    const char *name = json_string_value(json_object_get(metadata, "name"));

    k->skipped++;
    log_warn(LOG_SOURCE, kind, "%s/%s is skipped: %s", namespace != NULL ? namespace : "?", name != NULL ? name : "?", reason);
}

/* --- Services --- */

static void on_service(void *ctx, const json_t *object)
{
    struct kubernetes *k = ctx;
    struct yaml_error error = {0};
    struct fields f = {.error = &error, .kind = "Service"};
    struct service *s = NULL;
    struct yaml tree;

    if (!json_tree_make(&tree, object)) {
        skip(k, "Service", object, "nested too deeply, or too large");
        return;
    }
    s = object_read_service(&f, tree.documents[0]);
    yaml_deinit(&tree);
    if (s == NULL) {
        skip(k, "Service", object, error.reason);
    } else if (!model_put_service(k->model, s)) {
        skip(k, "Service", object, "there are too many");
    } else {
        changed(k);
    }
}

static void on_service_deleted(void *ctx, struct str namespace, struct str name)
{
    struct kubernetes *k = ctx;

    model_remove_service(k->model, namespace, name);
    changed(k);
}

/* --- EndpointSlices --- */

static void on_slice_deleted(void *ctx, struct str namespace, struct str name)
{
    struct kubernetes *k = ctx;

    model_remove_slice(k->model, namespace, name);
    changed(k);
}

static void on_slice(void *ctx, const json_t *object)
{
    struct kubernetes *k = ctx;
    struct yaml_error error = {0};
    struct fields f = {.error = &error, .kind = "EndpointSlice"};
    struct slice *s = NULL;
    struct yaml tree;
    bool is_owned;

    if (!json_tree_make(&tree, object)) {
        skip(k, "EndpointSlice", object, "nested too deeply, or too large");
        return;
    }
    s = object_read_slice(&f, tree.documents[0], &is_owned);
    yaml_deinit(&tree);
    if (s == NULL && !is_owned) {
        /* Nobody's: no Service is named in its labels (any more). */
        const json_t *metadata = json_object_get(object, "metadata");

        on_slice_deleted(k, str_from(json_string_value(json_object_get(metadata, "namespace"))),
                         str_from(json_string_value(json_object_get(metadata, "name"))));
    } else if (s == NULL) {
        skip(k, "EndpointSlice", object, error.reason);
    } else if (!model_put_slice(k->model, s)) {
        skip(k, "EndpointSlice", object, "there are too many");
    } else {
        changed(k);
    }
}

static const struct kube_reflector_ops ops[KUBERNETES_KIND_COUNT] = {
    [KUBERNETES_SERVICES] = {.on_object = on_service, .on_deleted = on_service_deleted, .on_synced = on_synced},
    [KUBERNETES_SLICES] = {.on_object = on_slice, .on_deleted = on_slice_deleted, .on_synced = on_synced},
};

/* --- life --- */

struct kubernetes *kubernetes_new(struct kube_client *client, struct model *model, void (*on_change)(void *ctx), void *ctx)
{
    struct kubernetes *k = mem_alloc(sizeof *k);

    k->model = model;
    k->on_change = on_change;
    k->ctx = ctx;
    for (size_t i = 0; i < KUBERNETES_KIND_COUNT; i++) {
        k->reflectors[i] = kube_reflector_new(client, &kinds[i], &ops[i], k);
    }
    return k;
}

void kubernetes_free(struct kubernetes *k)
{
    if (k == NULL) {
        return;
    }
    for (size_t i = 0; i < KUBERNETES_KIND_COUNT; i++) {
        kube_reflector_free(&k->reflectors[i]);
    }
    mem_free(k);
}

bool kubernetes_is_synced(const struct kubernetes *k)
{
    for (size_t i = 0; i < KUBERNETES_KIND_COUNT; i++) {
        if (k->reflectors[i] == NULL || !kube_reflector_status(k->reflectors[i]).is_synced) {
            return false;
        }
    }
    return true;
}

struct kube_reflector_status kubernetes_status(const struct kubernetes *k, enum kubernetes_kind kind)
{
    return kube_reflector_status(k->reflectors[kind]);
}

uint64_t kubernetes_skipped(const struct kubernetes *k)
{
    return k->skipped;
}
