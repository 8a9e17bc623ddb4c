/* SPDX-License-Identifier: Apache-2.0 */

#include "api/kube/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "net/base64.h"

#include "api/kube/yaml_tree.h"

/* mbedTLS 2.28 cannot match addresses; net/tls does, and every apiserver certificate has this name as well (kubeadm, k3s, the clouds). */
#define IN_CLUSTER_NAME "kubernetes.default.svc"

char *kube_read_file(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes;
    size_t len = 0;

    if (fd < 0) {
        return NULL;
    }
    bytes = mem_alloc(KUBE_FILE_MAX + 1);
    for (;;) {
        ssize_t n = read(fd, bytes + len, KUBE_FILE_MAX + 1 - len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || len + (size_t)n > KUBE_FILE_MAX) {
            int reason = n < 0 ? errno : EFBIG;

            mem_free(bytes);
            errno = reason;
            return NULL;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    bytes[len] = '\0';
    return mem_realloc_array(bytes, len + 1, 1);
}

void kube_config_deinit(struct kube_config *c)
{
    char *texts[] = {c->host_port,       c->server_name, c->authority,  c->path_prefix, c->ca_file,  c->ca_pem,
                     c->certificate_pem, c->key_pem,     c->token_file, c->token,       c->namespace};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        mem_free(texts[i]);
    }
    *c = (struct kube_config){0};
}

static bool PRINTF_LIKE(3, 4) fail(struct kube_config *c, struct text *error, const char *format, ...)
{
    va_list args;
    char sentence[512];

    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    text_printf(error, "%s", sentence);
    kube_config_deinit(c);
    return false;
}

/* --- in a pod --- */

bool kube_config_in_cluster(struct kube_config *c, const char *folder, const char *host, const char *port, struct text *error)
{
    CLEANUP_FREE char *namespace_file = mem_printf("%s/namespace", folder);
    struct addr ip;

    *c = (struct kube_config){0};
    if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0') {
        return fail(c, error, "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    }
    bool is_v6 = addr_parse_ip(str_from(host), &ip) && ip.family == ADDR_V6;

    c->host_port = mem_printf(is_v6 ? "[%s]:%s" : "%s:%s", host, port);
    c->server_name = mem_strdup(IN_CLUSTER_NAME);
    c->authority = mem_strdup(IN_CLUSTER_NAME);
    c->path_prefix = mem_strdup("");
    c->ca_file = mem_printf("%s/ca.crt", folder);
    c->token_file = mem_printf("%s/token", folder);
    c->namespace = kube_read_file(namespace_file);
    if (access(c->ca_file, R_OK) != 0 || access(c->token_file, R_OK) != 0) {
        return fail(c, error, "%s: no service account is mounted there (%s)", folder, strerror(errno));
    }
    if (c->namespace == NULL) {
        c->namespace = mem_strdup("default");
    }
    c->namespace[strcspn(c->namespace, "\r\n")] = '\0';
    return true;
}

/* --- kubeconfig --- */

struct reading {
    struct kube_config *config;
    const char *path;
    struct text *error;
    const struct yaml_node *root;
};

static struct str text_of(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = yaml_get(map, key);

    return node != NULL && node->kind == YAML_SCALAR ? node->text : (struct str){0};
}

static char *copy_of(struct str s)
{
    return s.len > 0 ? mem_copy_string(s.p, s.len) : NULL;
}

/* The entry called `name` of a list of {name, `what`: {…}}; its inner map. */
static const struct yaml_node *named(const struct yaml_node *list, struct str name, const char *what)
{
    for (size_t i = 0; list != NULL && list->kind == YAML_LIST && i < list->count; i++) {
        if (str_eq(text_of(list->items[i], "name"), name)) {
            return yaml_get(list->items[i], what);
        }
    }
    return NULL;
}

/* PEM from KEY-data (base64) or the file KEY; `*ret_pem` stays NULL when there is neither. */
static bool read_pem(struct reading *r, const struct yaml_node *map, const char *data_key, const char *file_key, char **ret_pem)
{
    struct str data = text_of(map, data_key);
    struct str file = text_of(map, file_key);
    const char *slash = strrchr(r->path, '/');
    size_t len;

    if (data.len > 0) {
        *ret_pem = base64_decode(data, &len);
        return *ret_pem != NULL || fail(r->config, r->error, "%s: %s is not base64", r->path, data_key);
    }
    if (file.len == 0) {
        return true;
    }
    int folder_len = file.p[0] == '/' || slash == NULL ? 0 : (int)(slash - r->path + 1);
    CLEANUP_FREE char *path = mem_printf("%.*s%.*s", folder_len, r->path, (int)file.len, file.p);

    *ret_pem = kube_read_file(path);
    return *ret_pem != NULL || fail(r->config, r->error, "%s: %s", path, strerror(errno));
}

/* "https://host:port/prefix" */
static bool read_server(struct reading *r, struct str server)
{
    struct kube_config *c = r->config;
    struct str rest = server;

    if (!str_starts_with(server, STR("https://"))) {
        return fail(c, r->error, "%s: server \"%.*s\" is not https", r->path, (int)server.len, server.p);
    }
    assert(server.p != NULL); /* it begins with something */
    rest.p += 8;
    rest.len -= 8;
    size_t host_len = str_find(rest, '/');
    struct str authority = {rest.p, host_len};
    struct str prefix = {rest.p + host_len, rest.len - host_len};

    while (prefix.len > 0 && prefix.p[prefix.len - 1] == '/') {
        prefix.len--;
    }
    bool is_bracketed = authority.len > 0 && authority.p[0] == '[';
    size_t colon = authority.len;

    for (size_t i = authority.len; i > 0 && authority.p[i - 1] != ']'; i--) {
        if (authority.p[i - 1] == ':') {
            colon = i - 1;
        }
    }
    struct str host = is_bracketed && colon >= 2 ? (struct str){authority.p + 1, colon - 2} : (struct str){authority.p, colon};

    if (host.len == 0) {
        return fail(c, r->error, "%s: server \"%.*s\" names no host", r->path, (int)server.len, server.p);
    }
    c->authority = mem_copy_string(authority.p, authority.len);
    c->host_port = mem_printf("%.*s%s", (int)authority.len, authority.p, colon == authority.len ? ":443" : "");
    c->path_prefix = mem_copy_string(prefix.p, prefix.len);
    if (c->server_name == NULL) {
        c->server_name = mem_copy_string(host.p, host.len);
    }
    return true;
}

static bool read_cluster(struct reading *r, const struct yaml_node *cluster)
{
    if (str_eq(text_of(cluster, "insecure-skip-tls-verify"), STR("true"))) {
        return fail(r->config, r->error, "%s: insecure-skip-tls-verify is not supported: name the certificate authority",
                    r->path);
    }
    r->config->server_name = copy_of(text_of(cluster, "tls-server-name"));
    return read_pem(r, cluster, "certificate-authority-data", "certificate-authority", &r->config->ca_pem) &&
           read_server(r, text_of(cluster, "server"));
}

static bool read_user(struct reading *r, const struct yaml_node *user)
{
    static const char *const unknown[] = {"exec", "auth-provider", "username"};
    struct kube_config *c = r->config;

    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        if (yaml_get(user, unknown[i]) != NULL) {
            return fail(c, r->error, "%s: signing in by %s is not supported: use a client certificate or a token", r->path,
                        unknown[i]);
        }
    }
    c->token = copy_of(text_of(user, "token"));
    c->token_file = copy_of(text_of(user, "tokenFile"));
    return read_pem(r, user, "client-certificate-data", "client-certificate", &c->certificate_pem) &&
           read_pem(r, user, "client-key-data", "client-key", &c->key_pem);
}

static bool read_context(struct reading *r)
{
    struct str name = text_of(r->root, "current-context");
    const struct yaml_node *context = named(yaml_get(r->root, "contexts"), name, "context");
    const struct yaml_node *cluster = named(yaml_get(r->root, "clusters"), text_of(context, "cluster"), "cluster");
    const struct yaml_node *user = named(yaml_get(r->root, "users"), text_of(context, "user"), "user");

    if (context == NULL || cluster == NULL || user == NULL) {
        const char *what = context == NULL ? "current-context" : cluster == NULL ? "its cluster" : "its user";

        return fail(r->config, r->error, "%s: %s is not in the file", r->path, what);
    }
    struct str namespace = text_of(context, "namespace");

    r->config->namespace = namespace.len > 0 ? copy_of(namespace) : mem_strdup("default");
    return read_cluster(r, cluster) && read_user(r, user);
}

bool kube_config_from_file(struct kube_config *c, const char *path, struct text *error)
{
    CLEANUP_FREE char *bytes = kube_read_file(path);
    struct reading r = {.config = c, .path = path, .error = error};
    struct yaml_error yaml_error;
    struct yaml yaml;

    *c = (struct kube_config){0};
    if (bytes == NULL) {
        return fail(c, error, "%s: %s", path, strerror(errno));
    }
    if (!yaml_load(&yaml, str_from(bytes), &yaml_error)) {
        return fail(c, error, "%s:%u: %s", path, yaml_error.line, yaml_error.reason);
    }
    r.root = yaml.count > 0 ? yaml.documents[0] : NULL;
    bool is_ok = read_context(&r);

    yaml_deinit(&yaml);
    return is_ok;
}
