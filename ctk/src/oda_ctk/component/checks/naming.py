"""Names and the label oda.tmforum.org/componentName, by which the Canvas finds what belongs together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD, NotApplicable
from oda_ctk.component.case import API_OPERATOR, COMPONENT_OPERATOR, CONFIGURING, KIT, KUBERNETES, Case, check
from oda_ctk.component.manifest import LABEL
from oda_ctk.component.piece import Found

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
LONGEST = 63


@check("component.name.valid", MUST, f"{KUBERNETES}: a label value has at most 63 characters; names are DNS names")
def valid(case: Case) -> Iterator[Found]:
    """The name of the Component can be a label value and part of a host name: at most 63 of a-z, 0-9 and -."""
    if not DNS_LABEL.fullmatch(case.name) or len(case.name) > LONGEST:
        yield Found(f"{case.name!r} has {len(case.name)} characters or others than these", (case.component.piece(),))


@check("component.name.label", MUST, f"{KIT}, L1 static 15; {COMPONENT_OPERATOR}: children are found by this label")
def label(case: Case) -> Iterator[Found]:
    """The Component carries the label oda.tmforum.org/componentName with its own name."""
    told = case.component.labels.get(LABEL)
    if told != case.name:
        yield Found(f"the label is {told!r}, the name {case.name!r}", (case.component.piece(),))


@check("component.name.release", MUST, f"{KIT}: finds the Component of a release by <release>-<component name>")
def release(case: Case) -> Iterator[Found]:
    """The name of the Component starts with the name of the release."""
    if not case.manifest.release:
        raise NotApplicable("the name of the release is not known; --release tells it")
    if not case.name.startswith(f"{case.manifest.release}-"):
        yield Found(f"{case.name} was installed as release {case.manifest.release}", (case.component.piece(),))


@check("component.name.objects", SHOULD, "oda-canvas components of one release must not collide")
def objects(case: Case) -> Iterator[Found]:
    """The names of all objects start with that of the Component, so that two components fit into one release."""
    for d in case.manifest.documents:
        if d is not case.component and d.name and not d.name.startswith(case.name):
            yield Found(f"{d.title} does not start with {case.name}", (d.piece(),))


@check("component.labels.objects", MUST, f"{KIT}, L1 static 15 and configuration 11")
def objects_labelled(case: Case) -> Iterator[Found]:
    """Every object carries the label oda.tmforum.org/componentName with the name of the Component."""
    for d in case.manifest.documents:
        if d.kind not in ("Component", "Service") and d.labels.get(LABEL) != case.name:
            yield Found(f"{d.title} has {d.labels.get(LABEL)!r}", (d.piece(),))


@check(
    "component.labels.services",
    MUST,
    f"{API_OPERATOR}: an API is ready when an EndpointSlice with this label is; Kubernetes copies it from the Service",
    hang=CONFIGURING,
)
def services_labelled(case: Case) -> Iterator[Found]:
    """Every Service carries the label oda.tmforum.org/componentName with the name of the Component."""
    for d in case.manifest.of("Service"):
        if d.labels.get(LABEL) != case.name:
            yield Found(f"{d.title} has {d.labels.get(LABEL)!r}", (d.piece(),))


@check("component.labels.pods", SHOULD, f"{KIT}, L1 dynamic 1: the pods of a component are found by the label")
def pods_labelled(case: Case) -> Iterator[Found]:
    """Every pod template carries the label oda.tmforum.org/componentName with the name of the Component."""
    for pod in case.manifest.pods:
        if pod.document.kind != "Pod" and pod.labels.get(LABEL) != case.name:
            shown = pod.document.piece(f"{pod.path}.metadata", pod.metadata)
            yield Found(f"the pods of {pod.document.title} have {pod.labels.get(LABEL)!r}", (shown,))
