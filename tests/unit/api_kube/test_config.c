/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/kube/config.h"
#include "base/mem.h"
#include "unit.h"

static char folder[64];
static struct kube_config config;
static struct text error;

static void put(const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", folder, name);
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    mem_free(path);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "%s", "/tmp/outrigger-kubeconfig-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    text_init(&error, 1000);
}

static void teardown(void)
{
    static const char *const names[] = {"config", "ca.crt", "token", "namespace"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *path = mem_printf("%s/%s", folder, names[i]);

        unlink(path);
        mem_free(path);
    }
    rmdir(folder);
    kube_config_deinit(&config);
    text_deinit(&error);
}

/* --- in a pod --- */

static void mount_account(void)
{
    put("ca.crt", "CA");
    put("token", "secret\n");
    put("namespace", "mesh\n");
}

START_TEST(in_a_pod_the_service_account_counts)
{
    mount_account();
    ck_assert(kube_config_in_cluster(&config, folder, "10.96.0.1", "443", &error));
    ck_assert_str_eq(config.host_port, "10.96.0.1:443");
    ck_assert_str_eq(config.server_name, "kubernetes.default.svc");
    ck_assert_str_eq(config.namespace, "mesh");
    ck_assert_ptr_nonnull(strstr(config.token_file, "/token"));
    ck_assert_ptr_nonnull(strstr(config.ca_file, "/ca.crt"));
    ck_assert_ptr_null(config.certificate_pem);
}
END_TEST

START_TEST(an_ipv6_address_gets_its_brackets)
{
    mount_account();
    ck_assert(kube_config_in_cluster(&config, folder, "fd00::1", "443", &error));
    ck_assert_str_eq(config.host_port, "[fd00::1]:443");
}
END_TEST

START_TEST(outside_a_pod_it_says_so)
{
    ck_assert(!kube_config_in_cluster(&config, folder, NULL, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.p, "KUBERNETES_SERVICE_HOST"));
}
END_TEST

START_TEST(a_pod_without_an_account_is_told_apart)
{
    ck_assert(!kube_config_in_cluster(&config, folder, "10.96.0.1", "443", &error));
    ck_assert_ptr_nonnull(strstr(error.p, "no service account"));
}
END_TEST

/* --- kubeconfig --- */

static bool load(const char *cluster, const char *user)
{
    char *path = mem_printf("%s/config", folder);
    char *text = mem_printf("apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                            "contexts: [{name: other, context: {}}, {name: c, context: {cluster: k, user: u, namespace: shop}}]\n"
                            "clusters: [{name: k, cluster: {%s}}]\nusers: [{name: u, user: {%s}}]\n",
                            cluster, user);

    put("config", text);
    bool is_ok = kube_config_from_file(&config, path, &error);

    mem_free(path);
    mem_free(text);
    return is_ok;
}

START_TEST(the_current_context_counts)
{
    ck_assert_msg(load("server: 'https://10.0.0.1:6443', certificate-authority-data: Q0E=", "token: secret"), "%s", error.p);
    ck_assert_str_eq(config.host_port, "10.0.0.1:6443");
    ck_assert_str_eq(config.server_name, "10.0.0.1");
    ck_assert_str_eq(config.ca_pem, "CA");
    ck_assert_str_eq(config.token, "secret");
    ck_assert_str_eq(config.namespace, "shop");
}
END_TEST

START_TEST(files_are_relative_to_the_kubeconfig)
{
    put("ca.crt", "CA file");
    ck_assert_msg(load("server: 'https://h', certificate-authority: ca.crt", "token: x"), "%s", error.p);
    ck_assert_str_eq(config.ca_pem, "CA file");
}
END_TEST

START_TEST(a_client_certificate_is_decoded)
{
    ck_assert_msg(
        load("server: 'https://h', certificate-authority-data: Q0E=", "client-certificate-data: Q0VSVA==, client-key-data: S0VZ"),
        "%s", error.p);
    ck_assert_str_eq(config.certificate_pem, "CERT");
    ck_assert_str_eq(config.key_pem, "KEY");
    ck_assert_ptr_null(config.token);
}
END_TEST

/* Server, and what is made of it: address to dial, name of the certificate, prefix of paths. */
static const struct {
    const char *server;
    const char *host_port;
    const char *server_name;
    const char *prefix;
} servers[] = {
    {"https://api.example:6443", "api.example:6443", "api.example", ""},
    {"https://api.example", "api.example:443", "api.example", ""},
    {"https://api.example/", "api.example:443", "api.example", ""},
    {"https://rancher.example/k8s/clusters/c-1/", "rancher.example:443", "rancher.example", "/k8s/clusters/c-1"},
    {"https://[fd00::1]:6443", "[fd00::1]:6443", "fd00::1", ""},
    {"https://[fd00::1]", "[fd00::1]:443", "fd00::1", ""},
};

START_TEST(servers_are_taken_apart)
{
    char *cluster = mem_printf("server: '%s', certificate-authority-data: Q0E=", servers[_i].server);

    ck_assert_msg(load(cluster, "token: x"), "%s", error.p);
    ck_assert_str_eq(config.host_port, servers[_i].host_port);
    ck_assert_str_eq(config.server_name, servers[_i].server_name);
    ck_assert_str_eq(config.path_prefix, servers[_i].prefix);
    mem_free(cluster);
}
END_TEST

START_TEST(the_name_of_the_certificate_can_be_given)
{
    ck_assert(load("server: 'https://10.0.0.1', tls-server-name: kubernetes, certificate-authority-data: Q0E=", "token: x"));
    ck_assert_str_eq(config.server_name, "kubernetes");
}
END_TEST

/* What is refused, and a word of the reason. */
static const struct {
    const char *cluster;
    const char *user;
    const char *reason;
} wrongs[] = {
    {"server: 'http://h'", "token: x", "not https"},
    {"server: 'https://'", "token: x", "names no host"},
    {"server: 'https://h', insecure-skip-tls-verify: true", "token: x", "insecure-skip-tls-verify"},
    {"server: 'https://h', certificate-authority-data: '%%'", "token: x", "not base64"},
    {"server: 'https://h', certificate-authority: missing.crt", "token: x", "missing.crt"},
    {"server: 'https://h'", "exec: {command: aws}", "exec"},
    {"server: 'https://h'", "auth-provider: {name: gcp}", "auth-provider"},
    {"server: 'https://h'", "username: admin, password: x", "username"},
};

START_TEST(what_is_not_supported_is_named)
{
    ck_assert(!load(wrongs[_i].cluster, wrongs[_i].user));
    ck_assert_msg(strstr(error.p, wrongs[_i].reason) != NULL, "%s", error.p);
    ck_assert_ptr_null(config.host_port);
}
END_TEST

START_TEST(a_context_that_is_not_there_is_named)
{
    char *path = mem_printf("%s/config", folder);

    put("config", "current-context: nowhere\n");
    ck_assert(!kube_config_from_file(&config, path, &error));
    ck_assert_ptr_nonnull(strstr(error.p, "current-context"));
    mem_free(path);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
{
    ck_assert(!kube_config_from_file(&config, "/nonexistent/kubeconfig", &error));
    ck_assert_ptr_nonnull(strstr(error.p, "/nonexistent/kubeconfig: No such file"));
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("config");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, in_a_pod_the_service_account_counts);
    tcase_add_test(t, an_ipv6_address_gets_its_brackets);
    tcase_add_test(t, outside_a_pod_it_says_so);
    tcase_add_test(t, a_pod_without_an_account_is_told_apart);
    tcase_add_test(t, the_current_context_counts);
    tcase_add_test(t, files_are_relative_to_the_kubeconfig);
    tcase_add_test(t, a_client_certificate_is_decoded);
    tcase_add_loop_test(t, servers_are_taken_apart, 0, (int)ARRAY_LEN(servers));
    tcase_add_test(t, the_name_of_the_certificate_can_be_given);
    tcase_add_loop_test(t, what_is_not_supported_is_named, 0, (int)ARRAY_LEN(wrongs));
    tcase_add_test(t, a_context_that_is_not_there_is_named);
    tcase_add_test(t, a_file_that_is_not_there_is_named);
    return unit_run("config", t, NULL);
}
