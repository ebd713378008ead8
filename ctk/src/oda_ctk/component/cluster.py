"""The Kubernetes API, read only: the Component of a release, what the Canvas made of it, and what was installed."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from oda_ctk.component.kubeconfig import Access, NoCluster
from oda_ctk.component.manifest import GROUP, LABEL, BadManifest, Document, Manifest, mapping, read, text
from oda_ctk.exchange import Exchange

ODA = f"/apis/{GROUP}/v1"
RELEASE_OF = "meta.helm.sh/release-name"
KINDS = {
    "/api/v1": ("services", "configmaps", "serviceaccounts", "persistentvolumeclaims", "pods"),
    "/apis/apps/v1": ("deployments", "statefulsets", "daemonsets", "replicasets"),
    "/apis/batch/v1": ("jobs", "cronjobs"),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/networking.k8s.io/v1": ("ingresses", "networkpolicies"),
    "/apis/rbac.authorization.k8s.io/v1": ("roles", "rolebindings"),
}
"""What is read where the release itself cannot be: the kinds that a chart of a component is made of."""


@dataclass
class Cluster:
    """A client; every answer is kept for the report."""

    access: Access
    namespace: str
    timeout_s: float = 30.0
    watch: Callable[[Exchange], None] = lambda exchange: None
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._client = httpx.Client(
            base_url=self.access.server,
            headers={"accept": "application/json", **self.access.headers},
            auth=self.access.basic,
            verify=self.access.verify,
            timeout=self.timeout_s,
        )

    def get(self, path: str, **query: str) -> Exchange:
        """GET; NoCluster where nobody answers."""
        extensions = {"sni_hostname": self.access.server_name} if self.access.server_name else {}
        try:
            answer = self._client.get(path, params=query, extensions=extensions)
        except httpx.HTTPError as fault:
            raise NoCluster(f"{self.access.server} does not answer: {type(fault).__name__}: {fault}") from fault
        took_s = answer.elapsed.total_seconds()
        exchange = Exchange("GET", str(answer.url), {}, b"", answer.status_code, answer.headers, answer.content, took_s)
        self.exchanges.append(exchange)
        return exchange

    def rows(self, prefix: str, plural: str, **query: str) -> list[dict[str, Any]]:
        """The objects of a kind in the namespace; none where they may not be read or do not exist."""
        answer = self.get(f"{prefix}/namespaces/{self.namespace}/{plural}", **query)
        if answer.status in (403, 404):
            return []
        return _rows(self._well(answer), plural)

    def _well(self, answer: Exchange) -> Exchange:
        if not answer.ok:
            raise NoCluster(f"{answer.told()}: {answer.document.get('message') or answer.text[:300]}")
        return answer

    def component(self, release: str) -> Document:
        """The Component that a release has installed: by its Helm annotation, else by its name."""
        plural = f"{ODA}/namespaces/{self.namespace}/components"
        rows = [Document(row, "cluster") for row in _rows(self._well(self.get(plural)), "components")]
        named = [d for d in rows if d.name == release]
        by_helm = [d for d in rows if d.annotations.get(RELEASE_OF) == release]
        by_name = [d for d in rows if d.name.startswith(f"{release}-")]
        hits = by_helm or named or by_name
        if len(hits) == 1:
            return hits[0]
        told = ", ".join(d.name for d in hits or rows) or "none"
        many = "several Components" if hits else "no Component"
        raise NoCluster(f"{many} of release {release} in namespace {self.namespace}; there are: {told}")

    def close(self) -> None:
        self._client.close()


def _rows(answer: Exchange, plural: str) -> list[dict[str, Any]]:
    """The items of a list, each with its kind, which a list tells only once."""
    listed = answer.document
    kind = text(listed.get("kind")).removesuffix("List")
    rows = listed.get("items") if isinstance(listed.get("items"), list) else []
    return [
        {"kind": kind, "apiVersion": listed.get("apiVersion"), **row} for row in rows or [] if isinstance(row, dict)
    ]


@dataclass
class Live:
    """What the cluster says of one Component."""

    cluster: Cluster
    component: Document
    exposed: list[Document]
    dependent: list[Document]
    identity: list[Document]
    secrets: list[Document]
    slices: list[Document]
    objects: list[Document]

    @property
    def status(self) -> dict[str, Any]:
        return mapping(self.component.data.get("status"))

    @property
    def deployment_status(self) -> str:
        """The word of the summary, "" before the component operator has written one."""
        return text(mapping(self.status.get("summary/status")).get("deployment_status"))

    def exposed_api(self, name: str) -> Document | None:
        return next((d for d in self.exposed if d.name == name), None)

    def urls(self) -> dict[str, str]:
        """Addresses of the exposed APIs by what their names have more than the Component's."""
        told = {d.name: text(mapping(status(d).get("apiStatus")).get("url")) for d in self.exposed}
        return {name.removeprefix(f"{self.component.name}-"): url for name, url in told.items() if url}


def status(document: Document) -> dict[str, Any]:
    return mapping(document.data.get("status"))


def ready(document: Document) -> bool:
    """Whether an operator has marked a resource of the Canvas as done."""
    return mapping(status(document).get("implementation")).get("ready") is True


def read_live(cluster: Cluster, release: str) -> tuple[Live, Manifest]:
    """The Component of a release and its resources, and the manifest that was installed."""
    component = cluster.component(release)

    def own(prefix: str, plural: str) -> list[Document]:
        rows = [Document(row, "cluster") for row in cluster.rows(prefix, plural)]
        return [d for d in rows if _belongs(d, component, release)]

    objects = [d for prefix, plurals in KINDS.items() for plural in plurals for d in own(prefix, plural)]
    live = Live(
        cluster,
        component,
        exposed=own(ODA, "exposedapis"),
        dependent=own(ODA, "dependentapis"),
        identity=own(ODA, "identityconfigs"),
        secrets=own(ODA, "secretsmanagements"),
        slices=[Document(row, "cluster") for row in cluster.rows("/apis/discovery.k8s.io/v1", "endpointslices")],
        objects=objects,
    )
    installed = _installed(cluster, release)
    if installed is None:
        made = [d for d in objects if not _made_by_another(d, component)]
        source = f"what the cluster holds of release {release}"
        return live, Manifest([component, *made], source, release)
    return live, Manifest(installed, f"release {release} in namespace {cluster.namespace}", release)


def _belongs(document: Document, component: Document, release: str) -> bool:
    return (
        document.labels.get(LABEL) == component.name
        or document.annotations.get(RELEASE_OF) == release
        or any(o.get("uid") == component.metadata.get("uid") for o in _owners(document) if o.get("uid"))
        or (document.api_version.startswith(GROUP) and document.name.startswith(f"{component.name}-"))
        or document.name == component.name
    )


def _owners(document: Document) -> list[Mapping[str, Any]]:
    return [mapping(o) for o in document.metadata.get("ownerReferences") or []]


def _made_by_another(document: Document, component: Document) -> bool:
    """Pods of a ReplicaSet, a ReplicaSet of a Deployment: not of the chart."""
    return any(o.get("kind") != "Component" for o in _owners(document)) or (
        document.kind == "PodDisruptionBudget"
        and (document.name.endswith("-pdb") and RELEASE_OF not in document.annotations)
    )


def _installed(cluster: Cluster, release: str) -> list[Document] | None:
    """The manifest that Helm keeps in the Secret of the newest revision, hooks included."""
    rows = cluster.rows("/api/v1", "secrets", labelSelector=f"owner=helm,name={release}")
    kept = [d for row in rows if (d := Document(row)).name.startswith(f"sh.helm.release.v1.{release}.v")]
    cluster.exchanges = [e for e in cluster.exchanges if "/secrets" not in e.path]  # values are nobody's business
    if not kept:
        return None
    newest = max(kept, key=lambda d: int(d.name.rpartition(".v")[2] or 0))
    try:
        packed = base64.b64decode(base64.b64decode(mapping(newest.data.get("data"))["release"]))
        told = json.loads(gzip.decompress(packed))
        parts = [told["manifest"], *(hook["manifest"] for hook in told.get("hooks") or [])]
        return [d for part in parts for d in read(part, f"release {release}")]
    except (KeyError, ValueError, TypeError, OSError, EOFError, zlib.error, BadManifest) as fault:
        raise NoCluster(f"the release {release} that Helm keeps is not understood: {fault}") from fault
