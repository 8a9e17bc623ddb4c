/* SPDX-License-Identifier: Apache-2.0 */

/* A manifest file: whatever it holds, it is objects that the model takes, or an error with a reason. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/model/model.h"
#include "api/source/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_all(struct model *model, const struct manifest *m)
{
    for (size_t i = 0; i < m->service_count; i++) {
        assert(model_put_service(model, service_ref(m->services[i])));
    }
    for (size_t i = 0; i < m->slice_count; i++) {
        assert(model_put_slice(model, slice_ref(m->slices[i])));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model *model = model_new();
    struct manifest m;

    if (manifest_parse(&m, (struct str){(const char *)data, size})) {
        put_all(model, &m);
    } else {
        assert(m.error.reason[0] != '\0');
        assert(m.service_count == 0 && m.slice_count == 0);
    }
    struct world *w = model_commit(model);

    world_unref(&w);
    manifest_deinit(&m);
    model_free(model);
    return 0;
}
