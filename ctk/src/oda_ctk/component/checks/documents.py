"""The manifest as a whole: readable documents, one Component, and no kinds that the Canvas does not manage."""

from __future__ import annotations

from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD
from oda_ctk.component.case import COMPONENT_OPERATOR, GUIDELINE, KIT, Case, check
from oda_ctk.component.manifest import GROUP
from oda_ctk.component.piece import Found

UNMANAGED = {
    "Ingress": "an exposed API says what is to be reached",
    "Pod": "a Deployment or StatefulSet keeps pods; a test is a Job",
    "ReplicaSet": "a Deployment makes them",
    "DaemonSet": "a component has no business on every node",
    "ClusterRole": "a Role is enough inside a namespace",
    "ClusterRoleBinding": "a RoleBinding is enough inside a namespace",
}


@check("component.documents", MUST, f"{KIT}, L1 static 2 and 15: every document is whole", needs=())
def whole(case: Case) -> Iterator[Found]:
    """Every document has apiVersion, kind and metadata.name, and no key twice."""
    for d in case.manifest.documents:
        lacking = [w for w, v in (("apiVersion", d.api_version), ("kind", d.kind), ("metadata.name", d.name)) if not v]
        if lacking:
            yield Found(f"{d.title} has no {', '.join(lacking)}", (d.piece("", d.data),))
        if d.twice:
            yield Found(f"{d.title} has twice: {', '.join(d.twice)}", (d.piece(),))


@check("component.one", MUST, f"{KIT}, L1 static 3 and L1 dynamic 2: the document of kind Component", needs=())
def one(case: Case) -> Iterator[Found]:
    """There is exactly one Component."""
    found = case.manifest.components
    if not found:
        yield Found(f"none of the {len(case.manifest.documents)} documents is a Component of {GROUP}")
    elif len(found) > 1:
        yield Found(f"there are {len(found)}: {', '.join(d.name for d in found)}", tuple(d.piece() for d in found))


@check("component.version", MUST, f"{KIT}, configuration 4; former versions are deprecated in the oda-crds chart")
def version(case: Case) -> Iterator[Found]:
    """The Component is of oda.tmforum.org/v1."""
    d = case.component
    if d.api_version != f"{GROUP}/v1":
        yield Found(f"its apiVersion is {d.api_version}", (d.piece("apiVersion", {"apiVersion": d.api_version}),))


@check("component.kinds", SHOULD, f"{GUIDELINE}, step 2; {COMPONENT_OPERATOR}: which kinds are adopted", needs=())
def kinds(case: Case) -> Iterator[Found]:
    """No document is of a kind that the Canvas does not manage for a component."""
    for d in case.manifest.of(*UNMANAGED):
        yield Found(f"{d.title}: {UNMANAGED[d.kind]}", (d.piece(),))
