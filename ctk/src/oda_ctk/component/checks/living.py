"""The component in a cluster: its status, and what the operators of the Canvas have made of it."""

from __future__ import annotations

from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD, NotApplicable
from oda_ctk.component.case import (
    API_OPERATOR,
    COMPONENT_OPERATOR,
    CONFIGURING,
    DEPENDENT_OPERATOR,
    DEPENDING,
    IDENTITY,
    IDENTITY_OPERATOR,
    KIT,
    SECRETS,
    SECRETS_OPERATOR,
    Case,
    check,
)  # fmt: skip
from oda_ctk.component.cluster import Live, ready, status
from oda_ctk.component.manifest import LABEL, Api, Document, mapping, numbered, text
from oda_ctk.component.piece import Found

ADOPTED = ("Service", "Deployment", "StatefulSet", "PersistentVolumeClaim", "Job", "CronJob", "ConfigMap",
           "ServiceAccount", "Role", "RoleBinding")  # fmt: skip
LIVE = ("live", "component")
UNSET = ("", "Not set")


def live_of(case: Case) -> Live:
    assert case.live is not None
    return case.live


@check("component.live.complete", MUST, f"{KIT}, L1 dynamic 3; {COMPONENT_OPERATOR}: summary/status", needs=LIVE)
def complete(case: Case) -> Iterator[Found]:
    """The deployment status of the Component is Complete."""
    live = live_of(case)
    told = live.deployment_status
    if told != "Complete":
        why = {
            "": "the component operator has not written a status: it does not run, or does not watch this namespace",
            CONFIGURING: "not every exposed API has a url and is ready",
            IDENTITY: "no identity operator has taken the IdentityConfig",
            SECRETS: "the SecretsManagement is not ready",
            DEPENDING: "not every dependent API is resolved",
        }
        shown = live.component.piece("status", mapping(live.status.get("summary/status")) or "(no status)")
        yield Found(f"it is {told or '(empty)'}: {why.get(told, 'a state that is not known')}", (shown,))


def _resource(case: Case, api: Api) -> tuple[str, Document | None]:
    name = f"{case.name}-{api.label}"
    return name, live_of(case).exposed_api(name)


@check("component.live.exposed", MUST, f"{COMPONENT_OPERATOR}: one ExposedAPI for each", needs=LIVE, hang=CONFIGURING)
def exposed(case: Case) -> Iterator[Found]:
    """There is an ExposedAPI for every exposed API and version."""
    for api in case.manifest.exposed:
        name, found = _resource(case, api)
        if found is None:
            yield Found(f"{name} does not exist", (case.component.piece(api.path, api.fields),))


@check("component.live.url", MUST, f"{API_OPERATOR}: writes status.apiStatus.url", needs=LIVE, hang=CONFIGURING)
def url(case: Case) -> Iterator[Found]:
    """Every ExposedAPI has a url."""
    for api in case.manifest.exposed:
        name, found = _resource(case, api)
        if found and not text(mapping(status(found).get("apiStatus")).get("url")):
            told = "no API operator has seen it, or its path is taken" if not status(found) else "it has a status only"
            yield Found(f"{name} has none: {told}", (found.piece("status", status(found) or "(no status)"),))


@check(
    "component.live.ready", MUST, f"{API_OPERATOR}: writes status.implementation.ready", needs=LIVE, hang=CONFIGURING
)
def api_ready(case: Case) -> Iterator[Found]:
    """Every ExposedAPI is ready."""
    for api in case.manifest.exposed:
        name, found = _resource(case, api)
        if found and not ready(found):
            reasons = "; ".join(_unreachable(case, api)) or "its endpoints are ready; the API operator has not seen it"
            yield Found(f"{name} is not: {reasons}", (found.piece("status", status(found) or "(no status)"),))


@check("component.live.endpoints", MUST, f"{API_OPERATOR}: ready is never taken back when pods go", needs=LIVE)
def endpoints(case: Case) -> Iterator[Found]:
    """The Service of every ExposedAPI that is ready has a ready endpoint now."""
    for api in case.manifest.exposed:
        _, found = _resource(case, api)
        reasons = list(_unreachable(case, api)) if found and ready(found) else []
        if reasons:
            yield Found(
                f"{api.label}: {'; '.join(reasons)}", tuple(s.piece("", s.data) for s in _slices(case, api)[:1])
            )


def _slices(case: Case, api: Api) -> list[Document]:
    key = "kubernetes.io/service-name"
    return [s for s in live_of(case).slices if s.labels.get(key) == api.implementation]


def _unreachable(case: Case, api: Api) -> Iterator[str]:
    """Why the API operator finds no ready endpoint of an API."""
    live, slices = live_of(case), _slices(case, api)
    service = next((d for d in live.objects if d.kind == "Service" and d.name == api.implementation), None)
    if service is None:
        yield f"there is no Service {api.implementation}"
    elif not slices:
        yield f"the Service {api.implementation} has no EndpointSlice"
    elif not any(s.labels.get(LABEL) == case.name for s in slices):
        yield f"the EndpointSlice has no label {LABEL}: {case.name}"
    elif not any(_ready_endpoint(s) for s in slices):
        waiting = [d.name for d in live.objects if d.kind == "Pod" and not _pod_ready(d)]
        yield "no endpoint is ready" + (f"; pods that are not: {', '.join(waiting)}" if waiting else "")


def _ready_endpoint(piece: Document) -> bool:
    return any(mapping(e.get("conditions")).get("ready", True) for _, e in numbered(piece.data.get("endpoints")))


def _pod_ready(pod: Document) -> bool:
    conditions = {c.get("type"): c.get("status") for _, c in numbered(status(pod).get("conditions"))}
    return conditions.get("Ready") == "True" or status(pod).get("phase") == "Succeeded"


@check("component.live.identity", MUST, f"{IDENTITY_OPERATOR}: tells the identityProvider", needs=LIVE, hang=IDENTITY)
def identity(case: Case) -> Iterator[Found]:
    """The IdentityConfig exists and an identity operator has taken it."""
    live = live_of(case)
    if not live.identity:
        role = text(case.manifest.section("securityFunction").get("canvasSystemRole"))
        why = "no canvasSystemRole" if not role else "it is made after every exposed API is ready"
        yield Found(f"there is none: {why}", (live.component.piece("status", live.status or "(no status)"),))
    for d in live.identity:
        told = mapping(status(d).get("identityConfig"))
        if text(told.get("identityProvider")) in UNSET:
            yield Found(f"{d.name} has no identityProvider", (d.piece("status", status(d) or "(no status)"),))


@check(
    "component.live.listener", MUST, f"{IDENTITY_OPERATOR}: listenerRegistered; given up after five tries", needs=LIVE
)
def listener(case: Case) -> Iterator[Found]:
    """Where the component has an API of roles, the Canvas listens to it."""
    apis = [a for a in case.manifest.exposed if a.is_party_role or a.is_permissions]
    if not apis or not live_of(case).identity:
        raise NotApplicable("no API of roles, or no IdentityConfig")
    for d in live_of(case).identity:
        told = mapping(status(d).get("identityConfig"))
        if text(told.get("identityProvider")) not in UNSET and told.get("listenerRegistered") is not True:
            yield Found(
                f"{d.name}: listenerRegistered is {told.get('listenerRegistered')!r}", (d.piece("status", told),)
            )


@check("component.live.secrets", MUST, f"{SECRETS_OPERATOR}: marks it as ready", needs=LIVE, hang=SECRETS)
def secrets(case: Case) -> Iterator[Found]:
    """Where secretsManagement is asked for, the SecretsManagement is ready."""
    if not case.manifest.section("securityFunction").get("secretsManagement"):
        raise NotApplicable("no secretsManagement is asked for")
    found = live_of(case).secrets
    if not found:
        yield Found(f"there is no SecretsManagement {case.name}")
    for d in found:
        if not ready(d):
            yield Found(f"{d.name} is not ready", (d.piece("status", status(d) or "(no status)"),))


@check(
    "component.live.dependent", MUST, f"{DEPENDENT_OPERATOR}: resolves on create and update", needs=LIVE, hang=DEPENDING
)
def dependent(case: Case) -> Iterator[Found]:
    """Every dependent API is resolved to a url."""
    live = live_of(case)
    by_name = {d.name: d for d in live.dependent}
    for api in case.manifest.dependent:
        name = f"{case.name}-{api.label}"
        found = by_name.get(name)
        if found is None:
            yield Found(f"{name} does not exist", (case.component.piece(api.path, api.root),))
        elif not ready(found) or not text(mapping(status(found).get("depapiStatus")).get("url")):
            told = f"no ready ExposedAPI had the specification {api.url} when it was looked for; a change looks again"
            yield Found(f"{name}: {told}", (found.piece("status", status(found) or "(no status)"),))


@check("component.live.adopted", SHOULD, f"{COMPONENT_OPERATOR}: children are removed with the Component", needs=LIVE)
def adopted(case: Case) -> Iterator[Found]:
    """Every labelled object that the Canvas adopts is owned by the Component."""
    live = live_of(case)
    installed = {(d.kind, d.name) for d in case.manifest.documents}
    for d in live.objects:
        owners = [mapping(o) for o in d.metadata.get("ownerReferences") or []]
        owned = any(o.get("kind") == "Component" and o.get("name") == live.component.name for o in owners)
        if d.kind in ADOPTED and d.labels.get(LABEL) == case.name and (d.kind, d.name) in installed and not owned:
            yield Found(f"{d.title} is not", (d.piece(),))
