"""The strict schema: what the API server would refuse, and what it would drop without a word."""

from __future__ import annotations

from collections.abc import Iterator

from oda_ctk.check import MUST
from oda_ctk.component.case import CRD, Case, check
from oda_ctk.component.piece import Found
from oda_ctk.component.schema import Kind, faults


def _of(case: Case, kind: Kind) -> Iterator[Found]:
    """The faults of one kind in every document that a schema is known of."""
    for d in case.manifest.documents:
        group, _, version = d.api_version.rpartition("/")
        node = case.schemas.get((group, version, d.kind))
        if node is not None:
            for fault in faults(node, d.data):
                if fault.kind == kind:
                    yield Found(f"{d.title}: {fault.reason}", (d.piece(fault.path, fault.value),))


@check("component.schema.unknown", MUST, f"{CRD}: a field that is not listed is dropped by the API server")
def unknown(case: Case) -> Iterator[Found]:
    """No field is unknown to the schema."""
    yield from _of(case, "unknown")


@check("component.schema.types", MUST, f"{CRD}: type", hang="refused")
def types(case: Case) -> Iterator[Found]:
    """Every value is of the type of its field."""
    yield from _of(case, "type")


@check("component.schema.required", MUST, f"{CRD}: required and minItems", hang="refused")
def required(case: Case) -> Iterator[Found]:
    """Nothing mandatory is missing, and no array is shorter than it may be."""
    yield from _of(case, "required")


@check("component.schema.values", MUST, f"{CRD}: enum, format, pattern and limits", hang="refused")
def values(case: Case) -> Iterator[Found]:
    """Every value is one that its field may have."""
    yield from _of(case, "value")


@check(
    "component.schema.rules",
    MUST,
    f"{CRD}: x-kubernetes-validations (apiType, implementation, path and port at the root or in specification[0])",
    hang="refused",
)
def rules(case: Case) -> Iterator[Found]:
    """The rules between fields are kept."""
    yield from _of(case, "rule")
