"""The kinds of resources that the Canvas's operators work with: the ODA ones from their chart, two more of our own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from api_server import Cluster, ClusterError

Object = dict[str, Any]
ODA = "oda.tmforum.org"
CHART = "charts/oda-crds"


def oda_definitions(source: Path, helm: str, crds: Path | None = None) -> list[Object]:
    """The ODA CRDs, from the checkout's chart or a folder of files. Errors: ClusterError.

    Conversion between their versions is asked of a webhook with a certificate of cert-manager; here only the newest
    version is used, so none is asked.
    """
    if crds is not None:
        text = "\n---\n".join(path.read_text() for path in sorted(crds.glob("*.yaml")))
    else:
        command = [helm, "template", "oda-crds", str(source / CHART), "--set", "global.certificate.appName=none"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"helm template {CHART}: {done.stderr.strip()}")
        text = done.stdout
    found = [document for document in yaml.safe_load_all(text) if document]
    for definition in found:
        definition["metadata"].pop("annotations", None)
        definition["spec"].pop("conversion", None)
    return found


def _open(group: str, version: str, kind: str, spec: Object) -> Object:
    """A definition with a schema of as much as is looked at here; the rest is kept as it is written."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": spec}}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served],
        },
    }


_TEXT: Object = {"type": "string"}
_TEXTS: Object = {"type": "array", "items": _TEXT}
_ANY: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
VIRTUAL_SERVICE = _open(
    "networking.istio.io",
    "v1alpha3",
    "VirtualService",
    {
        "type": "object",
        "required": ["hosts", "gateways", "http"],
        "properties": {"hosts": _TEXTS, "gateways": _TEXTS, "http": {"type": "array", "items": _ANY}},
    },
)
SERVICE_MONITOR = _open(
    "monitoring.coreos.com",
    "v1",
    "ServiceMonitor",
    {
        "type": "object",
        "required": ["selector", "endpoints"],
        "properties": {"selector": _ANY, "endpoints": {"type": "array", "items": _ANY}},
        "x-kubernetes-preserve-unknown-fields": True,
    },
)


def defined(cluster: Cluster, definitions: list[Object]) -> None:
    """Make the kinds, and wait until they are served."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for definition in definitions:
        cluster.post(path, definition)
    names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


def plural_path(kind: str, namespace: str) -> str:
    """Path of a collection of ODA resources."""
    return f"/apis/{ODA}/v1/namespaces/{namespace}/{kind}"
