"""Installing, upgrading, removing: what is lost, what cannot be changed, what is too large, what blocks a node."""

from __future__ import annotations

import json
from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD, NotApplicable
from oda_ctk.component.case import COMPONENT_OPERATOR, KUBERNETES, PDB_OPERATOR, Case, check
from oda_ctk.component.manifest import Document, mapping
from oda_ctk.component.piece import Found

AVAILABILITY = "oda.tmforum.org/availability-class"
FUNCTION = "oda.tmforum.org/component-function"
CLASSES = ("non-critical", "standard", "high-availability", "mission-critical", "custom")
FUNCTIONS = ("core", "management", "security")
PACKED_BYTES = 120 * 1024
ANNOTATION_BYTES = 262_144
ADOPTED = f"{COMPONENT_OPERATOR}: adopts what carries the label; Kubernetes deletes it with the Component"
COPIED = f"{COMPONENT_OPERATOR}: watches them, and kopf copies the whole content into an annotation"


@check("component.data.claims", SHOULD, ADOPTED)
def claims(case: Case) -> Iterator[Found]:
    """No PersistentVolumeClaim is part of the manifest: its data would go with the Component."""
    for d in case.manifest.of("PersistentVolumeClaim"):
        yield Found(f"{d.title} is deleted with the Component, whatever its helm.sh/resource-policy", (d.piece(),))


@check("component.data.secrets", SHOULD, COPIED)
def secrets(case: Case) -> Iterator[Found]:
    """No Secret with values is part of the manifest: they would stand in an annotation."""
    for d in case.manifest.of("Secret"):
        if d.data.get("data") or d.data.get("stringData"):
            yield Found(f"{d.title} holds values", (d.piece("", d.data),))


@check("component.data.size", SHOULD, f"{COPIED}; all annotations together have at most 262144 bytes")
def size(case: Case) -> Iterator[Found]:
    """No ConfigMap or Secret is larger than an annotation may be."""
    for d in case.manifest.of("ConfigMap", "Secret"):
        bytes_ = len(json.dumps(d.data, default=str))
        if bytes_ >= ANNOTATION_BYTES:
            yield Found(f"{d.title} has {bytes_} bytes", (d.piece(),))


@check(
    "component.chart.size", SHOULD, f"{COPIED}; so with the Secret in which Helm keeps the release", needs=("chart",)
)
def chart_size(case: Case) -> Iterator[Found]:
    """The packed chart is smaller than 120 KiB."""
    packed = case.manifest.packed or 0
    if packed >= PACKED_BYTES:
        yield Found(f"packed it has {packed} bytes; .helmignore keeps images, documents and tests out")


@check("component.upgrade.jobs", SHOULD, f"{KUBERNETES}: the template of a Job cannot be changed")
def jobs(case: Case) -> Iterator[Found]:
    """Every Job is a Helm hook, so that an upgrade makes a new one."""
    for d in case.manifest.of("Job"):
        if "helm.sh/hook" not in d.annotations:
            yield Found(f"{d.title} is no hook: an upgrade with another image fails", (d.piece(),))


@check("component.availability.one", MUST, f"{PDB_OPERATOR}: makes a PodDisruptionBudget of the annotation")
def one_budget(case: Case) -> Iterator[Found]:
    """No pod has both a PodDisruptionBudget and the availability annotation: two budgets block every eviction."""
    for d in _annotated(case):
        labels = mapping(mapping(mapping(d.spec.get("template")).get("metadata")).get("labels"))
        for budget in case.manifest.of("PodDisruptionBudget"):
            selected = mapping(mapping(budget.spec.get("selector")).get("matchLabels"))
            if selected.items() <= labels.items():
                told = f"{budget.title} and {AVAILABILITY} of {d.title} are about the same pods"
                yield Found(told, (budget.piece("spec", budget.spec), d.piece()))


@check("component.availability.class", MUST, f"{PDB_OPERATOR}: the values of its annotations")
def availability(case: Case) -> Iterator[Found]:
    """The annotations of availability have values that the Canvas knows."""
    found = _annotated(case)
    if not found:
        raise NotApplicable("no Deployment has an availability class")
    for d in found:
        told, function = d.annotations.get(AVAILABILITY), d.annotations.get(FUNCTION)
        if told not in CLASSES:
            yield Found(f"{d.title}: {told!r} is none of {', '.join(CLASSES)}", (d.piece(),))
        if function is not None and function not in FUNCTIONS:
            yield Found(f"{d.title}: {function!r} is none of {', '.join(FUNCTIONS)}", (d.piece(),))


def _annotated(case: Case) -> list[Document]:
    return [d for d in case.manifest.of("Deployment") if AVAILABILITY in d.annotations]
