/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the Kubernetes API is, whom to trust there, and who we are: from the pod's service account, or from a kubeconfig file.
 *
 * Owner:   embedded; owns its texts.
 * Threads: any.
 * Errors:  false, with a sentence. Ways of signing in that are not known here (exec, auth-provider, password) and
 *          insecure-skip-tls-verify are refused by name.
 * Limits:  KUBE_FILE_MAX bytes a file.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/container.h"
#include "base/str.h"

#define KUBE_FILE_MAX ((size_t)1024 * 1024)

/* Where the kubelet mounts the service account. */
#define KUBE_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_config {
    char *host_port;   /* to dial: "10.96.0.1:443", "[fd00::1]:443", "name:6443" */
    char *server_name; /* that the server's certificate must be for */
    char *authority;   /* of requests */
    char *path_prefix; /* of a server behind a path; "" otherwise */
    char *ca_file;     /* read again for each connection; NULL: ca_pem */
    char *ca_pem;
    char *certificate_pem; /* NULL: no client certificate */
    char *key_pem;
    char *token_file; /* read again as it is rotated; NULL: token */
    char *token;      /* NULL: none */
    char *namespace;  /* our own; "default" if nothing says otherwise */
};

/* `folder` is KUBE_SERVICE_ACCOUNT; host and port are $KUBERNETES_SERVICE_HOST and _PORT (NULL: not set). */
bool kube_config_in_cluster(struct kube_config *c, const char *folder, const char *host, const char *port,
                            struct text *error) MUST_CHECK;

/* The file's current context. Files that it names are relative to its own folder. */
bool kube_config_from_file(struct kube_config *c, const char *path, struct text *error) MUST_CHECK;

void kube_config_deinit(struct kube_config *c);

/* A whole file, NUL-terminated, the caller's (mem_free); NULL with errno when it cannot be read or is larger than KUBE_FILE_MAX. */
char *kube_read_file(const char *path);
