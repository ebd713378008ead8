"""A small Kubernetes API, read only, in which the component of ctk.tests.support.tickets is installed and Complete."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ctk.tests.support.component_judging import written
from ctk.tests.support.serving import Answer, Serving
from ctk.tests.support.tickets import LABELS, NAME, RELEASE, Document, documents

ODA = "/apis/oda.tmforum.org/v1/namespaces/components"
CORE = "/api/v1/namespaces/components"
PLACES = {
    "Service": f"{CORE}/services",
    "ConfigMap": f"{CORE}/configmaps",
    "ServiceAccount": f"{CORE}/serviceaccounts",
    "Deployment": "/apis/apps/v1/namespaces/components/deployments",
    "Job": "/apis/batch/v1/namespaces/components/jobs",
    "Component": f"{ODA}/components",
}
APIS = {
    "troubleticket-v4": "/tmf-api/troubleTicket/v4",
    "troubleticket-v5": "/tmf-api/troubleTicket/v5",
    "agents-v1": "/agents",
    "metrics": "/metrics",
    "partyrole-v4": "/tmf-api/partyRoleManagement/v4",
    "userrolesandpermissions-v5": "/rolesAndPermissionsManagement/v5",
}


class Kubernetes(Serving):
    """`gateway`: the address under which the APIs are published; `told`: what the release was made of."""

    def __init__(
        self, gateway: str, told: dict[str, Document] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.told = told or documents()
        self.token = ""
        self.forbidden: set[str] = set()
        self.seen: list[str] = []
        self.store: dict[str, list[Document]] = {place: [] for place in PLACES.values()}
        for kind, document in self.told.items():
            self.install(kind, json.loads(json.dumps(document)))
        self.operate(gateway)
        super().__init__(tls)

    def install(self, kind: str, document: Document) -> None:
        meta = document["metadata"]
        meta.update(uid=f"uid-{kind}", namespace="components")
        meta.setdefault("annotations", {})["meta.helm.sh/release-name"] = RELEASE
        if kind != "Component":
            meta["ownerReferences"] = [{"kind": "Component", "name": NAME, "uid": "uid-Component"}]
        document.pop("kind")  # the items of a list do not tell it
        self.store[PLACES[kind]].append(document)

    def operate(self, gateway: str) -> None:
        """What the operators of the Canvas write."""
        self.store[f"{ODA}/exposedapis"] = [
            made(name, {"apiStatus": {"url": f"{gateway}/{NAME}{path}"}, "implementation": {"ready": True}})
            for name, path in APIS.items()
        ]
        resolved = {"depapiStatus": {"url": "https://gateway/party"}, "implementation": {"ready": True}}
        self.store[f"{ODA}/dependentapis"] = [made("party-v4", resolved)]
        identity = {"identityConfig": {"identityProvider": "Keycloak", "listenerRegistered": True}}
        self.store[f"{ODA}/identityconfigs"] = [{"metadata": {"name": NAME}, "status": identity}]
        self.store[f"{ODA}/secretsmanagements"] = []
        endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}
        labels = {**LABELS, "kubernetes.io/service-name": f"{NAME}-api"}
        slices = [{"metadata": {"name": f"{NAME}-api-x", "labels": labels}, "endpoints": [endpoint]}]
        self.store["/apis/discovery.k8s.io/v1/namespaces/components/endpointslices"] = slices
        owner = {"kind": "ReplicaSet", "name": f"{NAME}-api-5d", "uid": "uid-rs"}
        pod = {"name": f"{NAME}-api-5d-1", "labels": LABELS, "ownerReferences": [owner]}
        running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.store[f"{CORE}/pods"] = [{"metadata": pod, "status": running}]
        self.component["status"] = {"summary/status": {"deployment_status": "Complete"}}
        self.store[f"{CORE}/secrets"] = [released(self.told, number) for number in (1, 2, 10)]

    @property
    def component(self) -> Any:
        return self.store[PLACES["Component"]][0]

    def of(self, plural: str) -> Any:
        """The objects of a kind."""
        return next(rows for place, rows in self.store.items() if place.endswith(f"/{plural}"))

    def answered(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Answer:
        place, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        self.seen.append(f"{method} {place}")
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {}, {"kind": "Status", "message": "Unauthorized"}
        plural = place.rpartition("/")[2]
        if plural in self.forbidden:
            return 403, {}, {"kind": "Status", "message": f"{plural} is forbidden"}
        if method != "GET" or place not in self.store:
            return 404, {}, {"kind": "Status", "message": "not found"}
        rows = self.store[place]
        for selector in query.get("labelSelector", []):
            for pair in selector.split(","):
                key, _, value = pair.partition("=")
                rows = [r for r in rows if r["metadata"].get("labels", {}).get(key) == value]
        kind = next((k for k, p in PLACES.items() if p == place), plural.removesuffix("s").capitalize())
        version = "oda.tmforum.org/v1" if place.startswith(ODA) else "v1"
        return 200, {}, {"kind": f"{kind}List", "apiVersion": version, "items": rows}


def made(name: str, status: Document) -> Document:
    """A resource that the component operator has made."""
    return {"metadata": {"name": f"{NAME}-{name}", "labels": dict(LABELS)}, "status": status}


def released(told: dict[str, Document], revision: int) -> Document:
    """What Helm keeps of a revision; the hooks apart."""
    hooks = [d for d in told.values() if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    plain = [d for d in told.values() if d not in hooks] if revision == 10 else []
    release = {"manifest": written(plain), "hooks": [{"manifest": written([h])} for h in hooks]}
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    labels = {"owner": "helm", "name": RELEASE, "version": str(revision)}
    data = {"release": base64.b64encode(packed).decode()}
    return {"metadata": {"name": f"sh.helm.release.v1.{RELEASE}.v{revision}", "labels": labels}, "data": data}
