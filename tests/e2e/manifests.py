# SPDX-License-Identifier: Apache-2.0
"""Kubernetes manifests for outrigger-api, written as an operator's tools would: whole files, replaced atomically."""
import os


def service_yaml(name, namespace, cluster_ips, port, target_port, extra=""):
    ips = "".join(f"    - {ip!r}\n" for ip in cluster_ips).replace("'", '"')
    return (f"apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n"
            f"  clusterIP: \"{cluster_ips[0]}\"\n  clusterIPs:\n{ips}"
            f"  ports:\n    - name: grpc\n      port: {port}\n      protocol: TCP\n      targetPort: {target_port}\n{extra}")


def endpoint_yaml(pod_name, namespace, ip, condition):
    is_ready = "true" if condition == "ready" else "false"
    is_serving = "false" if condition == "unready" else "true"
    is_terminating = "true" if condition == "terminating" else "false"
    return (f"  - addresses: [\"{ip}\"]\n"
            f"    conditions: {{ready: {is_ready}, serving: {is_serving}, terminating: {is_terminating}}}\n"
            f"    targetRef: {{kind: Pod, name: {pod_name}, namespace: {namespace}, uid: uid-{pod_name}}}\n")


def slice_yaml(service, namespace, family, port, endpoints):
    """endpoints: [(pod name, address, condition)], condition being ready, terminating or unready."""
    body = "".join(endpoint_yaml(name, namespace, ip, condition) for name, ip, condition in endpoints)
    return (f"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {service}-{family.lower()}\n"
            f"  namespace: {namespace}\n  labels:\n    kubernetes.io/service-name: {service}\naddressType: {family}\n"
            f"ports:\n  - name: grpc\n    port: {port}\n    protocol: TCP\nendpoints:" + (f"\n{body}" if body else " []\n"))


class Manifests:
    """A folder that outrigger-api watches."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o755)

    def write(self, name, text):
        new = os.path.join(self.path, f".{name}.new")
        with open(new, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(new, 0o644)
        os.rename(new, os.path.join(self.path, name))

    def remove(self, name):
        os.unlink(os.path.join(self.path, name))
