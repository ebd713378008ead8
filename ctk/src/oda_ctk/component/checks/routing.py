"""From a path at the gateway to a container: paths, Services, ports, and the pods behind them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from oda_ctk.check import MUST, SHOULD
from oda_ctk.component.case import API_OPERATOR, CONFIGURING, USE_CASE, Case, check
from oda_ctk.component.manifest import mapping, numbered, text
from oda_ctk.component.piece import Found


@check("component.api.path", MUST, f"{API_OPERATOR}: all components share gateway and host, a path is taken once")
def path(case: Case) -> Iterator[Found]:
    """The path of every exposed API starts with / and the name of the Component."""
    for api in case.manifest.exposed:
        if api.base and api.base != f"/{case.name}" and not api.base.startswith(f"/{case.name}/"):
            shown = case.component.piece(api.path, api.fields)
            yield Found(f"{api.base} of {api.label} does not start with /{case.name}/", (shown,))


@check(
    "component.api.path.unique", MUST, f"{API_OPERATOR}: a second route of the same path is refused", hang=CONFIGURING
)
def unique(case: Case) -> Iterator[Found]:
    """No two exposed APIs have the same path."""
    for one, other in combinations(case.manifest.exposed, 2):
        if one.base and one.base.rstrip("/") == other.base.rstrip("/"):
            shown = tuple(case.component.piece(a.path, a.fields) for a in (one, other))
            yield Found(f"{one.label} and {other.label} have both {one.base}", shown)


@check("component.api.path.prefix", MUST, f"{API_OPERATOR}: routes match by the beginning of the path, not by segments")
def prefix(case: Case) -> Iterator[Found]:
    """No path of an exposed API is the beginning of another."""
    for pair in combinations(case.manifest.exposed, 2):
        one, other = sorted(pair, key=lambda a: len(a.base))
        same = one.base.rstrip("/") == other.base.rstrip("/")
        if one.base.strip("/") and not same and other.base.startswith(one.base):
            shown = tuple(case.component.piece(a.path, a.fields) for a in (one, other))
            yield Found(f"{one.base} of {one.label} catches {other.base} of {other.label}, too", shown)


@check(
    "component.api.service",
    MUST,
    f"{API_OPERATOR}: routes to the Service that implementation names and waits for its endpoints",
    hang=CONFIGURING,
)
def service(case: Case) -> Iterator[Found]:
    """The implementation of every exposed API is a Service of the manifest."""
    names = [d.name for d in case.manifest.of("Service")]
    for api in case.manifest.exposed:
        if api.implementation and api.implementation not in names:
            shown = case.component.piece(api.path, api.fields)
            told = ", ".join(names) or "none"
            yield Found(f"{api.implementation} of {api.label} is no Service; there are: {told}", (shown,))


@check("component.api.port", MUST, f"{API_OPERATOR}: the route leads to implementation:port, a port of the Service")
def port(case: Case) -> Iterator[Found]:
    """The port of every exposed API is a port of its Service."""
    for api in case.manifest.exposed:
        found = case.manifest.service(api.implementation)
        if found and isinstance(api.port, int) and case.manifest.port_of(api) is None:
            has = ", ".join(str(p.get("port")) for _, p in numbered(found.spec.get("ports")))
            shown = (case.component.piece(api.path, api.fields), found.piece("spec", found.spec))
            yield Found(f"{api.label} is at port {api.port}, {found.title} has {has or 'none'}", shown)


@check(
    "component.api.pods",
    MUST,
    f"{API_OPERATOR}: waits for a ready endpoint; without a pod the Service has none",
    hang=CONFIGURING,
)
def pods(case: Case) -> Iterator[Found]:
    """The Service of every exposed API selects pods of the manifest that stay."""
    for name in dict.fromkeys(a.implementation for a in case.manifest.exposed):
        found = case.manifest.service(name)
        if found and not case.manifest.behind(found):
            shown = found.piece("spec.selector", mapping(found.spec.get("selector")) or "(none)")
            yield Found(f"{found.title} selects no pod of a Deployment or StatefulSet", (shown,))


@check("component.api.target", MUST, "Kubernetes: a targetPort that is a name must be one of the pod", hang=CONFIGURING)
def target(case: Case) -> Iterator[Found]:
    """The port of the Service leads to a port of its pods."""
    for api in case.manifest.exposed:
        found, entry = case.manifest.service(api.implementation), case.manifest.port_of(api)
        if found and entry and case.manifest.behind(found) and case.manifest.container_port(api) is None:
            name = entry.get("targetPort")
            yield Found(
                f"port {api.port} of {found.title} leads to {name!r}, no port of its pods",
                (found.piece("spec", found.spec),),
            )


@check("component.service.protocol", SHOULD, f"{API_OPERATOR}: Istio learns the protocol from the name of the port")
def protocol(case: Case) -> Iterator[Found]:
    """The Service port of every exposed API is named http or http-..., or has appProtocol http."""
    for api in case.manifest.exposed:
        entry, found = case.manifest.port_of(api), case.manifest.service(api.implementation)
        if entry and found:
            name, told = text(entry.get("name")), text(entry.get("appProtocol"))
            if not (name.split("-")[0] in ("http", "http2", "grpc") or told.startswith(("http", "kubernetes.io/"))):
                shown = found.piece("spec.ports", [entry])
                yield Found(f"port {api.port} of {found.title} is named {name or '(nothing)'}", (shown,))


@check("component.service.type", SHOULD, f"{USE_CASE} UC003: what is reached from outside is an exposed API")
def kind(case: Case) -> Iterator[Found]:
    """No Service is of type NodePort or LoadBalancer."""
    for d in case.manifest.of("Service"):
        if d.spec.get("type") in ("NodePort", "LoadBalancer"):
            yield Found(f"{d.title} is a {d.spec['type']}", (d.piece("spec", d.spec),))
