/* SPDX-License-Identifier: Apache-2.0 */

/* Each field of Service and EndpointSlice, and each way to get it wrong. */

#include <stdio.h>
#include <string.h>

#include "api/source/parse.h"
#include "unit.h"

static struct manifest m;
static char yaml[4096];

static void teardown(void)
{
    manifest_deinit(&m);
}

/* A Service "checkout" whose spec has one good port and these lines. */
static bool parse_service(const char *spec)
{
    snprintf(yaml, sizeof yaml,
             "apiVersion: v1\nkind: Service\nmetadata: {name: checkout, namespace: shop}\nspec:\n  ports: [{port: 80}]\n%s\n",
             spec);
    return manifest_parse(&m, str_from(yaml));
}

static const struct service *service(const char *spec)
{
    ck_assert_msg(parse_service(spec), "line %u: %s", m.error.line, m.error.reason);
    ck_assert_uint_eq(m.service_count, 1);
    return m.services[0];
}

/* A slice of "checkout" with one good port, one endpoint with these fields, and these lines. */
static bool parse_slice(const char *endpoint, const char *lines)
{
    snprintf(yaml, sizeof yaml,
             "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
             "metadata: {name: checkout-a, namespace: shop, labels: {kubernetes.io/service-name: checkout}}\n"
             "addressType: IPv4\nports: [{port: 8080}]\nendpoints:\n- {addresses: [10.1.0.1], %s}\n%s\n",
             endpoint, lines);
    return manifest_parse(&m, str_from(yaml));
}

static const struct slice *slice(const char *endpoint, const char *lines)
{
    ck_assert_msg(parse_slice(endpoint, lines), "line %u: %s", m.error.line, m.error.reason);
    ck_assert_uint_eq(m.slice_count, 1);
    return m.slices[0];
}

static bool has_address(const struct service *s, const char *ip, enum service_address_kind kind)
{
    struct addr wanted;

    ck_assert(addr_parse_ip(str_from(ip), &wanted));
    for (size_t i = 0; i < s->address_count; i++) {
        if (addr_eq_ip(&s->addresses[i].ip, &wanted)) {
            return s->addresses[i].kind == kind;
        }
    }
    return false;
}

START_TEST(service_has_its_name_and_namespace)
{
    const struct service *s = service("");

    ck_assert_str_eq(s->name, "checkout");
    ck_assert_str_eq(s->namespace, "shop");
}
END_TEST

START_TEST(namespace_is_default_when_absent)
{
    ck_assert(manifest_parse(&m, STR("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}}")));
    ck_assert_str_eq(m.services[0]->namespace, "default");
}
END_TEST

START_TEST(service_port_has_name_number_and_protocol)
{
    const struct service *s = service("  ports: [{name: grpc, port: 50051, targetPort: web, appProtocol: kubernetes.io/h2c}]");

    ck_assert_uint_eq(s->port_count, 1);
    ck_assert_str_eq(s->ports[0].name, "grpc");
    ck_assert_uint_eq(s->ports[0].number, 50051);
    ck_assert_str_eq(s->ports[0].app_protocol, "kubernetes.io/h2c");
}
END_TEST

START_TEST(service_ports_other_than_tcp_are_left_out)
{
    const struct service *s =
        service("  ports: [{name: a, port: 53, protocol: UDP}, {name: b, port: 53}, {name: c, port: 5, protocol: SCTP}]");

    ck_assert_uint_eq(s->port_count, 1);
    ck_assert_str_eq(s->ports[0].name, "b");
}
END_TEST

START_TEST(service_has_both_cluster_ips)
{
    const struct service *s = service("  clusterIP: 10.96.0.10\n  clusterIPs: [10.96.0.10, 'fd00::a']");

    ck_assert_uint_eq(s->address_count, 2);
    ck_assert(has_address(s, "10.96.0.10", ADDRESS_CLUSTER_IP));
    ck_assert(has_address(s, "fd00::a", ADDRESS_CLUSTER_IP));
}
END_TEST

START_TEST(service_has_its_external_ips)
{
    ck_assert(has_address(service("  externalIPs: [192.0.2.7]"), "192.0.2.7", ADDRESS_EXTERNAL));
}
END_TEST

START_TEST(service_has_its_load_balancer_ips)
{
    const struct service *s =
        service("  type: LoadBalancer\nstatus: {loadBalancer: {ingress: [{hostname: x.example}, {ip: 192.0.2.8}]}}");

    ck_assert_uint_eq(s->address_count, 1);
    ck_assert(has_address(s, "192.0.2.8", ADDRESS_LOAD_BALANCER));
}
END_TEST

START_TEST(service_without_a_cluster_ip_has_no_address)
{
    const struct service *s = service("");

    ck_assert_int_eq(s->type, SERVICE_CLUSTER_IP);
    ck_assert_uint_eq(s->address_count, 0);
}
END_TEST

START_TEST(cluster_ip_none_is_headless)
{
    const struct service *s = service("  clusterIP: None\n  clusterIPs: [None]");

    ck_assert_int_eq(s->type, SERVICE_HEADLESS);
    ck_assert_uint_eq(s->address_count, 0);
}
END_TEST

START_TEST(headless_service_may_have_no_ports)
{
    ck_assert_uint_eq(service("  clusterIP: None\n  ports: []")->port_count, 0);
}
END_TEST

START_TEST(external_name_is_external)
{
    ck_assert_int_eq(service("  type: ExternalName\n  externalName: example.org")->type, SERVICE_EXTERNAL);
}
END_TEST

START_TEST(node_port_service_is_a_cluster_ip_service)
{
    ck_assert_int_eq(service("  type: NodePort")->type, SERVICE_CLUSTER_IP);
}
END_TEST

START_TEST(session_affinity_is_read)
{
    ck_assert(service("  sessionAffinity: ClientIP")->has_client_affinity);
    manifest_deinit(&m);
    ck_assert(!service("  sessionAffinity: None")->has_client_affinity);
}
END_TEST

START_TEST(internal_traffic_policy_is_read)
{
    ck_assert(service("  internalTrafficPolicy: Local")->is_local_only);
    manifest_deinit(&m);
    ck_assert(!service("  internalTrafficPolicy: Cluster")->is_local_only);
}
END_TEST

START_TEST(publish_not_ready_addresses_is_read)
{
    ck_assert(service("  publishNotReadyAddresses: true")->publishes_not_ready);
}
END_TEST

START_TEST(first_of_the_ip_families_is_primary)
{
    ck_assert_int_eq(service("  clusterIP: 10.96.0.10\n  ipFamilies: [IPv6, IPv4]")->primary_family, ADDR_V6);
}
END_TEST

START_TEST(family_of_the_cluster_ip_is_primary_otherwise)
{
    ck_assert_int_eq(service("  clusterIP: 'fd00::a'")->primary_family, ADDR_V6);
}
END_TEST

START_TEST(slice_has_its_names_and_ports)
{
    const struct slice *s = slice("", "ports: [{name: grpc, port: 8080}, {name: dns, port: 53, protocol: UDP}, {name: all}]");

    ck_assert_str_eq(s->name, "checkout-a");
    ck_assert_str_eq(s->namespace, "shop");
    ck_assert_str_eq(s->service, "checkout");
    ck_assert_uint_eq(s->port_count, 1);
    ck_assert_uint_eq(s->ports[0].number, 8080);
}
END_TEST

START_TEST(endpoint_has_its_pod_node_and_zone)
{
    const struct slice_endpoint *e =
        &slice("targetRef: {kind: Pod, name: checkout-1, uid: 0a-1b}, nodeName: n1, zone: z1", "")->endpoints[0];

    ck_assert_str_eq(e->pod, "checkout-1");
    ck_assert_str_eq(e->uid, "0a-1b");
    ck_assert_str_eq(e->node, "n1");
    ck_assert_str_eq(e->zone, "z1");
}
END_TEST

START_TEST(endpoint_that_is_no_pod_has_no_pod)
{
    ck_assert_str_eq(slice("targetRef: {kind: VirtualMachine, name: x, uid: y}", "")->endpoints[0].pod, "");
}
END_TEST

static const struct {
    const char *text;
    bool is_ready, is_serving, is_terminating;
} conditions[] = {
    {"", true, true, false},
    {"conditions: {}", true, true, false},
    {"conditions: {ready: null, serving: null, terminating: null}", true, true, false},
    {"conditions: {ready: true}", true, true, false},
    {"conditions: {ready: false}", false, true, false},
    {"conditions: {ready: false, serving: false}", false, false, false},
    {"conditions: {ready: false, serving: true, terminating: true}", false, true, true},
};

START_TEST(conditions_are_read)
{
    const struct slice_endpoint *e = &slice(conditions[_i].text, "")->endpoints[0];

    ck_assert_msg(e->is_ready == conditions[_i].is_ready && e->is_serving == conditions[_i].is_serving &&
                      e->is_terminating == conditions[_i].is_terminating,
                  "%s", conditions[_i].text);
}
END_TEST

START_TEST(endpoint_with_several_addresses_has_the_first)
{
    const struct slice *s = slice("addresses: [10.1.0.7, 10.1.0.8]", "");
    struct addr first;

    ck_assert(addr_parse_ip(STR("10.1.0.7"), &first));
    ck_assert_uint_eq(s->endpoint_count, 1);
    ck_assert(addr_eq(&s->endpoints[0].ip, &first));
}
END_TEST

START_TEST(fqdn_slice_has_no_endpoints)
{
    ck_assert_uint_eq(slice("addresses: [x.example]", "addressType: FQDN")->endpoint_count, 0);
}
END_TEST

START_TEST(slice_without_a_service_is_named_and_left_alone)
{
    ck_assert(manifest_parse(
        &m,
        STR("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, endpoints: []}")));
    ck_assert_uint_eq(m.slice_count, 0);
    ck_assert_uint_eq(m.other_count, 1);
}
END_TEST

static const struct {
    const char *spec;
    const char *reason;
    unsigned line;
} wrong_services[] = {
    {"  ports: 80", "ports is not a list", 6},
    {"  ports: [80]", "a port is not a mapping", 6},
    {"  ports:\n  - name: a", "a port has no number", 7},
    {"  ports: [{port: 0}]", "port is not a port", 6},
    {"  ports: [{port: 65536}]", "port is not a port", 6},
    {"  ports: [{port: web}]", "port is not a port", 6},
    {"  ports: [{port: 80}, {port: 80}]", "port 80 appears twice", 6},
    {"  ports: [{port: 80, protocol: ICMP}]", "protocol \"ICMP\" is unknown", 6},
    {"  ports: [{port: 80, name: A_b}]", "is not a DNS label", 6},
    {"  ports: [{port: 80, appProtocol: 'a b'}]", "visible ASCII", 6},
    {"  ports: null", "spec.ports is missing", 0},
    {"  clusterIP: 10.96.0", "is not an IP address", 6},
    {"  clusterIP: [10.96.0.1]", "clusterIP is not a text", 6},
    {"  clusterIP: 10.96.0.1\n  clusterIPs: [x]", "is not an IP address", 7},
    {"  externalIPs: [[]]", "an address is not a text", 6},
    {"  type: Foo", "type \"Foo\" is unknown", 6},
    {"  sessionAffinity: Yes", "sessionAffinity \"Yes\" is unknown", 6},
    {"  internalTrafficPolicy: local", "internalTrafficPolicy \"local\" is unknown", 6},
    {"  publishNotReadyAddresses: maybe", "neither true nor false", 6},
    {"  publishNotReadyAddresses: 'true'", "neither true nor false", 6},
    {"  ipFamilies: [IPv5]", "neither IPv4 nor IPv6", 6},
    {"status: []", "status is not a mapping", 6},
    {"status: {loadBalancer: {ingress: [{ip: x}]}}", "is not an IP address", 6},
    {"metadata: {name: ''}", "metadata.name is missing", 6},
    {"metadata: {name: 'a/b'}", "is not a DNS label", 6},
    {"metadata: {name: a.b}", "is not a DNS label", 6},
    {"metadata: {name: -a}", "is not a DNS label", 6},
    {"metadata: {name: a, namespace: 'b:c'}", "is not a DNS label", 6},
    {"metadata: {name: \"a\\0b\"}", "visible ASCII", 6},
    {"metadata: checkout", "metadata is not a mapping", 6},
    {"spec: {}", "spec.ports is missing", 6},
    {"spec: null", "spec is missing", 1},
};

START_TEST(wrong_service_is_refused_with_line_and_reason)
{
    ck_assert_msg(!parse_service(wrong_services[_i].spec), "accepted %s", wrong_services[_i].spec);
    ck_assert_msg(strstr(m.error.reason, wrong_services[_i].reason) != NULL, "%s: %s", wrong_services[_i].spec, m.error.reason);
    if (wrong_services[_i].line > 0) {
        ck_assert_uint_eq(m.error.line, wrong_services[_i].line);
    }
}
END_TEST

START_TEST(reason_names_the_object)
{
    ck_assert(!parse_service("  type: Foo"));
    ck_assert_str_eq(m.error.reason, "Service checkout: type \"Foo\" is unknown");
}
END_TEST

static const struct {
    const char *endpoint, *lines, *reason;
} wrong_slices[] = {
    {"", "addressType: IPv5", "addressType \"IPv5\" is unknown"},
    {"", "addressType: null", "addressType is missing"},
    {"", "addressType: IPv6", "an address is not IPv6"},
    {"", "endpoints: {}", "endpoints is not a list"},
    {"", "endpoints: [x]", "an endpoint is not a mapping"},
    {"", "endpoints: [{}]", "an endpoint has no address"},
    {"addresses: []", "", "an endpoint has no address"},
    {"addresses: [10.1.0]", "", "is not an IP address"},
    {"conditions: {ready: 1}", "", "ready is neither true nor false"},
    {"conditions: []", "", "conditions is not a mapping"},
    {"nodeName: {}", "", "nodeName is not a text"},
    {"zone: \"a\\u00e9\"", "", "visible ASCII"},
    {"targetRef: x", "", "targetRef is not a mapping"},
    {"", "ports: [{port: x}]", "is not a port"},
    {"", "metadata: {name: a, labels: {kubernetes.io/service-name: A}}", "is not a DNS label"},
};

START_TEST(wrong_slice_is_refused_with_a_reason)
{
    ck_assert_msg(!parse_slice(wrong_slices[_i].endpoint, wrong_slices[_i].lines), "accepted %d", _i);
    ck_assert_msg(strstr(m.error.reason, wrong_slices[_i].reason) != NULL, "%s", m.error.reason);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {service_has_its_name_and_namespace,
                                  namespace_is_default_when_absent,
                                  service_port_has_name_number_and_protocol,
                                  service_ports_other_than_tcp_are_left_out,
                                  service_has_both_cluster_ips,
                                  service_has_its_external_ips,
                                  service_has_its_load_balancer_ips,
                                  service_without_a_cluster_ip_has_no_address,
                                  cluster_ip_none_is_headless,
                                  headless_service_may_have_no_ports,
                                  external_name_is_external,
                                  node_port_service_is_a_cluster_ip_service,
                                  session_affinity_is_read,
                                  internal_traffic_policy_is_read,
                                  publish_not_ready_addresses_is_read,
                                  first_of_the_ip_families_is_primary,
                                  family_of_the_cluster_ip_is_primary_otherwise,
                                  slice_has_its_names_and_ports,
                                  endpoint_has_its_pod_node_and_zone,
                                  endpoint_that_is_no_pod_has_no_pod,
                                  endpoint_with_several_addresses_has_the_first,
                                  fqdn_slice_has_no_endpoints,
                                  slice_without_a_service_is_named_and_left_alone,
                                  reason_names_the_object};
    TCase *loops = unit_case("loops", NULL, teardown, NULL, 0);

    tcase_add_loop_test(loops, conditions_are_read, 0, ARRAY_LEN(conditions));
    tcase_add_loop_test(loops, wrong_service_is_refused_with_line_and_reason, 0, ARRAY_LEN(wrong_services));
    tcase_add_loop_test(loops, wrong_slice_is_refused_with_a_reason, 0, ARRAY_LEN(wrong_slices));
    return unit_run("objects", unit_case("objects", NULL, teardown, tests, ARRAY_LEN(tests)), loops, (TCase *)NULL);
}
