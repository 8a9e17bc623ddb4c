/* SPDX-License-Identifier: Apache-2.0 */

#include "api/source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static int start_manifests(struct source *s, struct loop *l, const char *folder, struct model *model,
                           void (*on_change)(void *ctx), void *ctx)
{
    s->name = mem_strdup(folder);
    s->manifests = manifests_new(l, folder, model, on_change, ctx);
    int error = manifests_start(s->manifests);

    if (error < 0) {
        log_error(LOG_SOURCE, NULL, "%s: %s", folder, strerror(-error));
    }
    return error;
}

static int start_kubernetes(struct source *s, struct loop *l, const char *kubeconfig, struct model *model,
                            void (*on_change)(void *ctx), void *ctx)
{
    struct kube_config config;
    struct text error;
    bool is_ok;

    text_init(&error, 1000);
    if (kubeconfig[0] != '\0') {
        is_ok = kube_config_from_file(&config, kubeconfig, &error);
    } else {
        is_ok = kube_config_in_cluster(&config, KUBE_SERVICE_ACCOUNT, getenv("KUBERNETES_SERVICE_HOST"),
                                       getenv("KUBERNETES_SERVICE_PORT"), &error);
    }
    if (is_ok) {
        s->name = mem_printf("https://%s", config.host_port);
        s->client = kube_client_new(l, &config);
        s->kubernetes = kubernetes_new(s->client, model, on_change, ctx);
    } else {
        log_error(LOG_SOURCE, NULL, "%s%s", error.p,
                  kubeconfig[0] == '\0' ? "; outside a cluster, set --kubeconfig or --manifests" : "");
    }
    text_deinit(&error);
    return is_ok ? 0 : -EINVAL;
}

int source_start(struct source *s, struct loop *l, const struct source_options *options, struct model *model,
                 void (*on_change)(void *ctx), void *ctx)
{
    *s = (struct source){.is_complete = options->manifests[0] != '\0'};
    return s->is_complete ? start_manifests(s, l, options->manifests, model, on_change, ctx)
                          : start_kubernetes(s, l, options->kubeconfig, model, on_change, ctx);
}

void source_stop(struct source *s)
{
    manifests_free(s->manifests);
    kubernetes_free(s->kubernetes);
    kube_client_close(&s->client);
    mem_free(s->name);
    *s = (struct source){0};
}
